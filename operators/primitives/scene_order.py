"""In which order do the scenes come? (R1 of arXiv 2506.06928: three random permutations as options.)

The permutations are drawn first and the video is rendered in one of them, so no option is the odd one out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import ClassVar, Literal

from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Question, Scene, ScenePlan
from operators.seeding import rng
from operators.shots import compose, draw_num_scenes, draw_shot_lengths, pick_scenes, shown, tell_order

MAX_OPTIONS = 3
WORDINGS = (
    "Which of the following options best describes the order of scenes in the video?",
    "In what order do the scenes appear in the video?",
    "Which option lists the scenes in the order in which they are shown?",
    "What is the correct order of the scenes?",
)


class SceneOrder(Primitive):
    task: ClassVar[str] = "scene_order"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        num_scenes = draw_num_scenes(draw, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        orders: list[tuple[int, ...]] = []
        while len(orders) < min(MAX_OPTIONS, factorial(num_scenes)):
            listed = tuple(int(i) for i in draw.permutation(num_scenes))
            if listed not in orders:
                orders.append(listed)
        truth = orders[draw_truth(draw, len(orders), address)]
        facts = {
            "options": [_listing([picked[i].caption for i in listed]) for listed in orders],
            "wording": int(draw.integers(len(WORDINGS))),
        }
        order = [picked[i] for i in truth]
        return compose(order, draw_shot_lengths(order, canvas, address), canvas, address, facts)

    def ask(self, plan: ScenePlan) -> Question:
        options = tuple(plan.facts["options"])
        truth = _listing([event.subject for event in shown(plan)])
        return Question(text=WORDINGS[plan.facts["wording"]], options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        answer = question.options[question.answer_index]
        return f"{tell_order(shown(plan), style)} {answer}" if style == "detailed" else answer


def _listing(captions: Sequence[str]) -> str:
    return " ".join(f"Scene {i}: {caption}." for i, caption in enumerate(captions, start=1))
