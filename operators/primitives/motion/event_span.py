"""From when to when does something happen? (Temporal grounding: the spans of NExT-GQA, ReXTime and Charades-STA).

The options are spans of one length that do not touch, and they are chosen first. Other shapes do the same in the other
spans. A shape begins and ends what it does in the state in which it rests. So another answer shows the same frames in
another order, and only their times tell.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.shapes import COLORS, TURNED_SHAPES
from temporay.operators.pixels.silhouettes import MIN_AREA_PX
from temporay.operators.primitives._base import CONCLUSIONS, Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import MIN_FRAMES, event_in
from temporay.operators.primitives._stated import Stated
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, place_apart
from temporay.operators.primitives.motion._stage import Actor, still_track
from temporay.operators.records import Event, TimeSpan, Track
from temporay.operators.seeding import choose_one, random_parts, shuffled

NUM_OPTIONS_BY_LEVEL = (3, 3, 4, 4, 4)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)  # each does the same in a span of its own
MIN_SPAN_FRAMES = 2
MIN_SPAN_S = 0.2  # spans are told with one decimal
MIN_BLINK_FRAMES = 3  # off, on, off
REACH = 1.1  # how far a moving shape gets from its place, in radii
SMALL = 0.5  # size of a shrunk shape
MIN_CHANGE = 0.1  # change of a mask over the largest change in the clip
OPTION = re.compile(r"from (\d+\.\d) s to (\d+\.\d) s")
STATES = ("visible", "moving", "spinning", "small", "blinking")


class EventSpan(DrawnMotion[TimeSpan]):
    """Question about the start and the end of what a shape does."""

    task = "event_span"
    answer_kind = "interval"
    order_dependent = True
    twin = "reordered"
    concluding: ClassVar[Phrases] = {
        "span": tuple(text.format(answer="from {start} s to {end} s") for text in CONCLUSIONS)
    }

    wordings = (
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
    phrases: ClassVar[Phrases] = {
        "span": (
            "From {start} s to {end} s the {subject} is {detail}.",
            "Between {start} s and {end} s it is the {subject} that is {detail}.",
            "Starting at {start} s and ending at {end} s, the {subject} is {detail}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"span": ("The {subject} is {detail}: {start} s, {end} s.",)}

    def min_frames(self, canvas: Canvas, level: int) -> int:
        return max(MIN_FRAMES, 2 * _shortest_span(canvas) + 1)

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, num_frames = setting.rng, setting.canvas, setting.num_frames
        num_options, states = _possible(canvas, setting.level)
        state = choose_one(rng, states)
        spans = _choose_spans(rng, num_options, state, num_frames, canvas)
        truth = setting.choose_truth(range(num_options))
        actors = _resting_actors(setting, state, min(num_options, 1 + NUM_DISTRACTORS_BY_LEVEL[setting.level]))
        centers = place_apart(rng, canvas, [actor.radius_px * (CORNER + REACH) for actor in actors])
        others = [i for i in rng.permutation(num_options) if i != truth]
        tracks, events = [], []
        for actor, center, i in zip(actors, centers, [truth, *others], strict=False):
            still, angle = still_track(actor, center, num_frames), float(rng.uniform(0, 2 * np.pi))
            start, end = spans[i]
            tracks.append(_acting(still, state, start, end, angle))
            events.append(event_in(canvas, "span", actor.name, start, end, state))
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

    def seen(self, witness: Witness, facts: Facts) -> TimeSpan | None:
        """Find the frames in which the mask of the shape's color is not what it is in most frames."""
        masks_THW = color_masks(witness.frames_THWC, COLORS[facts["name"].split()[0]])
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
        for start_s, end_s in self.values(facts):
            inside_T = (seconds_T > start_s) & (seconds_T < end_s)
            overlaps.append(float((inside_T & acting_T).sum() / max(1, (inside_T | acting_T).sum())))
        return self.values(facts)[int(np.argmax(overlaps))] if max(overlaps) > 0.5 else None

    def answer(self, measured: TimeSpan, facts: Facts) -> str:
        return _told(*measured)


def _told(start_s: float, end_s: float) -> str:
    return f"from {start_s:.1f} s to {end_s:.1f} s"


def _possible(canvas: Canvas, level: int) -> tuple[int, tuple[str, ...]]:
    """Return how many options and which states the shortest clip of the canvas has room for."""
    room = canvas.num_frames[0] - 1
    num_options = min(NUM_OPTIONS_BY_LEVEL[level], room // _shortest_span(canvas))
    return num_options, STATES if room // num_options >= MIN_BLINK_FRAMES else STATES[:-1]


def _shortest_span(canvas: Canvas) -> int:
    return max(MIN_SPAN_FRAMES, int(np.ceil(MIN_SPAN_S * canvas.fps)))


def _choose_spans(
    rng: np.random.Generator, num_options: int, state: str, num_frames: int, canvas: Canvas
) -> list[tuple[int, int]]:
    """Choose frames [start, end) of spans of one length, in any order; at least one frame is in none."""
    shortest, longest = _shortest_span(canvas), (num_frames - 1) // num_options
    length = int(rng.integers(shortest, max(shortest, num_frames // (num_options + 1)) + 1))
    if state == "blinking":  # off at both ends, so that the span is the one that is seen
        length = max(MIN_BLINK_FRAMES, length)
        length -= 1 - length % 2
    length = min(length, longest)
    spare = num_frames - num_options * length
    gaps = random_parts(rng, spare, num_options + 1)
    starts = np.cumsum(gaps[:-1]) + length * np.arange(num_options)
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
    if state == "blinking":
        return replace(still, visible_T=~inside_T | ((np.arange(num_frames) - start) % 2 == 1))
    if state == "small":
        return replace(still, scale_T=np.where(inside_T, SMALL, 1.0))
    if state == "spinning":
        angle_deg_T: npt.NDArray[np.float64] = np.mod(np.rad2deg(angle) + 360 * share_T, 360.0)
        return replace(still, angle_deg_T=angle_deg_T)
    away_T1 = REACH * still.radius_px * np.sin(np.pi * share_T)[:, None]  # there and back
    return replace(still, xy_T2=still.xy_T2 + away_T1 * np.array([np.cos(angle), np.sin(angle)]))
