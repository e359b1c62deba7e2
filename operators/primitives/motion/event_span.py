"""From when to when does something happen? (Temporal grounding: the spans of NExT-GQA, ReXTime and Charades-STA.)

The options are spans of one length that do not touch, drawn first; other shapes do the same in the other spans. A
shape begins and ends what it does in the state it rests in, so another answer shows the same frames in another order:
only their times tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.shapes import COLORS, TURNED_SHAPES
from temporay.operators.pixels.silhouettes import MIN_AREA_PX
from temporay.operators.primitives._base import CONCLUSIONS, Primitive, Twin, choose_truth
from temporay.operators.primitives._claims import Claim, Phrases, read_claims
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, place_apart
from temporay.operators.primitives.motion._stage import (
    Actor,
    choose_actors,
    choose_num_frames,
    drawn_plan,
    frame_ms,
    to_track,
)
from temporay.operators.records import Address, AnswerKind, Event, Question, Scene, ScenePlan, TimeSpan, Track
from temporay.operators.seeding import random_parts, rng_at

NUM_OPTIONS_BY_LEVEL = (3, 3, 4, 4, 4)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)  # each does the same in a span of its own
MIN_SPAN_FRAMES = 2
MIN_SPAN_S = 0.2  # spans are told with one decimal
MIN_BLINK_FRAMES = 3  # off, on, off
REACH = 1.1  # how far a moving shape gets from its place, in radii
SMALL = 0.5  # size of a shrunk shape
MIN_CHANGE = 0.1  # of a mask, against the largest change in the clip
OPTION = re.compile(r"from (\d+\.\d) s to (\d+\.\d) s")
STATES = ("visible", "moving", "spinning", "small", "blinking")
WORDINGS = (
    "From when to when is the {name} {state}?",
    "When is the {name} {state}?",
    "In which part of the video is the {name} {state}?",
    "Between which times is the {name} {state}?",
    "Give the start and the end of the time in which the {name} is {state}.",
    "Find the moment: the {name} is {state}.",
    "Which interval is the one in which the {name} is {state}?",
    "During which seconds of the clip is the {name} {state}?",
    "Locate in time: when does the {name} start being {state}, and when does it stop?",
)
CONCLUDING = {"span": tuple(text.format(answer="from {start} s to {end} s") for text in CONCLUSIONS)}


class EventSpan(Primitive):
    task: ClassVar[str] = "event_span"
    answer_kind: ClassVar[AnswerKind] = "interval"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"
    phrases: ClassVar[Phrases] = {
        "span": (
            "From {start} s to {end} s the {subject} is {detail}.",
            "Between {start} s and {end} s it is the {subject} that is {detail}.",
            "Starting at {start} s and ending at {end} s, the {subject} is {detail}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"span": ("The {subject} is {detail}: {start} s, {end} s.",)}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_options, states = _possible(canvas, address.level)
        state = states[int(rng.integers(len(states)))]
        num_frames = choose_num_frames(address, canvas)
        spans = _choose_spans(rng, num_options, state, num_frames, canvas)
        truth = choose_truth(rng, num_options, address)
        num_actors = min(num_options, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level])
        actors = _resting_actors(rng, canvas, state, num_actors, address.level)
        room_px = [actor.radius_px * (CORNER + REACH) for actor in actors]
        centers = place_apart(rng, canvas, room_px)
        others = [i for i in rng.permutation(num_options) if i != truth]
        tracks, events = [], []
        for actor, center, i in zip(actors, centers, [truth, *others][: len(actors)], strict=True):
            still = to_track(actor, np.tile(center, (num_frames, 1)), wraps=False)
            angle = float(rng.uniform(0, 2 * np.pi))
            start, end = spans[i]
            tracks.append(_acting(still, state, start, end, angle))
            start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
            events.append(Event(kind="span", subject=actor.name, start_ms=start_ms, end_ms=end_ms, detail=state))
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks),
            events=tuple(events),
            facts={
                "name": actors[0].name,
                "state": state,
                "options": [_told(frame_ms(start, canvas), frame_ms(end, canvas)) for start, end in spans],
                "wording": int(rng.integers(len(WORDINGS))),
            },
        )

    def values(self, facts: Mapping[str, Any]) -> tuple[TimeSpan, ...]:
        return tuple((float(start), float(end)) for start, end in OPTION.findall("\n".join(facts["options"])))

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], tuple(plan.facts["options"])
        event = next(e for e in plan.events if e.subject == name)
        text = WORDINGS[plan.facts["wording"]].format(name=name, state=plan.facts["state"])
        truth = _told(event.start_ms, event.end_ms)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def claims(self, text: str) -> list[Claim]:
        """The conclusion has times too, so it is a claim like the others."""
        return read_claims(text, (self.phrases, self.concise_phrases, CONCLUDING))

    def recover(self, witness: Witness) -> int | None:
        """By the frames in which the mask of the shape's colour is not what it is in most frames."""
        masks_THW = color_masks(witness.frames_THWC, COLORS[witness.facts["name"].split()[0]])
        if masks_THW.sum(axis=(1, 2)).max() < MIN_AREA_PX:
            return None
        rest_HW = np.median(masks_THW, axis=0) > 0.5
        changed_T = (masks_THW ^ rest_HW).sum(axis=(1, 2))
        if changed_T.max() < MIN_AREA_PX:
            return None
        acting = np.nonzero(changed_T > MIN_CHANGE * changed_T.max())[0]
        frames_T = np.arange(len(changed_T))
        acting_T = (frames_T >= acting[0]) & (frames_T <= acting[-1])  # a blinking shape is seen in between
        seconds_T = (frames_T + 0.5) / witness.fps
        overlaps = []
        for start_s, end_s in self.values(witness.facts):
            inside_T = (seconds_T > start_s) & (seconds_T < end_s)
            overlaps.append(float((inside_T & acting_T).sum() / max(1, (inside_T | acting_T).sum())))
        best = int(np.argmax(overlaps))
        return best if overlaps[best] > 0.5 else None


def _told(start_ms: float, end_ms: float) -> str:
    return f"from {start_ms / 1000:.1f} s to {end_ms / 1000:.1f} s"


def _possible(canvas: Canvas, level: int) -> tuple[int, tuple[str, ...]]:
    """How many options and which states the shortest clip of the canvas has room for.

    Raises:
        UserError: not even two spans fit.
    """
    shortest = _shortest_span(canvas)
    num_frames = canvas.num_frames[0]
    num_options = min(NUM_OPTIONS_BY_LEVEL[level], (num_frames - 1) // shortest)
    if num_options < 2:
        raise UserError(
            f"canvas.num_frames={canvas.num_frames} at canvas.fps={canvas.fps} allows clips of {num_frames} frames, "
            f"but event_span needs {2 * shortest + 1}; raise its first number to {2 * shortest + 1} or more"
        )
    blinks = (num_frames - 1) // num_options >= MIN_BLINK_FRAMES
    return num_options, STATES if blinks else STATES[:-1]


def _shortest_span(canvas: Canvas) -> int:
    return max(MIN_SPAN_FRAMES, int(np.ceil(MIN_SPAN_S * canvas.fps)))


def _choose_spans(
    rng: np.random.Generator, num_options: int, state: str, num_frames: int, canvas: Canvas
) -> list[tuple[int, int]]:
    """Frames [start, end) of as many spans of one length, in any order; at least one frame is in none."""
    shortest, longest = _shortest_span(canvas), (num_frames - 1) // num_options
    length = int(rng.integers(shortest, max(shortest, num_frames // (num_options + 1)) + 1))
    if state == "blinking":  # off at both ends, so that the span is the one that is seen
        length = max(MIN_BLINK_FRAMES, length)
        length -= 1 - length % 2
    length = min(length, longest)
    spare = num_frames - num_options * length
    gaps = random_parts(rng, spare, num_options + 1)
    starts = np.cumsum(gaps[:-1]) + length * np.arange(num_options)
    return [(int(starts[i]), int(starts[i]) + length) for i in rng.permutation(num_options)]


def _resting_actors(rng: np.random.Generator, canvas: Canvas, state: str, num_actors: int, level: int) -> list[Actor]:
    """Actors small enough to move in cells of their own; those that spin are of a shape that shows it."""
    most_px = cell_room_px(canvas, num_actors) / (CORNER + REACH)
    actors = []
    for actor in choose_actors(rng, canvas, num_actors, level):
        turned = TURNED_SHAPES[int(rng.integers(len(TURNED_SHAPES)))]
        shape = turned if state == "spinning" else actor.shape
        actors.append(replace(actor, shape=shape, radius_px=min(actor.radius_px, most_px)))
    return actors


def _acting(still: Track, state: str, start: int, end: int, angle: float) -> Track:
    """The track with its span: in every frame of it, and in no other, the shape is not as it rests."""
    num_frames, length = len(still.xy_T2), end - start
    share_T = np.zeros(num_frames)  # of the span
    share_T[start:end] = np.arange(1, length + 1) / (length + 1)
    inside_T = share_T > 0
    if state == "visible":
        return replace(still, visible_T=inside_T)
    if state == "blinking":
        return replace(still, visible_T=~inside_T | ((np.arange(num_frames) - start) % 2 == 1))
    if state == "small":
        return replace(still, scale_T=np.where(inside_T, SMALL, 1.0))
    if state == "spinning":
        angle_deg_T: npt.NDArray[np.float64] = np.mod(np.rad2deg(angle) + 360 * share_T, 360.0)
        return replace(still, angle_deg_T=angle_deg_T)
    away_T1 = REACH * still.radius_px * np.sin(np.pi * share_T)[:, None]  # there and back
    return replace(still, xy_T2=still.xy_T2 + away_T1 * np.array([np.cos(angle), np.sin(angle)]))
