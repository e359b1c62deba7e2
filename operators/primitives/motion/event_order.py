"""In what order do the shapes appear, or disappear? (SynRL, arXiv 2603.17693, short-term: sequential event order.)

Each shape is seen alone for a while and vanishes again. How long and where it is seen belongs to the shape, and the
clip begins and ends with an empty stage, so another order shows the very same frames: neither one frame nor all of
them in a bag say who came first.
"""

from __future__ import annotations

from dataclasses import replace
from math import factorial
from typing import ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.pixels.silhouettes import MIN_AREA_PX
from temporay.operators.primitives._base import Primitive, Style, Twin, choose_truth
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._stage import choose_actors, choose_num_frames, drawn_plan, frame_ms, to_track
from temporay.operators.records import Address, AnswerKind, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import random_parts, rng_at

NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 5)
MIN_SPAN_FRAMES = 2
MAX_OPTIONS = 4
WORDINGS = {
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


class EventOrder(Primitive):
    task: ClassVar[str] = "event_order"
    answer_kind: ClassVar[AnswerKind] = "order"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"
    phrases: ClassVar[Phrases] = {
        "appears": (
            "The {subject} is seen from {start} s to {end} s.",
            "From {start} s to {end} s the {subject} is in view.",
            "At {start} s the {subject} appears, and at {end} s it is gone.",
            "The {subject} comes at {start} s and goes at {end} s.",
        )
    }

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        # by the shortest clip of the canvas, not by this one's length, which must not tell anything
        most = (canvas.num_frames[0] - 2) // MIN_SPAN_FRAMES
        num_shapes = max(2, min(NUM_SHAPES_BY_LEVEL[address.level], most))
        actors = choose_actors(rng, canvas, num_shapes, address.level)
        orders: list[tuple[int, ...]] = []
        while len(orders) < min(MAX_OPTIONS, factorial(num_shapes)):
            order = tuple(int(i) for i in rng.permutation(num_shapes))
            if order not in orders:
                orders.append(order)
        truth = orders[choose_truth(rng, len(orders), address)]
        num_frames = choose_num_frames(address, canvas)
        lengths, gaps = _choose_lengths(rng, num_shapes, num_frames)
        centers = [
            rng.uniform((a.radius_px, a.radius_px), (canvas.width - a.radius_px, canvas.height - a.radius_px))
            for a in actors
        ]
        tracks, events, end = [], [], 0
        for place, i in enumerate(truth):
            start = end + gaps[place]
            end = start + lengths[i]
            still = to_track(actors[i], np.tile(centers[i], (num_frames, 1)), wraps=False)
            frames_T = np.arange(num_frames)
            tracks.append(replace(still, visible_T=(frames_T >= start) & (frames_T < end)))
            start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
            events.append(Event(kind="appears", subject=actors[i].name, start_ms=start_ms, end_ms=end_ms))
        mode = tuple(WORDINGS)[int(rng.integers(len(WORDINGS)))]
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks),
            events=tuple(events),
            facts={
                "mode": mode,
                "options": [", ".join(actors[i].name for i in order) for order in orders],
                "wording": int(rng.integers(len(WORDINGS[mode]))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        mode, options = plan.facts["mode"], tuple(plan.facts["options"])
        when = {"appear": lambda e: e.start_ms, "disappear": lambda e: e.end_ms}[mode]
        truth = ", ".join(event.subject for event in sorted(plan.events, key=when))
        text = WORDINGS[mode][plan.facts["wording"]]
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        return f"The order is {question.options[question.answer_index]}."

    def recover(self, witness: Witness) -> int | None:
        """By the mean frame in which each shape's colour is seen."""
        names = witness.options[0].split(", ")
        seen: dict[str, float] = {}
        for name in names:
            area_T = color_masks(witness.frames_THWC, COLORS[name.split()[0]]).sum(axis=(1, 2))
            if not (area_T >= MIN_AREA_PX).any():
                return None
            seen[name] = float(np.nonzero(area_T > area_T.max() / 2)[0].mean())
        order = ", ".join(sorted(names, key=seen.__getitem__))
        return witness.options.index(order) if order in witness.options else None


def _choose_lengths(rng: np.random.Generator, num_shapes: int, num_frames: int) -> tuple[list[int], list[int]]:
    """How many frames each shape is seen, and the gaps before the first, between them and after the last.

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
