"""Which of the listed scenes comes first, or last? (R3 of arXiv 2506.06928: the listed scenes are the options.)

From level 3 on one of the listed scenes is no option; where it is the one, none of the other answers is correct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import choose_truth
from temporay.operators.primitives.scenes._question import (
    NONE_OF_THE_OTHERS,
    NONE_OF_THE_OTHERS_BY_LEVEL,
    PseudoVideo,
    or_none,
)
from temporay.operators.primitives.scenes._shots import (
    choose_num_scenes,
    choose_shot_lengths,
    compose,
    pick_scenes,
    shown,
)
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

MAX_LISTED = 4
WORDINGS = (
    "The following scenes appear in the video, not necessarily in this order: {listed}. Of those scenes, which occurs "
    "{end}?",
    "Which of these scenes is shown {end}: {listed}?",
    "The video has these scenes, in some order: {listed}. Which one comes {end}?",
    "Among {listed}, which scene appears {end} in the video?",
    "Consider the scenes {listed}. Which of them does the video show {end}?",
    "Of {listed}, which one is on the screen {end}?",
    "Watch for these scenes: {listed}. Which is the {end} of them to appear?",
    "If {listed} are put in the order in which they are shown, which comes {end}?",
)


class FirstLast(PseudoVideo):
    task: ClassVar[str] = "first_last"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_scenes = choose_num_scenes(rng, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        num_listed = min(MAX_LISTED, num_scenes)
        options = [scene.caption for scene in picked[:num_listed]]
        if NONE_OF_THE_OTHERS_BY_LEVEL[address.level]:
            options[-1] = NONE_OF_THE_OTHERS
        truth = choose_truth(rng, num_listed, address)
        end = ("first", "last")[int(rng.integers(2))]
        places = [int(i) for i in rng.permutation(num_scenes)]  # places[i]: where scene i is shown
        extreme = (min if end == "first" else max)(range(num_listed), key=lambda i: places[i])
        places[truth], places[extreme] = places[extreme], places[truth]
        order = [scene for _, scene in sorted(zip(places, picked, strict=True), key=lambda pair: pair[0])]
        wording = int(rng.integers(len(WORDINGS)))
        facts = {
            "end": end,
            "listed": [picked[i].caption for i in rng.permutation(num_listed)],
            "options": options,
            "wording": wording,
        }
        return compose(order, choose_shot_lengths(order, canvas, address), canvas, address, facts)

    def text(self, facts: Mapping[str, Any]) -> str:
        listed = ", ".join(f'"{caption}"' for caption in facts["listed"])
        return WORDINGS[facts["wording"]].format(end=facts["end"], listed=listed)

    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str | None:
        listed = [caption for caption in order if caption in facts["listed"]]
        if len(listed) < len(facts["listed"]):
            return None
        return or_none(listed[0 if facts["end"] == "first" else -1], facts["options"])

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return [event for event in shown(plan) if event.subject in plan.facts["listed"]]

    def conclude(self, plan: ScenePlan, answer: str) -> str:
        if answer == NONE_OF_THE_OTHERS:
            return f"The {plan.facts['end']} is not among the answers, so {answer}."
        return f"The {plan.facts['end']} is {answer}."
