"""What a clip shows, as ideal states of the things in it: exact places, sizes, colors and angles, without a pixel.

plan -> Thing (a shape or a scene, where it is and how it looks in every frame) -> Watched (which are asked and named)

A state is what a perfect eye sees in a frame. A thing that is hidden has no place, and an angle is known up to whole
turns.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from temporay.operators.dataset.rows import SampleRow
from temporay.operators.pixels.shapes import OUTLINES
from temporay.operators.primitives.motion._panels import cells, halves
from temporay.operators.records import ScenePlan, Track

NOWHERE = -1.0  # the place, in shares of the frame, of what is not seen
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A shape, or a scene of a pseudo-video. Places are shares of the frame's width and height."""

    names: tuple[str, ...]  # what questions and options may call it
    xy_T2: Doubles
    period_2: Doubles  # after how much a place comes again; infinite without joined edges
    visible_T: npt.NDArray[np.bool_]
    size_T: Doubles  # parts of the frame's shorter side
    angle_T: Doubles  # turns
    color_T3: Doubles  # 0 to 1
    kind_T: Doubles  # its outline and what is written on it, as a number
    window: tuple[int, int, int, int] | None  # the part of the frame it stays in


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One sample and its things."""

    row: SampleRow
    plan: ScenePlan
    things: tuple[Thing, ...]
    asked: tuple[int, ...]  # things that the question names, in its order
    named: tuple[tuple[int, ...], ...]  # for every option, things that it names, in its order


def watch(row: SampleRow, plan: ScenePlan) -> Watched:
    """Collect the things of a plan, and which of them question and options name."""
    things = (*_scenes(plan), *_joined([_shape(track, plan) for track in plan.tracks]))
    numbers = {name: i for i, thing in reversed(list(enumerate(things))) for name in thing.names if name}
    named = tuple(things_in(option, numbers) for option in row["options"])
    return Watched(row=row, plan=plan, things=things, asked=things_in(row["question"], numbers), named=named)


def things_in(text: str, numbers: Mapping[str, int]) -> tuple[int, ...]:
    """Return the things that a text names, in its order; the longest name at a place counts."""
    if not numbers:
        return ()
    longest = sorted(numbers, key=len, reverse=True)
    found = re.finditer("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest), text)
    return tuple(numbers[match[0]] for match in found)


def _shape(track: Track, plan: ScenePlan) -> Thing:
    num_frames, frame = len(track.xy_T2), np.array([plan.width, plan.height], np.float64)
    box = track.window_px or (0, 0, plan.width, plan.height)
    period_2 = np.subtract(box[2:], box[:2]) / frame if track.wraps else np.full(2, np.inf)
    scale_T = np.ones(num_frames) if track.scale_T is None else track.scale_T
    angle_T = np.zeros(num_frames) if track.angle_deg_T is None else track.angle_deg_T / 360.0
    colors = np.tile(track.color, (num_frames, 1)) if track.color_T3 is None else track.color_T3
    visible_T = track.visible_T & (track.wraps | _is_within(track, scale_T, box))
    return Thing(
        names=(track.name, *_panel_names(track, plan)),
        xy_T2=np.where(visible_T[:, None], track.xy_T2 / frame, NOWHERE),
        period_2=period_2,
        visible_T=visible_T,
        size_T=track.radius_px * scale_T / min(plan.width, plan.height),
        angle_T=angle_T,
        color_T3=colors / 255.0,
        kind_T=np.full(num_frames, float(sum(map(ord, track.shape + track.label)))),
        window=track.window_px,
    )


def _is_within(track: Track, scale_T: Doubles, box: tuple[int, int, int, int]) -> npt.NDArray[np.bool_]:
    """Return in which frames a shape reaches into the part of the frame in which it is painted."""
    share = float(np.abs(OUTLINES[track.shape]).max()) if track.shape in OUTLINES else 1.0
    reach_T1 = share * track.radius_px * scale_T[:, None]
    inside_T2 = (track.xy_T2 + reach_T1 > box[:2]) & (track.xy_T2 - reach_T1 < box[2:])
    return np.asarray(inside_T2.all(axis=1))


def _joined(things: Sequence[Thing]) -> list[Thing]:
    """Join things of one name of which never two are seen at once: a shape that another one takes the place of.

    How many tracks a plan draws a shape with is nothing that a viewer sees.
    """
    joined: list[Thing] = []
    for thing in things:
        same = [n for n, other in enumerate(joined) if other.names == thing.names and other.window == thing.window]
        free = [n for n in same if not (joined[n].visible_T & thing.visible_T).any()]
        if not free:
            joined.append(thing)
            continue
        other = joined[free[0]]
        joined[free[0]] = replace(
            other,
            xy_T2=np.where(thing.visible_T[:, None], thing.xy_T2, other.xy_T2),
            visible_T=other.visible_T | thing.visible_T,
            size_T=np.where(thing.visible_T, thing.size_T, other.size_T),
            angle_T=np.where(thing.visible_T, thing.angle_T, other.angle_T),
            color_T3=np.where(thing.visible_T[:, None], thing.color_T3, other.color_T3),
            kind_T=np.where(thing.visible_T, thing.kind_T, other.kind_T),
        )
    return joined


def _panel_names(track: Track, plan: ScenePlan) -> tuple[str, ...]:
    """Return what questions call the part of the frame that a shape stays in."""
    if track.window_px is None:
        return ()
    size = plan.width, plan.height
    panels = [*halves(*size), *cells(*size, 2), *cells(*size, 3)]
    return tuple(dict.fromkeys(panel.name for panel in panels if panel.window_px == track.window_px))


def _scenes(plan: ScenePlan) -> list[Thing]:
    """Return one thing for every scene, seen in all shots that show it, under the caption that the log has."""
    captions = {event.start_ms: event.subject for event in plan.events if event.kind == "scene"}
    visible: dict[str, npt.NDArray[np.bool_]] = {}
    for shot in plan.shots:
        name = captions.get(1000.0 * shot.start_frame / plan.fps, str(shot.scene.image_id))
        visible.setdefault(name, np.zeros(plan.num_frames, np.bool_))[shot.start_frame : shot.end_frame] = True
    still = np.zeros(plan.num_frames)
    return [
        Thing(
            names=(name,),
            xy_T2=np.repeat(np.where(visible_T, 0.5, NOWHERE)[:, None], 2, axis=1),
            period_2=np.full(2, np.inf),
            visible_T=visible_T,
            size_T=still,
            angle_T=still,
            color_T3=np.zeros((plan.num_frames, 3)),
            kind_T=still,
            window=None,
        )
        for name, visible_T in visible.items()
    ]


def steps_between(thing: Thing, frames: Sequence[int]) -> tuple[Doubles, Doubles]:
    """Return the (N-1, 2) steps and (N-1,) turns of a thing between frames, each the shorter way round.

    A step from or to a frame that hides the thing is 0.
    """
    at = np.asarray(frames)
    step_N2, period_2 = np.diff(thing.xy_T2[at], axis=0), thing.period_2
    joined = np.isfinite(period_2)
    step_N2[:, joined] = (step_N2[:, joined] + period_2[joined] / 2) % period_2[joined] - period_2[joined] / 2
    turn_N = (np.diff(thing.angle_T[at]) + 0.5) % 1.0 - 0.5
    seen_N = thing.visible_T[at][1:] & thing.visible_T[at][:-1]
    return np.where(seen_N[:, None], step_N2, 0.0), np.where(seen_N, turn_N, 0.0)
