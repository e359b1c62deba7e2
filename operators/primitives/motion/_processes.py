"""Processes that look wrong backwards: a drop that spreads, pieces that fly apart, a ball that loses height.

Each repeats from a phase drawn evenly over its course, so a frame at any place of the clip, the first and the last
among them, looks alike in a clip played forwards and in one played backwards; only how it changes tells them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import color_masks, follow, steps
from temporay.operators.primitives._plan import event_in, frame_ms
from temporay.operators.primitives.motion._stage import Actor, to_track
from temporay.operators.records import Event, Frames, Track

ProcessKind = Literal["drop", "burst", "ball"]
BACKWARDS = {"wider": "narrower", "apart": "together", "lower": "higher"}  # what happens, and what it looks like then
LIFE = (0.6, 1.0)  # how long a drop or a burst lasts, in clips
PASS = (0.8, 1.0)  # how long a ball takes from edge to edge, in clips
MIN_TOLD = 0.35  # a run of which less than this share is seen is not told
DROP_RADIUS = (0.06, 0.26)  # first and last, in parts of the frame's shorter side
NUM_PIECES = 6
PIECE_RADIUS = 0.035
REACH = 0.28  # how far pieces fly, in parts of the frame's shorter side
DRAG = 2.0
MIN_RADIUS_PX = 4.0
NUM_BOUNCES = 3  # from edge to edge
RESTITUTION = 0.55  # each bounce's height over that of the one before
MIN_BALL_FRAMES = 14  # shorter clips have too few frames per bounce


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProcess:
    """What one source shows in a clip, and its log."""

    tracks: tuple[Track, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Which run of a repeated process each frame belongs to, and how far that run is, 0 to 1."""

    run_T: npt.NDArray[np.int64]
    phase_T: npt.NDArray[np.float64]
    num_frames_each: float


def name_of(kind: ProcessKind, actor: Actor) -> str:
    """Return what chains of thought call the source."""
    return f"{actor.color_name} {'pieces' if kind == 'burst' else kind}"


def spread(rng: np.random.Generator, actor: Actor, canvas: Canvas, num_frames: int) -> ShownProcess:
    """Show a drop whose area grows evenly, then another one elsewhere."""
    runs = _choose_runs(rng, num_frames, LIFE)
    side = min(canvas.width, canvas.height)
    first, last = max(MIN_RADIUS_PX, DROP_RADIUS[0] * side), DROP_RADIUS[1] * side
    places = rng.uniform((last, last), (canvas.width - last, canvas.height - last), (_most_runs(LIFE), 2))
    radius_T = np.sqrt(first**2 + (last**2 - first**2) * runs.phase_T)
    track = to_track(replace(actor, shape="circle", radius_px=last), places[runs.run_T], wraps=False)
    track = replace(track, name=name_of("drop", actor), scale_T=radius_T / last)
    return ShownProcess(tracks=(track,), events=_log("drop", actor, "wider", runs, canvas))


def scatter(rng: np.random.Generator, actor: Actor, canvas: Canvas, num_frames: int) -> ShownProcess:
    """Show pieces that fly from one place to all sides and slow down, then others from elsewhere."""
    runs = _choose_runs(rng, num_frames, LIFE)
    side = min(canvas.width, canvas.height)
    reach, radius_px = REACH * side, max(MIN_RADIUS_PX, PIECE_RADIUS * side)
    margin = min(reach + radius_px, side / 2 - 1)
    places = rng.uniform((margin, margin), (canvas.width - margin, canvas.height - margin), (_most_runs(LIFE), 2))
    turns = rng.uniform(0, 2 * np.pi, _most_runs(LIFE))
    distance_T = reach * (1 - np.exp(-DRAG * runs.phase_T)) / (1 - np.exp(-DRAG))
    piece = replace(actor, radius_px=radius_px)
    tracks = []
    for i in range(NUM_PIECES):
        angle_T = turns[runs.run_T] + 2 * np.pi * i / NUM_PIECES
        offset_T2 = distance_T[:, None] * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1)
        track = to_track(piece, places[runs.run_T] + offset_T2, wraps=False)
        tracks.append(replace(track, name=f"{name_of('burst', actor)} {i + 1}"))
    return ShownProcess(tracks=tuple(tracks), events=_log("burst", actor, "apart", runs, canvas))


def lose_height(rng: np.random.Generator, actor: Actor, canvas: Canvas, num_frames: int) -> ShownProcess:
    """Show a ball that crosses the frame with ever lower bounces, and enters again where it first came in."""
    runs = _choose_runs(rng, num_frames, PASS)
    way = int(rng.integers(2))
    radius_px = actor.radius_px
    floor, height = canvas.height - radius_px - 1, canvas.height - 2 * radius_px - 2
    x_T = canvas.width * (runs.phase_T if way else 1 - runs.phase_T)
    xy_T2 = np.stack([x_T, floor - height * _bounce_height(runs.phase_T)], axis=1)
    track = replace(to_track(replace(actor, shape="circle"), xy_T2, wraps=True), name=name_of("ball", actor))
    return ShownProcess(tracks=(track,), events=_log("ball", actor, "lower", runs, canvas))


def backwards(process: ShownProcess, canvas: Canvas, num_frames: int) -> ShownProcess:
    """Show the same frames from the last to the first."""
    end_ms = frame_ms(num_frames, canvas)
    tracks = [
        replace(track, xy_T2=track.xy_T2[::-1], scale_T=None if track.scale_T is None else track.scale_T[::-1])
        for track in process.tracks
    ]
    events = [
        replace(event, start_ms=end_ms - event.end_ms, end_ms=end_ms - event.start_ms, detail=BACKWARDS[event.detail])
        for event in reversed(process.events)
    ]
    return ShownProcess(tracks=tuple(tracks), events=tuple(events))


def drop_arrow(frames_THWC: Frames, color: tuple[int, int, int]) -> float:
    """Return the share of steps in which the color's area grows, less that in which it shrinks.

    Above 0, time runs forwards.
    """
    return _mostly_rising(follow(frames_THWC, color)[:, 2])


def burst_arrow(frames_THWC: Frames, color: tuple[int, int, int]) -> float:
    """Measure like ``drop_arrow``, but how far the color is spread around its center."""
    masks_THW = color_masks(frames_THWC, color)
    extents = [np.hypot(*(where.std() for where in np.nonzero(mask_HW))) for mask_HW in masks_THW if mask_HW.any()]
    return _mostly_rising(np.array(extents))


def ball_arrow(frames_THWC: Frames, color: tuple[int, int, int]) -> float:
    """Return how surely the bounces get lower where the ball goes: above 0 for sure, 0 if it is not seen."""
    seen_T3 = follow(frames_THWC, color)
    seen_T3 = seen_T3[~np.isnan(seen_T3[:, 0])]
    if len(seen_T3) < NUM_BOUNCES:
        return 0.0
    way = np.sign(np.median(steps(seen_T3, frames_THWC.shape[2], frames_THWC.shape[1])[:, 0]))
    return float(way * np.corrcoef(seen_T3[:, 0], seen_T3[:, 1])[0, 1])  # y grows downwards


PROCESSES: dict[ProcessKind, Callable[[np.random.Generator, Actor, Canvas, int], ShownProcess]] = {
    "drop": spread,
    "burst": scatter,
    "ball": lose_height,
}
ARROWS: dict[ProcessKind, Callable[[Frames, tuple[int, int, int]], float]] = {
    "drop": drop_arrow,
    "burst": burst_arrow,
    "ball": ball_arrow,
}


def _choose_runs(rng: np.random.Generator, num_frames: int, length: tuple[float, float]) -> Runs:
    num_frames_each = num_frames * float(rng.uniform(*length))
    reached_T = float(rng.uniform()) + np.arange(num_frames) / num_frames_each
    run_T = np.floor(reached_T).astype(np.int64)
    return Runs(run_T=run_T, phase_T=reached_T - run_T, num_frames_each=num_frames_each)


def _most_runs(length: tuple[float, float]) -> int:
    """Return how many runs a clip can show, whatever its phase is."""
    return int(1 + 1 / length[0]) + 1


def _log(kind: ProcessKind, actor: Actor, change: str, runs: Runs, canvas: Canvas) -> tuple[Event, ...]:
    """Log every run of which enough is seen."""
    frames_of_runs = [np.flatnonzero(runs.run_T == run) for run in np.unique(runs.run_T)]
    least = max(2.0, MIN_TOLD * runs.num_frames_each)
    return tuple(
        event_in(canvas, kind, name_of(kind, actor), int(frames[0]), int(frames[-1]) + 1, change)
        for frames in frames_of_runs
        if len(frames) >= least
    )


def _bounce_height(phase_T: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the height above the floor, 1 at the top of the first bounce.

    A bounce lasts in proportion to the square root of its height.
    """
    tops = RESTITUTION ** np.arange(NUM_BOUNCES)
    ends = np.cumsum(np.sqrt(tops)) / np.sqrt(tops).sum()
    bounce_T = np.minimum(np.searchsorted(ends, phase_T, side="right"), NUM_BOUNCES - 1)
    starts = np.concatenate([[0.0], ends[:-1]])
    share_T = (phase_T - starts[bounce_T]) / (ends - starts)[bounce_T]
    return np.asarray(tops[bounce_T] * 4 * share_T * (1 - share_T))


def _mostly_rising(values_T: npt.NDArray[np.float64]) -> float:
    """Return the share of rising steps less the share of falling ones; 0 without steps."""
    return float(np.sign(np.diff(values_T)).mean()) if len(values_T) > 1 else 0.0
