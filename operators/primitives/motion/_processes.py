"""Processes that look wrong backwards: a drop that spreads, pieces that fly apart, a ball that loses height.

Each repeats from a phase drawn evenly over its course, so a frame at any place of the clip, the first and the last
among them, looks alike in a clip played forwards and in one played backwards; only how it changes tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import FOLLOWED_COLOR, color_masks, follow, steps
from temporay.operators.primitives.motion._stage import Actor, frame_ms, to_track
from temporay.operators.records import Event, Frames, Track

ProcessKind = Literal["drop", "burst", "ball"]
BACKWARDS = {"wider": "narrower", "apart": "together", "lower": "higher"}  # what happens, and what it looks like then
LIFE = (0.6, 1.0)  # of a drop or a burst, in clips
PASS = (0.8, 1.0)  # of a ball from edge to edge, in clips
MIN_TOLD = 0.35  # of a course: less of it is not told
DROP_RADIUS = (0.06, 0.26)  # first and last, of the frame's shorter side
NUM_PIECES = 6
PIECE_RADIUS = 0.035
REACH = 0.28  # of the pieces, of the frame's shorter side
DRAG = 2.0
MIN_RADIUS_PX = 4.0
NUM_BOUNCES = 3  # from edge to edge
RESTITUTION = 0.55  # each bounce's height over that of the one before
MIN_BALL_FRAMES = 14  # shorter clips have too few frames a bounce


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one source shows in a clip, and the log of it."""

    tracks: tuple[Track, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Courses:
    """Which run of a repeated process each frame belongs to, and how far that run is, 0 to 1."""

    run_T: npt.NDArray[np.int64]
    phase_T: npt.NDArray[np.float64]
    num_frames_each: float


def name_of(kind: ProcessKind, actor: Actor) -> str:
    """What chains of thought call the source."""
    return f"{actor.color_name} {'pieces' if kind == 'burst' else kind}"


def spread(rng: np.random.Generator, actor: Actor, canvas: Canvas, num_frames: int) -> Process:
    """A drop whose area grows evenly, then another elsewhere."""
    courses = _choose_courses(rng, num_frames, LIFE)
    side = min(canvas.width, canvas.height)
    first, last = max(MIN_RADIUS_PX, DROP_RADIUS[0] * side), DROP_RADIUS[1] * side
    places = rng.uniform((last, last), (canvas.width - last, canvas.height - last), (_most_runs(LIFE), 2))
    radius_T = np.sqrt(first**2 + (last**2 - first**2) * courses.phase_T)
    track = to_track(replace(actor, shape="circle", radius_px=last), places[courses.run_T], wraps=False)
    track = replace(track, name=name_of("drop", actor), scale_T=radius_T / last)
    return Process(tracks=(track,), events=_log("drop", actor, "wider", courses, canvas))


def scatter(rng: np.random.Generator, actor: Actor, canvas: Canvas, num_frames: int) -> Process:
    """Pieces that fly from one place to all sides and are slowed down, then others from elsewhere."""
    courses = _choose_courses(rng, num_frames, LIFE)
    side = min(canvas.width, canvas.height)
    reach, radius_px = REACH * side, max(MIN_RADIUS_PX, PIECE_RADIUS * side)
    margin = min(reach + radius_px, side / 2 - 1)
    places = rng.uniform((margin, margin), (canvas.width - margin, canvas.height - margin), (_most_runs(LIFE), 2))
    turns = rng.uniform(0, 2 * np.pi, _most_runs(LIFE))
    distance_T = reach * (1 - np.exp(-DRAG * courses.phase_T)) / (1 - np.exp(-DRAG))
    piece = replace(actor, radius_px=radius_px)
    tracks = []
    for i in range(NUM_PIECES):
        angle_T = turns[courses.run_T] + 2 * np.pi * i / NUM_PIECES
        offset_T2 = distance_T[:, None] * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1)
        track = to_track(piece, places[courses.run_T] + offset_T2, wraps=False)
        tracks.append(replace(track, name=f"{name_of('burst', actor)} {i + 1}"))
    return Process(tracks=tuple(tracks), events=_log("burst", actor, "apart", courses, canvas))


def lose_height(rng: np.random.Generator, actor: Actor, canvas: Canvas, num_frames: int) -> Process:
    """A ball that crosses the frame to either side, each bounce lower, and enters again where it first came in."""
    courses = _choose_courses(rng, num_frames, PASS)
    way = int(rng.integers(2))
    radius_px = actor.radius_px
    floor, height = canvas.height - radius_px - 1, canvas.height - 2 * radius_px - 2
    x_T = canvas.width * (courses.phase_T if way else 1 - courses.phase_T)
    xy_T2 = np.stack([x_T, floor - height * _bounce_height(courses.phase_T)], axis=1)
    track = replace(to_track(replace(actor, shape="circle"), xy_T2, wraps=True), name=name_of("ball", actor))
    return Process(tracks=(track,), events=_log("ball", actor, "lower", courses, canvas))


def backwards(process: Process, canvas: Canvas, num_frames: int) -> Process:
    """The same frames from the last to the first."""
    end_ms = frame_ms(num_frames, canvas)
    tracks = [
        replace(track, xy_T2=track.xy_T2[::-1], scale_T=None if track.scale_T is None else track.scale_T[::-1])
        for track in process.tracks
    ]
    events = [
        replace(event, start_ms=end_ms - event.end_ms, end_ms=end_ms - event.start_ms, detail=BACKWARDS[event.detail])
        for event in reversed(process.events)
    ]
    return Process(tracks=tuple(tracks), events=tuple(events))


def drop_arrow(frames_THWC: Frames, color: tuple[int, int, int]) -> float:
    """Share of steps in which the colour's area grows, less that in which it shrinks: above 0, forwards."""
    return _mostly_rising(follow(frames_THWC, color)[:, 2])


def burst_arrow(frames_THWC: Frames, color: tuple[int, int, int]) -> float:
    """The same of how far the colour is spread around its middle."""
    masks_THW = color_masks(frames_THWC, color, FOLLOWED_COLOR)
    extents = [np.hypot(*(where.std() for where in np.nonzero(mask_HW))) for mask_HW in masks_THW if mask_HW.any()]
    return _mostly_rising(np.array(extents))


def ball_arrow(frames_THWC: Frames, color: tuple[int, int, int]) -> float:
    """Whether the bounces are lower where the ball is going (above 0) or where it comes from; 0 when not seen."""
    seen_T3 = follow(frames_THWC, color)
    seen_T3 = seen_T3[~np.isnan(seen_T3[:, 0])]
    if len(seen_T3) < NUM_BOUNCES:
        return 0.0
    way = np.sign(np.median(steps(seen_T3, frames_THWC.shape[2], frames_THWC.shape[1])[:, 0]))
    return float(way * np.corrcoef(seen_T3[:, 0], seen_T3[:, 1])[0, 1])  # y grows downwards


STAGES: dict[ProcessKind, Callable[[np.random.Generator, Actor, Canvas, int], Process]] = {
    "drop": spread,
    "burst": scatter,
    "ball": lose_height,
}
ARROWS: dict[ProcessKind, Callable[[Frames, tuple[int, int, int]], float]] = {
    "drop": drop_arrow,
    "burst": burst_arrow,
    "ball": ball_arrow,
}


def _choose_courses(rng: np.random.Generator, num_frames: int, length: tuple[float, float]) -> Courses:
    num_frames_each = num_frames * float(rng.uniform(*length))
    reached_T = float(rng.uniform()) + np.arange(num_frames) / num_frames_each
    run_T = np.floor(reached_T).astype(np.int64)
    return Courses(run_T=run_T, phase_T=reached_T - run_T, num_frames_each=num_frames_each)


def _most_runs(length: tuple[float, float]) -> int:
    """In a clip, however the phase is drawn."""
    return int(1 + 1 / length[0]) + 1


def _log(kind: ProcessKind, actor: Actor, change: str, courses: Courses, canvas: Canvas) -> tuple[Event, ...]:
    """One event per run of which enough is seen."""
    events = []
    for run in np.unique(courses.run_T):
        frames = np.flatnonzero(courses.run_T == run)
        if len(frames) >= max(2.0, MIN_TOLD * courses.num_frames_each):
            start_ms, end_ms = frame_ms(int(frames[0]), canvas), frame_ms(int(frames[-1]) + 1, canvas)
            subject = name_of(kind, actor)
            events.append(Event(kind=kind, subject=subject, start_ms=start_ms, end_ms=end_ms, detail=change))
    return tuple(events)


def _bounce_height(phase_T: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Height above the floor, 1 at the top of the first bounce; a bounce lasts as the root of its height."""
    tops = RESTITUTION ** np.arange(NUM_BOUNCES)
    ends = np.cumsum(np.sqrt(tops)) / np.sqrt(tops).sum()
    bounce_T = np.minimum(np.searchsorted(ends, phase_T, side="right"), NUM_BOUNCES - 1)
    starts = np.concatenate([[0.0], ends[:-1]])
    share_T = (phase_T - starts[bounce_T]) / (ends - starts)[bounce_T]
    height_T: npt.NDArray[np.float64] = tops[bounce_T] * 4 * share_T * (1 - share_T)
    return height_T


def _mostly_rising(values_T: npt.NDArray[np.float64]) -> float:
    """Share of rising steps less share of falling ones; 0 when there are no steps."""
    return float(np.sign(np.diff(values_T)).mean()) if len(values_T) > 1 else 0.0
