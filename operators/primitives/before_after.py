"""Does one scene come before or after another? (R2 of arXiv 2506.06928.)

Which of the two scenes is named first in the question is drawn before the order in which they are shown.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Question, Scene, ScenePlan
from operators.seeding import rng
from operators.shots import compose, draw_num_scenes, draw_shot_lengths, pick_scenes, shown, tell_order

WORDINGS = (
    'In the given video, does the scene that can be captioned as "{asked}" happen before or after the scene that can '
    'be captioned as "{anchor}"?',
    'Is "{asked}" shown before or after "{anchor}"?',
    'Two of the scenes are "{asked}" and "{anchor}". Does the first-named one come before or after the other?',
    'Relative to the scene "{anchor}", when does the scene "{asked}" appear?',
)


class BeforeAfter(Primitive):
    task: ClassVar[str] = "before_after"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        options = ["before", "after"] if draw.integers(2) else ["after", "before"]
        truth = options[draw_truth(draw, 2, address)]
        num_scenes = draw_num_scenes(draw, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        places = [int(i) for i in draw.permutation(num_scenes)]  # places[i]: where scene i is shown
        if (places[0] < places[1]) != (truth == "before"):
            places[0], places[1] = places[1], places[0]
        order = [scene for _, scene in sorted(zip(places, picked, strict=True), key=lambda pair: pair[0])]
        facts = {
            "asked": picked[0].caption,
            "anchor": picked[1].caption,
            "options": options,
            "wording": int(draw.integers(len(WORDINGS))),
        }
        return compose(order, draw_shot_lengths(order, canvas, address), canvas, address, facts)

    def ask(self, plan: ScenePlan) -> Question:
        asked, anchor, options = plan.facts["asked"], plan.facts["anchor"], tuple(plan.facts["options"])
        order = [event.subject for event in shown(plan)]
        truth = "before" if order.index(asked) < order.index(anchor) else "after"
        text = WORDINGS[plan.facts["wording"]].format(asked=asked, anchor=anchor)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        named = [e for e in shown(plan) if e.subject in (plan.facts["asked"], plan.facts["anchor"])]
        answer = question.options[question.answer_index]
        subject = f'The scene "{plan.facts["asked"]}"' if style == "detailed" else "It"
        return f"{tell_order(named, style)} {subject} is {answer}."
