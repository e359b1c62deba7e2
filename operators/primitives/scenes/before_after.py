"""Does one scene come before or after another? (R2 of arXiv 2506.06928.)

Which of the two scenes is named first in the question is drawn before the order in which they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import choose_truth
from temporay.operators.primitives.scenes._question import PseudoVideo
from temporay.operators.primitives.scenes._shots import (
    choose_num_scenes,
    choose_shot_lengths,
    compose,
    pick_scenes,
    shown,
)
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

WORDINGS = (
    'In the given video, does the scene that can be captioned as "{asked}" happen before or after the scene that can '
    'be captioned as "{anchor}"?',
    'Is "{asked}" shown before or after "{anchor}"?',
    'Two of the scenes are "{asked}" and "{anchor}". Does the first-named one come before or after the other?',
    'Relative to the scene "{anchor}", when does the scene "{asked}" appear?',
    'Does "{asked}" come earlier ("before") or later ("after") than "{anchor}"?',
    'When is the scene "{asked}" on the screen: before or after the scene "{anchor}"?',
    'Look for "{asked}" and for "{anchor}". Is the former before or after the latter?',
    'With respect to "{anchor}", at what point does the video show "{asked}"?',
)


class BeforeAfter(PseudoVideo):
    task: ClassVar[str] = "before_after"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        options = ["before", "after"] if rng.integers(2) else ["after", "before"]
        truth = options[choose_truth(rng, 2, address)]
        num_scenes = choose_num_scenes(rng, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        places = [int(i) for i in rng.permutation(num_scenes)]  # places[i]: where scene i is shown
        if (places[0] < places[1]) != (truth == "before"):
            places[0], places[1] = places[1], places[0]
        order = [scene for _, scene in sorted(zip(places, picked, strict=True), key=lambda pair: pair[0])]
        facts = {
            "asked": picked[0].caption,
            "anchor": picked[1].caption,
            "options": options,
            "wording": int(rng.integers(len(WORDINGS))),
        }
        return compose(order, choose_shot_lengths(order, canvas, address), canvas, address, facts)

    def text(self, facts: Mapping[str, Any]) -> str:
        return WORDINGS[facts["wording"]].format(asked=facts["asked"], anchor=facts["anchor"])

    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str | None:
        if not {facts["asked"], facts["anchor"]} <= set(order):
            return None
        return "before" if order.index(facts["asked"]) < order.index(facts["anchor"]) else "after"

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return [event for event in shown(plan) if event.subject in (plan.facts["asked"], plan.facts["anchor"])]

    def conclude(self, plan: ScenePlan, answer: str) -> str:
        return f"It is {answer}."
