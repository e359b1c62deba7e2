"""Straight runs of shapes on the joined frame: how one is chosen, and how its speed is logged and seen.

A race is several shapes, each of which keeps its own speed and direction; what is asked is how their speeds compare.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, speed_px
from temporay.operators.primitives.motion._drawn_motion import Setting
from temporay.operators.primitives.motion._stage import (
    Actor,
    at_events,
    choose_way,
    color_of,
    spread_frames,
    straight_steps,
)
from temporay.operators.records import Event, Track

DIRECTION_PHRASES = (  # for ``moves`` events whose detail is a direction
    "From {start} s to {end} s the {subject} moves {detail}.",
    "For the time from {start} s to {end} s the {subject} goes {detail}.",
    "Between {start} s and {end} s the {subject} heads {detail}.",
)
SPEED_PHRASES = (  # for ``moves`` events whose detail is a speed in px/s
    "From {start} s to {end} s the {subject} moves at {detail} px/s.",
    "For the time from {start} s to {end} s the {subject} covers {detail} px every second.",
    "Between {start} s and {end} s the {subject} keeps a speed of {detail} px/s.",
)


def choose_run(
    rng: np.random.Generator, actor: Actor, step_px_T: npt.NDArray[np.float64], num_angles: int, canvas: Canvas
) -> Track:
    """Let a shape start anywhere and go in one of ``num_angles`` directions by these (T-1,) px steps."""
    angle_deg = 360.0 * int(rng.integers(num_angles)) / num_angles
    return choose_way(rng, actor, straight_steps(angle_deg, step_px_T), canvas)


def choose_race(
    setting: Setting, actors: Sequence[Actor], travels: Sequence[float], num_angles: int
) -> tuple[list[Track], list[Event]]:
    """Let every shape keep a speed and a direction for the whole clip.

    Args:
        travels: how far each shape gets, in parts of the frame's shorter side.

    Returns:
        Tracks in a random order of painting, and the log: where every shape is at four times, and its speed in px/s.
    """
    canvas, num_steps = setting.canvas, setting.num_frames - 1
    tracks: list[Track] = []
    events: list[Event] = []
    for actor, travel in zip(actors, travels, strict=True):
        step_px = setting.side_px * travel / num_steps
        track = choose_run(setting.rng, actor, np.full(num_steps, step_px), num_angles, canvas)
        tracks.append(track)
        events.extend(at_events(actor.name, track.xy_T2, canvas, spread_frames(setting.num_frames)))
        events.append(setting.event("moves", actor.name, f"{step_px * canvas.fps:.1f}"))
    return [tracks[i] for i in setting.rng.permutation(len(tracks))], events


def logged_speeds(events: Sequence[Event]) -> dict[str, float]:
    """Return px/s of every shape of a race, by name."""
    return {event.subject: float(event.detail) for event in events if event.kind == "moves"}


def seen_speeds(witness: Witness, names: Sequence[str]) -> dict[str, float] | None:
    """Return px per frame of every named shape; None if one is a cut-out or too seldom seen whole."""
    colors = [color for name in names if (color := color_of(name)) is not None]
    speeds = [speed_px(witness.frames_THWC, color) for color in colors]
    return None if len(speeds) < len(names) or np.isnan(speeds).any() else dict(zip(names, speeds, strict=True))
