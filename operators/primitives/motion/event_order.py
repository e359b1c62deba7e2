"""In what order do the shapes appear, or disappear? (SynRL, arXiv 2603.17693, short-term: sequential event order).

Each shape is seen alone for a while and vanishes again. How long and where it is seen belongs to the shape, and the
clip begins and ends empty. So another order shows the very same frames: neither one frame nor all of them without their
order tell which shape came first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import factorial
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.pixels.silhouettes import MIN_AREA_PX
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Claim, Phrases, read_lists
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import still_track
from temporay.operators.records import Event
from temporay.operators.seeding import choose_one, random_parts

NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 5)
MIN_SPAN_FRAMES = 2
MAX_OPTIONS = 4
LISTING, COMMA = re.compile(r"\b[Tt]he order is ([^.\n]+)"), re.compile(", ")  # as concise reasoning tells it


class EventOrder(DrawnMotion[list[str]]):
    """Question about the order in which shapes come or go."""

    task = "event_order"
    answer_kind = "order"
    order_dependent = True
    twin = "reordered"
    concise = "The order is {answer}."

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "appear": (
            "In what order do the shapes appear?",
            "Which option lists the shapes in the order in which they appear?",
            "The shapes are shown one after the other. In what order?",
            "What is the order of appearance of the shapes?",
            "Name the shapes from the first to the last that comes into view.",
            "How do the shapes follow one another in the video?",
            "Which sequence of shapes does the video show?",
            "Sort the shapes by the time at which they come into view.",
        ),
        "disappear": (
            "In what order do the shapes disappear?",
            "Which option lists the shapes in the order in which they disappear?",
            "The shapes vanish one after the other. In what order?",
            "What is the order of disappearance of the shapes?",
            "Name the shapes from the first to the last that goes out of view.",
            "Which shape vanishes first, which next, and so on?",
            "In which sequence are the shapes taken away?",
            "Sort the shapes by the time at which they vanish.",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "appears": (
            "The {subject} is seen from {start} s to {end} s.",
            "From {start} s to {end} s the {subject} is in view.",
            "At {start} s the {subject} appears, and at {end} s it is gone.",
            "The {subject} comes at {start} s and goes at {end} s.",
        )
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, num_frames = setting.rng, setting.canvas, setting.num_frames
        # by the shortest clip of the canvas, not by this one's length, which must not tell anything
        most = (canvas.num_frames[0] - 2) // MIN_SPAN_FRAMES
        num_shapes = max(2, min(NUM_SHAPES_BY_LEVEL[setting.level], most))
        actors = setting.choose_actors(num_shapes)
        orders: list[tuple[int, ...]] = []
        while len(orders) < min(MAX_OPTIONS, factorial(num_shapes)):
            order = tuple(int(i) for i in rng.permutation(num_shapes))
            if order not in orders:
                orders.append(order)
        truth = setting.choose_truth(orders)
        lengths, gaps = _choose_lengths(rng, num_shapes, num_frames)
        size = np.array([canvas.width, canvas.height])
        centers = [rng.uniform((a.radius_px, a.radius_px), size - a.radius_px) for a in actors]
        tracks, events, end, frames_T = [], [], 0, np.arange(num_frames)
        for gap, i in zip(gaps, truth, strict=False):
            start, end = end + gap, end + gap + lengths[i]
            still = still_track(actors[i], centers[i], num_frames)
            tracks.append(replace(still, visible_T=(frames_T >= start) & (frames_T < end)))
            events.append(event_in(canvas, "appears", actors[i].name, start, end))
        options = [", ".join(actors[i].name for i in order) for order in orders]
        return MotionClip(tracks, events, {"mode": choose_one(rng, tuple(self.wordings_by_mode)), "options": options})

    def claims(self, text: str, names: Sequence[str] = ()) -> list[Claim]:
        """Read the sentence that lists the shapes too: its order is what it claims."""
        return [*read_lists("appears", text, LISTING, COMMA, names), *super().claims(text, names)]

    def logged(self, events: Sequence[Event], facts: Facts) -> list[str]:
        asks_start = facts["mode"] == "appear"
        ordered = sorted(events, key=lambda event: event.start_ms if asks_start else event.end_ms)
        return [event.subject for event in ordered]

    def seen(self, witness: Witness, facts: Facts) -> list[str] | None:
        """Order the shapes by the mean frame in which their color is seen."""
        middle: dict[str, float] = {}
        for name in facts["options"][0].split(", "):
            area_T = color_masks(witness.frames_THWC, COLORS[name.split()[0]]).sum(axis=(1, 2))
            if not (area_T >= MIN_AREA_PX).any():
                return None
            middle[name] = float(np.nonzero(area_T > area_T.max() / 2)[0].mean())
        return sorted(middle, key=middle.__getitem__)

    def answer(self, measured: list[str], facts: Facts) -> str:
        return ", ".join(measured)


def _choose_lengths(rng: np.random.Generator, num_shapes: int, num_frames: int) -> tuple[list[int], list[int]]:
    """Choose how many frames each shape is seen, and the gaps before the first, between them and after the last.

    The first and the last frame of the clip are empty; what is left goes to spans and gaps at random.
    """
    shortest = max(MIN_SPAN_FRAMES, num_frames // (num_shapes + 2))
    spare = num_frames - 2 - num_shapes * shortest
    extra = random_parts(rng, spare, 2 * num_shapes + 1)
    lengths = [shortest + n for n in extra[:num_shapes]]
    gaps = extra[num_shapes:]
    gaps[0] += 1
    gaps[-1] += 1
    return lengths, gaps
