"""Which scene is immediately before or after another? (R4 of arXiv 2506.06928.)

Departs from the paper's code, whose option for "there is no such scene" was listed only when it was right: here it is
always an option and is right as often as any other, and every other option is a scene of the video.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Question, Scene, ScenePlan
from operators.seeding import rng
from operators.shots import compose, draw_num_scenes, draw_shot_lengths, pick_scenes, shown, tell_order

MAX_OPTIONS = 4
NO_SCENE = "there is no scene {side} it"
WORDINGS = (
    'One of the scenes in the video can be described as "{anchor}". What description best fits the scene immediately '
    "{side} it?",
    'Which scene comes directly {side} "{anchor}"?',
    'Look for the scene "{anchor}". What is shown immediately {side} it?',
    'What does the video show right {side} the scene "{anchor}"?',
)


class AdjacentScene(Primitive):
    task: ClassVar[str] = "adjacent_scene"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        num_scenes = draw_num_scenes(draw, canvas, address.level)
        anchor, *others = pick_scenes(scenes, num_scenes, address)
        side = ("before", "after")[int(draw.integers(2))]
        listed = others[: MAX_OPTIONS - 1]
        options = [NO_SCENE.format(side=side), *(scene.caption for scene in listed)]
        truth = draw_truth(draw, len(options), address)
        order = [others[i] for i in draw.permutation(len(others))]
        if truth == 0:
            place = 0 if side == "before" else len(order)
        else:
            place = order.index(listed[truth - 1]) + (1 if side == "before" else 0)
        order.insert(place, anchor)
        facts = {
            "anchor": anchor.caption,
            "side": side,
            "options": [options[i] for i in draw.permutation(len(options))],
            "wording": int(draw.integers(len(WORDINGS))),
        }
        return compose(order, draw_shot_lengths(order, canvas, address), canvas, address, facts)

    def ask(self, plan: ScenePlan) -> Question:
        anchor, side, options = plan.facts["anchor"], plan.facts["side"], tuple(plan.facts["options"])
        order = [event.subject for event in shown(plan)]
        place = order.index(anchor) + (1 if side == "after" else -1)
        truth = order[place] if 0 <= place < len(order) else NO_SCENE.format(side=side)
        text = WORDINGS[plan.facts["wording"]].format(anchor=anchor, side=side)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        answer, anchor, side = question.options[question.answer_index], plan.facts["anchor"], plan.facts["side"]
        story = tell_order(shown(plan), style)
        if answer == NO_SCENE.format(side=side):
            return f"{story} {anchor[:1].upper()}{anchor[1:]} is {'first' if side == 'before' else 'last'}: {answer}."
        return f"{story} Just {side} {anchor} is {answer}."
