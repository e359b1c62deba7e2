"""Which of the listed scenes comes first, or last? (R3 of arXiv 2506.06928: the listed scenes are the options.)"""

from __future__ import annotations

from typing import ClassVar, Literal

from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Question, Scene, ScenePlan
from operators.seeding import rng
from operators.shots import compose, draw_num_scenes, draw_shot_lengths, pick_scenes, shown, tell_order

MAX_OPTIONS = 4
WORDINGS = (
    "The following scenes appear in the video, not necessarily in this order: {listed}. Of those scenes, which occurs "
    "{end}?",
    "Which of these scenes is shown {end}: {listed}?",
    "The video has these scenes, in some order: {listed}. Which one comes {end}?",
    "Among {listed}, which scene appears {end} in the video?",
)


class FirstLast(Primitive):
    task: ClassVar[str] = "first_last"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        num_scenes = draw_num_scenes(draw, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        num_options = min(MAX_OPTIONS, num_scenes)
        truth = draw_truth(draw, num_options, address)
        end = ("first", "last")[int(draw.integers(2))]
        places = [int(i) for i in draw.permutation(num_scenes)]  # places[i]: where scene i is shown
        listed = range(num_options)
        extreme = (min if end == "first" else max)(listed, key=lambda i: places[i])
        places[truth], places[extreme] = places[extreme], places[truth]
        order = [scene for _, scene in sorted(zip(places, picked, strict=True), key=lambda pair: pair[0])]
        facts = {
            "end": end,
            "options": [picked[i].caption for i in listed],
            "wording": int(draw.integers(len(WORDINGS))),
        }
        return compose(order, draw_shot_lengths(order, canvas, address), canvas, address, facts)

    def ask(self, plan: ScenePlan) -> Question:
        end, options = plan.facts["end"], tuple(plan.facts["options"])
        order = [event.subject for event in shown(plan) if event.subject in options]
        truth = order[0] if end == "first" else order[-1]
        text = WORDINGS[plan.facts["wording"]].format(end=end, listed=", ".join(f'"{o}"' for o in options))
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        listed = [e for e in shown(plan) if e.subject in question.options]
        answer = question.options[question.answer_index]
        return f"{tell_order(listed, style)} The {plan.facts['end']} is {answer}."
