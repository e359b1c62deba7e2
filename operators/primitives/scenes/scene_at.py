"""What does the i-th scene show? (A2 of arXiv 2506.06928: four captions, here all of scenes in the video.)

From level 3 on the i-th scene may be one that is not listed, and then none of the other answers is correct.
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
from temporay.operators.primitives.scenes._shots import choose_num_scenes, choose_shot_lengths, compose, pick_scenes
from temporay.operators.records import Address, Scene, ScenePlan
from temporay.operators.seeding import rng_at

MAX_OPTIONS = 4
WORDINGS = (
    "There are {count} scenes in the video. What does scene {number} depict?",
    "What is shown in scene {number} of the {count} scenes?",
    "The video has {count} scenes. Which of these is scene number {number}?",
    "Counting from the start, what does scene {number} of {count} show?",
    "Number the {count} scenes from 1 to {count}. Which description fits scene {number}?",
    "Of the {count} scenes, which one is in place {number}?",
    "The video goes through {count} scenes. What can be seen in scene {number}?",
    "Which of these is scene {number}, if the video has {count} of them?",
)


class SceneAt(PseudoVideo):
    task: ClassVar[str] = "scene_at"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_scenes = choose_num_scenes(rng, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        options = [scene.caption for scene in picked[:MAX_OPTIONS]]
        if NONE_OF_THE_OTHERS_BY_LEVEL[address.level]:
            options[-1] = NONE_OF_THE_OTHERS
        truth = picked[choose_truth(rng, len(options), address)]
        place = int(rng.integers(num_scenes))
        order = [picked[i] for i in rng.permutation(num_scenes)]
        other = order.index(truth)
        order[place], order[other] = order[other], order[place]
        facts = {
            "count": num_scenes,
            "number": place + 1,
            "options": options,
            "wording": int(rng.integers(len(WORDINGS))),
        }
        return compose(order, choose_shot_lengths(order, canvas, address), canvas, address, facts)

    def text(self, facts: Mapping[str, Any]) -> str:
        return WORDINGS[facts["wording"]].format(count=facts["count"], number=facts["number"])

    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str | None:
        return or_none(order[facts["number"] - 1], facts["options"]) if len(order) == facts["count"] else None

    def conclude(self, plan: ScenePlan, answer: str) -> str:
        if answer == NONE_OF_THE_OTHERS:
            return f"Scene {plan.facts['number']} is not among the answers, so {answer}."
        return f"Scene {plan.facts['number']} is {answer}."
