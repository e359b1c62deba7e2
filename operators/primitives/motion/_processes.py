"""Processes that look wrong backwards: a drop spreads, pieces fly apart, a ball loses height, a swing dies down.

Each is shown again and again at other places, with a pause between, from a phase drawn evenly. So a frame at any place
of the clip, the first and the last among them, looks alike in a clip played forwards and in one played backwards. A
drop and a burst change one way all the time, so two moments tell. A ball and a swing go to and fro: only how high or
how far they get, bounce after bounce, tells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import color_masks, follow
from temporay.operators.primitives._plan import event_in, frame_ms
from temporay.operators.primitives.motion._stage import Actor, to_track
from temporay.operators.records import Event, Frames, Track

ProcessKind = Literal["drop", "burst", "ball", "swing"]
BACKWARDS = {  # what happens, and what it looks like then
    "wider": "narrower",
    "apart": "together",
    "lower": "higher",
    "less far": "farther",
}
LIFE = (0.55, 0.65)  # how long one run lasts, in clips
PAUSE = 0.1  # between two runs, in clips
MIN_TOLD = 0.4  # a run of which less than this share is seen is not told
DROP_RADIUS = (0.06, 0.26)  # first and last, in parts of the frame's shorter side
NUM_PIECES = 6
PIECE_RADIUS = 0.035
REACH = 0.28  # how far pieces fly, in parts of the frame's shorter side
DRAG = 2.0
MIN_RADIUS_PX = 4.0
LAST_BOUNCE = 0.25  # its height over that of the first bounce
DRIFT = 0.2  # how far a ball gets to a side, in parts of the frame's shorter side
SWING = 0.32  # how far it swings at first, in parts of the frame's shorter side
DAMPING = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProcess:
    """What one source shows in a clip, and its log."""

    tracks: tuple[Track, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Which run of a repeated process each frame belongs to, and how far that run is: 0 to 1, above 1 in a pause."""

    run_T: npt.NDArray[np.int64]
    phase_T: npt.NDArray[np.float64]
    num_frames_each: float  # without the pause

    @property
    def visible_T(self) -> npt.NDArray[np.bool_]:
        return self.phase_T < 1

    def places(self, rng: np.random.Generator, low: Sequence[float], high: Sequence[float]) -> npt.NDArray[np.float64]:
        """Choose one value or place per run between two bounds: (T, D)."""
        return rng.uniform(low, high, (NUM_RUNS, len(low)))[self.run_T]


NUM_RUNS = int(1 / (LIFE[0] + PAUSE)) + 2  # the most a clip can show, whatever its phase is


def show(
    kind: ProcessKind, rng: np.random.Generator, actor: Actor, canvas: Canvas, num_frames: int, num_turns: int
) -> ShownProcess:
    """Show a process, and then others of its kind elsewhere.

    Args:
        num_turns: bounces of a ball, or how fast a weight swings: half a swing takes about as long as such a bounce.
    """
    noun = {"drop": "drop", "burst": "pieces", "ball": "ball", "swing": "weight"}[kind]
    name, runs = f"{actor.color_name} {noun}", _choose_runs(rng, num_frames)
    drawn = PROCESSES[kind](rng, actor, canvas, runs, num_turns)
    numbers = [f" {i}" for i in range(1, len(drawn) + 1)] if len(drawn) > 1 else [""]
    tracks = [
        replace(track, name=f"{name}{number}", visible_T=runs.visible_T)
        for track, number in zip(drawn, numbers, strict=True)
    ]
    return ShownProcess(tracks=tuple(tracks), events=_log(kind, name, runs, canvas))


def _spread(rng: np.random.Generator, actor: Actor, canvas: Canvas, runs: Runs, num_turns: int) -> list[Track]:
    """Let the area of a drop grow evenly."""
    first, last = max(MIN_RADIUS_PX, DROP_RADIUS[0] * _side(canvas)), DROP_RADIUS[1] * _side(canvas)
    places_T2 = runs.places(rng, (last, last), (canvas.width - last, canvas.height - last))
    radius_T = np.sqrt(first**2 + (last**2 - first**2) * np.minimum(1, runs.phase_T))
    track = to_track(replace(actor, shape="circle", radius_px=last), places_T2, wraps=False)
    return [replace(track, scale_T=radius_T / last)]


def _scatter(rng: np.random.Generator, actor: Actor, canvas: Canvas, runs: Runs, num_turns: int) -> list[Track]:
    """Let pieces fly from one place to all sides and slow down."""
    side = _side(canvas)
    reach, radius_px = REACH * side, max(MIN_RADIUS_PX, PIECE_RADIUS * side)
    margin = min(reach + radius_px, side / 2 - 1)
    places_T2 = runs.places(rng, (margin, margin), (canvas.width - margin, canvas.height - margin))
    turn_T = runs.places(rng, (0.0,), (2 * np.pi,))[:, 0]
    distance_T = reach * (1 - np.exp(-DRAG * runs.phase_T)) / (1 - np.exp(-DRAG))
    tracks = []
    for i in range(NUM_PIECES):
        angle_T = turn_T + 2 * np.pi * i / NUM_PIECES
        offset_T2 = distance_T[:, None] * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1)
        tracks.append(to_track(replace(actor, radius_px=radius_px), places_T2 + offset_T2, wraps=False))
    return tracks


def _lose_height(rng: np.random.Generator, actor: Actor, canvas: Canvas, runs: Runs, num_turns: int) -> list[Track]:
    """Let a ball jump from the floor as many times, ever lower."""
    side, radius_px = _side(canvas), actor.radius_px
    floor, height = canvas.height - radius_px - 1, canvas.height - 2 * radius_px - 2
    room = DRIFT * side + radius_px
    start_T, way_T = runs.places(rng, (room, -1.0), (canvas.width - room, 1.0)).T
    x_T = start_T + DRIFT * side * way_T * (runs.phase_T - 0.5)
    xy_T2 = np.stack([x_T, floor - height * _bounce_height(runs.phase_T, num_turns)], axis=1)
    return [to_track(replace(actor, shape="circle"), xy_T2, wraps=False)]


def _die_down(rng: np.random.Generator, actor: Actor, canvas: Canvas, runs: Runs, num_turns: int) -> list[Track]:
    """Let a weight on a thread swing to and fro, ever less far."""
    reach = SWING * _side(canvas)
    room = min(reach + actor.radius_px, canvas.width / 2 - 1)
    lowest = canvas.height - reach / 2 - actor.radius_px
    x_T, y_T, start_T = runs.places(rng, (room, actor.radius_px + 1, 0.0), (canvas.width - room, lowest, 1.0)).T
    off_T = np.exp(-DAMPING * runs.phase_T) * np.sin(2 * np.pi * start_T + np.pi * (num_turns + 2) * runs.phase_T)
    return [to_track(actor, np.stack([x_T + reach * off_T, y_T + reach * (1 - off_T**2) / 2], axis=1), wraps=False)]


def backwards(process: ShownProcess, canvas: Canvas, num_frames: int) -> ShownProcess:
    """Show the same frames from the last to the first."""
    end_ms = frame_ms(num_frames, canvas)
    tracks = [
        replace(
            track,
            xy_T2=track.xy_T2[::-1],
            visible_T=track.visible_T[::-1],
            scale_T=None if track.scale_T is None else track.scale_T[::-1],
        )
        for track in process.tracks
    ]
    events = [
        replace(event, start_ms=end_ms - event.end_ms, end_ms=end_ms - event.start_ms, detail=BACKWARDS[event.detail])
        for event in reversed(process.events)
    ]
    return ShownProcess(tracks=tuple(tracks), events=tuple(events))


def measured_in(kind: ProcessKind, frames_THWC: Frames, color: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """Measure in every frame what changes: area, spread, height, or place from left to right; NaN in pauses."""
    if kind == "burst":
        where = [np.argwhere(mask) for mask in color_masks(frames_THWC, color)]
        return np.array([np.hypot(*places_N2.std(axis=0)) if len(places_N2) else np.nan for places_N2 in where])
    seen_T3 = follow(frames_THWC, color)
    if kind == "drop":
        return np.where(seen_T3[:, 2] > 0, seen_T3[:, 2], np.nan)
    return seen_T3[:, 0] if kind == "swing" else frames_THWC.shape[1] - seen_T3[:, 1]


def measured_of(kind: ProcessKind, tracks: Sequence[Track], height: int) -> npt.NDArray[np.float64]:
    """Measure the same by the tracks of one source."""
    first = tracks[0]
    measured_T = {
        "drop": np.ones(len(first.xy_T2)) if first.scale_T is None else first.scale_T**2,
        "burst": np.linalg.norm(first.xy_T2 - tracks[-1].xy_T2, axis=1),
        "ball": height - first.xy_T2[:, 1],
        "swing": first.xy_T2[:, 0],
    }[kind]
    return np.where(first.visible_T, measured_T, np.nan)


def arrow(kind: ProcessKind, measured_T: npt.NDArray[np.float64]) -> float:
    """Return how surely time runs forwards, above 0, or backwards, below 0; at most 1.

    In each run the mean of its first half is compared with that of its second half. Longer runs count more.
    """
    sum_of, weight = 0.0, 1e-9
    for is_seen, run in groupby(measured_T.tolist(), lambda value: not np.isnan(value)):
        run_T = np.array(list(run))
        if not is_seen or len(run_T) < 2:
            continue
        half = len(run_T) // 2
        first, second = (np.ptp(part) if kind == "swing" else part.mean() for part in (run_T[:half], run_T[-half:]))
        grows = (second - first) / max(1e-9, second + first)
        sum_of += len(run_T) ** 2 * float(grows if kind in ("drop", "burst") else -grows)
        weight += len(run_T) ** 2
    return sum_of / weight


def are_turns_shown(kind: ProcessKind, measured_T: npt.NDArray[np.float64], frames: Sequence[int]) -> bool:
    """Return whether one of these frames is in every bounce of a ball, and in every half swing of a weight."""
    if kind not in ("ball", "swing"):
        return True
    step_T = np.diff(measured_T)
    turns = 1 + np.flatnonzero((step_T[:-1] * step_T[1:] < 0) & ((step_T[:-1] < 0) | (kind == "swing")))
    in_one_run = [pair for pair in pairwise(turns.tolist()) if not np.isnan(measured_T[slice(*pair)]).any()]
    return all(any(start <= frame < end for frame in frames) for start, end in in_one_run)


PROCESSES: dict[ProcessKind, Callable[[np.random.Generator, Actor, Canvas, Runs, int], list[Track]]] = {
    "drop": _spread,
    "burst": _scatter,
    "ball": _lose_height,
    "swing": _die_down,
}


def _side(canvas: Canvas) -> int:
    return min(canvas.width, canvas.height)


def _choose_runs(rng: np.random.Generator, num_frames: int) -> Runs:
    num_frames_each, pause = num_frames * float(rng.uniform(*LIFE)), PAUSE * num_frames
    reached_T = float(rng.uniform()) + np.arange(num_frames) / (num_frames_each + pause)
    run_T = np.floor(reached_T).astype(np.int64)
    phase_T = (reached_T - run_T) * (1 + pause / num_frames_each)
    return Runs(run_T=run_T, phase_T=phase_T, num_frames_each=num_frames_each)


def _log(kind: ProcessKind, name: str, runs: Runs, canvas: Canvas) -> tuple[Event, ...]:
    """Log every run of which enough is seen."""
    change = {"drop": "wider", "burst": "apart", "ball": "lower", "swing": "less far"}[kind]
    frames_of_runs = [np.flatnonzero((runs.run_T == run) & runs.visible_T) for run in np.unique(runs.run_T)]
    least = max(2.0, MIN_TOLD * runs.num_frames_each)
    return tuple(
        event_in(canvas, kind, name, int(frames[0]), int(frames[-1]) + 1, change)
        for frames in frames_of_runs
        if len(frames) >= least
    )


def _bounce_height(phase_T: npt.NDArray[np.float64], num_bounces: int) -> npt.NDArray[np.float64]:
    """Return the height above the floor, 1 at the top of the first bounce and ``LAST_BOUNCE`` at that of the last.

    A bounce lasts in proportion to the square root of its height.
    """
    tops = np.geomspace(1.0, LAST_BOUNCE, num_bounces)
    ends = np.cumsum(np.sqrt(tops)) / np.sqrt(tops).sum()
    bounce_T = np.minimum(np.searchsorted(ends, phase_T, side="right"), num_bounces - 1)
    starts = np.concatenate([[0.0], ends[:-1]])
    share_T = np.minimum(1, (phase_T - starts[bounce_T]) / (ends - starts)[bounce_T])
    return np.asarray(tops[bounce_T] * 4 * share_T * (1 - share_T))
