"""Straight runs of shapes on the joined frame: how one is drawn, how its speed is logged, told and seen.

A race is several shapes, each of which keeps its own speed and direction; what is asked is how their speeds compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, speed_px
from temporay.operators.primitives.motion._stage import (
    Actor,
    at_events,
    color_of,
    frame_ms,
    spread_frames,
    straight_steps,
    tell_path,
    to_track,
    torus_path,
)
from temporay.operators.records import Event, ScenePlan, Track

DIRECTION_PHRASES = (  # of ``moves`` events whose detail is a direction
    "From {start} s to {end} s the {subject} moves {detail}.",
    "For the time from {start} s to {end} s the {subject} goes {detail}.",
    "Between {start} s and {end} s the {subject} heads {detail}.",
)
SPEED_PHRASES = (  # of ``moves`` events whose detail is a speed in px/s
    "From {start} s to {end} s the {subject} moves at {detail} px/s.",
    "For the time from {start} s to {end} s the {subject} covers {detail} px every second.",
    "Between {start} s and {end} s the {subject} keeps a speed of {detail} px/s.",
)


def choose_run(
    rng: np.random.Generator, actor: Actor, step_px_T: npt.NDArray[np.float64], num_angles: int, canvas: Canvas
) -> Track:
    """A shape that starts anywhere and goes in one of ``num_angles`` directions by these (T-1,) px steps."""
    angle_deg = 360.0 * int(rng.integers(num_angles)) / num_angles
    start_xy = rng.uniform((0.0, 0.0), (canvas.width, canvas.height))
    return to_track(actor, torus_path(start_xy, straight_steps(angle_deg, step_px_T), canvas), wraps=True)


def choose_race(
    rng: np.random.Generator,
    actors: Sequence[Actor],
    travels: Sequence[float],
    num_angles: int,
    num_frames: int,
    canvas: Canvas,
) -> tuple[tuple[Track, ...], tuple[Event, ...]]:
    """Tracks, in a random order of painting, and the log: the speed of every shape, and where it is four times.

    Args:
        travels: how far each shape gets in the whole clip, in parts of the frame's shorter side.
    """
    tracks: list[Track] = []
    events: list[Event] = []
    for actor, travel in zip(actors, travels, strict=True):
        step_px = min(canvas.width, canvas.height) * travel / (num_frames - 1)
        track = choose_run(rng, actor, np.full(num_frames - 1, step_px), num_angles, canvas)
        tracks.append(track)
        events.extend(at_events(actor.name, track.xy_T2, canvas, spread_frames(num_frames)))
        end_ms = frame_ms(num_frames, canvas)
        speed = f"{step_px * canvas.fps:.1f}"
        events.append(Event(kind="moves", subject=actor.name, start_ms=0.0, end_ms=end_ms, detail=speed))
    return tuple(tracks[i] for i in rng.permutation(len(tracks))), tuple(events)


def logged_speeds(plan: ScenePlan) -> dict[str, float]:
    """px/s of every shape of a race, by name, from the log."""
    return {event.subject: float(event.detail) for event in plan.events if event.kind == "moves"}


def tell_race(plan: ScenePlan) -> str:
    """The path of every shape of a race: "red circle x 3 5 7 9 y 4 4 4 4, blue square x 1 1 2 2 y 0 9 8 7"."""
    return ", ".join(f"{name} {tell_path(plan, name)}" for name in logged_speeds(plan))


def seen_speeds(witness: Witness, names: Sequence[str]) -> list[float] | None:
    """px per frame of every named shape as the frames show it; None when one is too seldom seen, or a cut-out."""
    colors = [color for name in names if (color := color_of(name)) is not None]
    speeds = [speed_px(witness.frames_THWC, color) for color in colors]
    return None if len(speeds) < len(names) or np.isnan(speeds).any() else speeds
