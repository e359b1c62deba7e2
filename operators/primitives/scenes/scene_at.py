"""Ask what the i-th scene shows (A2 of arXiv 2506.06928: four captions, here all of scenes in the video).

From level 3 on the i-th scene may be one that is not listed, and then none of the other answers is correct.
"""

from collections.abc import Sequence
from typing import ClassVar

from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo, conclude_with, or_none, with_none
from temporay.operators.primitives.scenes._shots import choose_scenes
from temporay.operators.seeding import shuffled

MAX_OPTIONS = 4


class SceneAt(PseudoVideo):
    """The scene at a place of the order."""

    task = "scene_at"
    # Place 1 is the first frame.
    inherent: ClassVar[Inherent] = {"first_frame": 0.75, "last_frame": 0.72, "two_frames": 0.8}
    wordings = (
        "There are {count} scenes in the video. What does scene {number} depict?",
        "What is shown in scene {number} of the {count} scenes?",
        "The video has {count} scenes. Which of these is scene number {number}?",
        "Counting from the start, what does scene {number} of {count} show?",
        "Number the {count} scenes from 1 to {count}. Which description fits scene {number}?",
        "Of the {count} scenes, which one is in place {number}?",
        "The video goes through {count} scenes. What can be seen in scene {number}?",
        "Which of these is scene {number}, if the video has {count} of them?",
    )

    def arrange(self, choices: Choices) -> Arrangement:
        picked = choose_scenes(choices)
        options = with_none([scene.caption for scene in picked[:MAX_OPTIONS]], choices.level)
        truth = choices.choose_truth(picked[: len(options)])
        place = int(choices.rng.integers(len(picked)))
        order = shuffled(choices.rng, picked)
        other = order.index(truth)
        order[place], order[other] = order[other], order[place]
        return Arrangement(order=order, facts={"count": len(picked), "number": place + 1, "options": options})

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        return or_none(order[facts["number"] - 1], facts["options"]) if len(order) == facts["count"] else None

    def conclude(self, facts: Facts, answer: str) -> str:
        return conclude_with(f"Scene {facts['number']}", answer)
