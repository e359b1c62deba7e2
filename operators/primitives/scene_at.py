"""What does the i-th scene show? (A2 of arXiv 2506.06928: four captions, here all of scenes in the video.)"""

from __future__ import annotations

from typing import ClassVar, Literal

from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Question, Scene, ScenePlan
from operators.seeding import rng
from operators.shots import compose, draw_num_scenes, draw_shot_lengths, pick_scenes, shown, tell_order

MAX_OPTIONS = 4
WORDINGS = (
    "There are {count} scenes in the video. What does scene {number} depict?",
    "What is shown in scene {number} of the {count} scenes?",
    "The video has {count} scenes. Which of these is scene number {number}?",
    "Counting from the start, what does scene {number} of {count} show?",
)


class SceneAt(Primitive):
    task: ClassVar[str] = "scene_at"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        num_scenes = draw_num_scenes(draw, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        options = picked[:MAX_OPTIONS]
        truth = options[draw_truth(draw, len(options), address)]
        place = int(draw.integers(num_scenes))
        order = [picked[i] for i in draw.permutation(num_scenes)]
        other = order.index(truth)
        order[place], order[other] = order[other], order[place]
        facts = {
            "number": place + 1,
            "options": [scene.caption for scene in options],
            "wording": int(draw.integers(len(WORDINGS))),
        }
        return compose(order, draw_shot_lengths(order, canvas, address), canvas, address, facts)

    def ask(self, plan: ScenePlan) -> Question:
        number, options, events = plan.facts["number"], tuple(plan.facts["options"]), shown(plan)
        text = WORDINGS[plan.facts["wording"]].format(count=len(events), number=number)
        return Question(text=text, options=options, answer_index=options.index(events[number - 1].subject))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        answer = question.options[question.answer_index]
        return f"{tell_order(shown(plan), style)} Scene {plan.facts['number']} is {answer}."
