"""From when to when does something happen? (Temporal grounding: the spans of NExT-GQA, ReXTime and Charades-STA).

The options are spans of one length, and they are chosen first. All of them hold the middle of the clip. So a moment
there is in every option, and any other moment tells two groups of options apart. Starts are two shown frames apart or
more, so an end that is seen late changes no answer. All shapes rest at both ends of the clip. Other shapes do the same
in a span of the list, each on its own, so when they do it says nothing about the shape asked about. Spans are evenly
apart: for how long shapes act together then fits an order of spans and its reverse.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.shapes import TURNED_SHAPES
from temporay.operators.pixels.silhouettes import MIN_AREA_PX
from temporay.operators.primitives._base import CONCLUSIONS, Facts, Phrases
from temporay.operators.primitives._stated import Stated
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, stand_apart
from temporay.operators.primitives.motion._stage import Actor, color_of
from temporay.operators.records import Event, ScenePlan, TimeSpan, Track
from temporay.operators.seeding import choose_one, shuffled

NUM_OPTIONS_BY_LEVEL = (2, 3, 4, 4, 4)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)  # each does the same in a span of its own
# How long all options overlap, in the longest gaps between shown frames. Ends are then few in a long clip.
SHARED_GAPS_BY_LEVEL = (4, 5, 6, 12, 18)
STEP_GAPS = 2  # from the start of an option to that of the next, at least
REACH = 1.1  # how far a moving shape gets from its place, in radii
SMALL = 0.5  # size of a shrunk shape
GRAY = (128, 128, 128)
MIN_CHANGE = 0.1  # change of a mask over the largest change in the clip
OPTION = re.compile(r"from (\d+\.\d) s to (\d+\.\d) s")
STATES = ("visible", "moving", "spinning", "small", "gray")


class EventSpan(DrawnMotion[TimeSpan]):
    """Question about the start and the end of what a shape does."""

    task = "event_span"
    answer_kind = "interval"
    twin = "restaged"  # spans overlap, so other spans show other frames
    gaps_by_level = tuple(
        shared + 2 * STEP_GAPS * (count - 1) + 3.5
        for shared, count in zip(SHARED_GAPS_BY_LEVEL, NUM_OPTIONS_BY_LEVEL, strict=True)
    )
    concluding: ClassVar[Phrases] = {
        "span": tuple(text.format(answer="from {start} s to {end} s") for text in CONCLUSIONS)
    }

    wordings = (
        "From when to when is the {name} {state}?",
        "When is the {name} {state}?",
        "In which part of the video is the {name} {state}?",
        "Between which times is the {name} {state}?",
        "When does the time in which the {name} is {state} start and end?",
        "Give the span of time in which the {name} is {state}.",
        "In which of these intervals is the {name} {state}, from start to end?",
        "During which seconds of the video is the {name} {state}?",
        "From what time until what time is the {name} {state}?",
    )
    phrases: ClassVar[Phrases] = {
        "span": (
            "From {start} s to {end} s the {subject} is {detail}.",
            "Between {start} s and {end} s it is the {subject} that is {detail}.",
            "Starting at {start} s and ending at {end} s, the {subject} is {detail}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"span": ("The {subject} is {detail}: {start} s, {end} s.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas = setting.rng, setting.canvas
        state = choose_one(rng, STATES)
        spans = _choose_spans(setting)
        truth = setting.choose_truth(spans)
        actors = _resting_actors(setting, state, 1 + NUM_DISTRACTORS_BY_LEVEL[setting.level])
        tracks, events = list[Track](), []
        for still in stand_apart(setting, actors, CORNER + REACH):
            start, end = choose_one(rng, spans) if tracks else truth
            tracks.append(_acting(still, state, start, end, float(rng.uniform(0, 2 * np.pi))))
            events.append(setting.event_in("span", still.name, start, end, state))
        options = [_told(start / canvas.fps, end / canvas.fps) for start, end in spans]
        return MotionClip(tracks, events, {"name": actors[0].name, "state": state, "options": options})

    def values(self, facts: Facts) -> tuple[TimeSpan, ...]:
        return tuple((float(start), float(end)) for start, end in OPTION.findall("\n".join(facts["options"])))

    def stated(self, kind: str, subject: str | None, detail: str | None) -> Stated:
        """Return the shape and its state as what is meant: the question gives both, and the times are the answer."""
        return Stated(about=frozenset(given for given in (subject, detail) if given is not None))

    def logged(self, events: Sequence[Event], facts: Facts) -> TimeSpan:
        event = next(event for event in events if event.subject == facts["name"])
        return event.start_ms / 1000, event.end_ms / 1000

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether only one option begins and ends between the right shown frames."""
        shown_s = np.array([-1, *frames, plan.num_frames]) / plan.fps
        start_s, end_s = self.logged(plan.events, plan.facts)
        inside = [i for i, shown in enumerate(shown_s) if start_s - 1e-6 <= shown < end_s - 1e-6]
        if not inside:
            return False
        first, last = inside[0], inside[-1]
        possible = [
            shown_s[first - 1] < start + 0.05
            and start - 0.05 <= shown_s[first]
            and shown_s[last] < end + 0.05
            and end - 0.05 <= shown_s[last + 1]
            for start, end in self.values(plan.facts)
        ]
        return possible.count(True) == 1

    def seen(self, witness: Witness, facts: Facts) -> TimeSpan | None:
        """Find the frames in which the mask of the shape's color is not what it is in the first frame."""
        masks_THW = color_masks(witness.frames_THWC, color_of(facts["name"]))
        changed_T = (masks_THW ^ masks_THW[0]).sum(axis=(1, 2))
        if changed_T.max() < MIN_AREA_PX:
            return None
        acting = np.nonzero(changed_T > MIN_CHANGE * changed_T.max())[0]
        # Shown frames may reach to the end of the clip or stop a step before it: half a step is left to either.
        frame_s = len(changed_T) / (len(changed_T) - 0.5) / witness.fps
        start_s, end_s = (acting[0] - 0.5) * frame_s, (acting[-1] + 0.5) * frame_s
        return min(self.values(facts), key=lambda span: abs(span[0] - start_s) + abs(span[1] - end_s))

    def answer(self, measured: TimeSpan, facts: Facts) -> str:
        return _told(*measured)


def _told(start_s: float, end_s: float) -> str:
    return f"from {start_s:.1f} s to {end_s:.1f} s"


def _choose_spans(setting: Setting) -> list[tuple[int, int]]:
    """Choose frames [start, end) of spans of one length, evenly apart, in any order.

    All hold the middle of the clip. At either end of the clip two shown frames rest.
    """
    rng, gap, count = setting.rng, setting.gap, NUM_OPTIONS_BY_LEVEL[setting.level]
    shared = SHARED_GAPS_BY_LEVEL[setting.level] * gap
    most, middle = setting.num_frames - gap - 1, setting.num_frames // 2
    spare = most - gap - 1 - shared - 2 * STEP_GAPS * gap * (count - 1)
    step = STEP_GAPS * gap + int(rng.integers(spare // (4 * (count - 1)) + 1))
    last = step * (count - 1)  # from the first start to the last
    length = last + shared + int(rng.integers(spare // 4 + 1))
    earliest, latest = max(gap + 1, middle + 2 - length), min(middle - 1, most - length) - last
    starts = int(rng.integers(earliest, latest + 1)) + step * np.arange(count)
    return shuffled(rng, [(int(start), int(start) + length) for start in starts])


def _resting_actors(setting: Setting, state: str, num_actors: int) -> list[Actor]:
    """Choose actors small enough to move in their cells; those that spin have a shape that shows it."""
    most_px = cell_room_px(setting.canvas, num_actors) / (CORNER + REACH)
    actors = []
    for actor in setting.choose_actors(num_actors):
        turned = choose_one(setting.rng, TURNED_SHAPES)
        shape = turned if state == "spinning" else actor.shape
        actors.append(replace(actor, shape=shape, radius_px=min(actor.radius_px, most_px)))
    return actors


def _acting(still: Track, state: str, start: int, end: int, angle: float) -> Track:
    """Return the track with its span: in its frames, and in no other, the shape is not as it rests."""
    num_frames, length = len(still.xy_T2), end - start
    share_T = np.zeros(num_frames)  # share of the span that has passed
    share_T[start:end] = np.arange(1, length + 1) / (length + 1)
    inside_T = share_T > 0
    if state == "visible":
        return replace(still, visible_T=inside_T)
    if state == "gray":
        colors_23 = np.array([still.color, GRAY], np.uint8)
        return replace(still, color_T3=colors_23[inside_T.astype(int)])
    if state == "small":
        return replace(still, scale_T=np.where(inside_T, SMALL, 1.0))
    if state == "spinning":
        angle_deg_T: npt.NDArray[np.float64] = np.mod(np.rad2deg(angle) + 360 * share_T, 360.0)
        return replace(still, angle_deg_T=angle_deg_T)
    away_T1 = REACH * still.radius_px * np.sin(np.pi * share_T)[:, None]  # there and back
    return replace(still, xy_T2=still.xy_T2 + away_T1 * np.array([np.cos(angle), np.sin(angle)]))
