"""How many different scenes are there? (A1 of arXiv 2506.06928: three numbers as options.)

The clip's length is drawn before the number of scenes, and so many scenes are compared for alikeness whatever their
number, so neither length nor rejection says anything about the count.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Question, Scene, ScenePlan
from operators.seeding import rng
from operators.shots import compose, pick_scenes, scene_limits, shown, split_length, tell_order

MAX_OPTIONS = 3
WORDINGS = (
    "How many different scenes appear in the video?",
    "What is the number of scenes in the video?",
    "Count the scenes of the video. How many are there?",
    "The video is made of how many different scenes?",
)


class SceneCount(Primitive):
    task: ClassVar[str] = "scene_count"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "pseudo_video"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        _, most = scene_limits(canvas, address.level, minimum=2)
        counts = [1 + int(i) for i in draw.choice(most, min(MAX_OPTIONS, most), replace=False)]
        truth = counts[draw_truth(draw, len(counts), address)]
        order = pick_scenes(scenes, most, address)[:truth]
        facts = {"options": [str(n) for n in counts], "wording": int(draw.integers(len(WORDINGS)))}
        return compose(order, split_length(truth, most, canvas, address), canvas, address, facts)

    def ask(self, plan: ScenePlan) -> Question:
        options = tuple(plan.facts["options"])
        truth = str(len({event.subject for event in shown(plan)}))
        return Question(text=WORDINGS[plan.facts["wording"]], options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        answer = question.options[question.answer_index]
        return f"{tell_order(shown(plan), style)} The number of scenes is {answer}."
