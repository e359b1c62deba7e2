"""In what order do the shapes appear? (SynRL, arXiv 2603.17693, short-term: sequential event order.)

Each shape is seen alone for a while and vanishes again, and the clip's length is drawn before anything else, so no
single frame and no length says who came first.
"""

from __future__ import annotations

from dataclasses import replace
from math import factorial
from typing import ClassVar, Literal

import numpy as np

from operators.motion import draw_actors, draw_backdrop, draw_num_frames, frame_ms, to_track
from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Event, Question, Scene, ScenePlan
from operators.seeding import rng

NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 5)
MAX_OPTIONS = 4
WORDINGS = (
    "In what order do the shapes appear?",
    "Which option lists the shapes in the order in which they appear?",
    "The shapes are shown one after the other. In what order?",
    "What is the order of appearance of the shapes?",
)


class EventOrder(Primitive):
    task: ClassVar[str] = "event_order"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        num_shapes = NUM_SHAPES_BY_LEVEL[address.level]
        actors = draw_actors(draw, canvas, num_shapes, address.level)
        orders: list[tuple[int, ...]] = []
        while len(orders) < min(MAX_OPTIONS, factorial(num_shapes)):
            order = tuple(int(i) for i in draw.permutation(num_shapes))
            if order not in orders:
                orders.append(order)
        truth = orders[draw_truth(draw, len(orders), address)]
        num_frames = draw_num_frames(address, canvas)
        tracks, events = [], []
        for i, (start, end) in zip(truth, _draw_spans(draw, num_shapes, num_frames), strict=True):
            radius_px = actors[i].radius_px
            center = draw.uniform((radius_px, radius_px), (canvas.width - radius_px, canvas.height - radius_px))
            visible_T = (np.arange(num_frames) >= start) & (np.arange(num_frames) < end)
            still = to_track(actors[i], np.tile(center, (num_frames, 1)), wraps=False)
            tracks.append(replace(still, visible_T=visible_T))
            start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
            events.append(Event(kind="appears", subject=actors[i].name, start_ms=start_ms, end_ms=end_ms))
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=num_frames,
            backdrop=draw_backdrop(address),
            tracks=tuple(tracks),
            events=tuple(events),
            facts={
                "options": [", ".join(actors[i].name for i in order) for order in orders],
                "wording": int(draw.integers(len(WORDINGS))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        options = tuple(plan.facts["options"])
        truth = ", ".join(event.subject for event in sorted(plan.events, key=lambda e: e.start_ms))
        return Question(text=WORDINGS[plan.facts["wording"]], options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        answer = question.options[question.answer_index]
        if style == "concise":
            return f"The order is {answer}."
        spans = ", ".join(
            f"the {e.subject} is seen from {e.start_ms / 1000:.1f} s to {e.end_ms / 1000:.1f} s"
            for e in sorted(plan.events, key=lambda e: e.start_ms)
        )
        return f"{spans[:1].upper()}{spans[1:]}. The order is {answer}."


def _draw_spans(draw: np.random.Generator, num_shapes: int, num_frames: int) -> list[tuple[int, int]]:
    """Frame spans [start, end) that do not overlap; what is left of the clip goes to spans and gaps at random."""
    shortest = num_frames // (num_shapes + 1)
    spare = num_frames - num_shapes * shortest
    extra = draw.multinomial(spare, np.full(2 * num_shapes + 1, 1 / (2 * num_shapes + 1)))  # gap, span, gap, …, gap
    extra[1::2] += shortest
    edges = np.cumsum(extra)
    return [(int(edges[2 * i]), int(edges[2 * i + 1])) for i in range(num_shapes)]
