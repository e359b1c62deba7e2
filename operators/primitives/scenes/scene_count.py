"""Ask how many different scenes there are (A1 of arXiv 2506.06928), or how many shots; the options are four numbers.

The clip's length is chosen before the number of scenes, and the same number of captions is compared whatever is shown.
So neither the length nor a rejection tells the count. The paper's numbers, 1 to n + 3 for n scenes, are those of a
canvas with n + 3 scenes at most, up to level 1. From level 2 on there are ever more scenes.

A bag of frames gives the number of different scenes always: that is what is asked for. From level 2 on, every second
question asks for the shots, where scenes come again. These have the same frames for every answer, in another order, so
a bag of frames tells nothing of it. The first scene and the last one are chosen before the number of shots.
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from numpy.random import Generator
from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import (
    MAX_SHOTS_PER_SCENE,
    divide_lengths,
    pick_scenes,
    scene_limits,
    shuffled_shots,
    split_length,
)

MAX_OPTIONS_BY_LEVEL = (3, 4, 4, 4, 4)
SHOTS_FROM_LEVEL = 2
FEWEST_BY_LEVEL = (1, 1, 1, 2, 3)  # scenes that may be shown, as far as the canvas leaves enough numbers to choose from
FEWEST_OF_SHOTS_BY_LEVEL = (3, 3, 3, 3, 4)  # with two scenes, the first and the last one would tell how many shots


class SceneCount(PseudoVideo):
    """The number of different scenes."""

    task = "scene_count"
    free_form = True
    # What is counted is seen in any order, and a log counts it too.
    inherent: ClassVar[Inherent] = {
        "scenes one_number": 1.0,
        "scenes bag_of_frames": 1.0,
        "scenes first_and_last_frame": (0.67, 0.5, 0.45, 0.25, 0.25),  # two scenes are more than one
        "scenes any_two_frames": (0.52, 0.4, 0.4, 0.33, 0.33),
        "shots num_events": 1.0,
    }
    answer_kind = "number"
    order_dependent = False
    twin = "restaged"
    scenes_recur = True
    wordings_by_mode: ClassVar = {
        "scenes": (
            "How many different scenes appear in the video?",
            "What is the number of different scenes in the video?",
            "Count the different scenes of the video. How many are there?",
            "The video is made of how many different scenes?",
            "How many different scenes does the video have?",
            "From start to end, how many different scenes are shown?",
            "Give the number of different scenes that can be seen in the video.",
            "How many different scenes can be told apart in the video?",
        ),
        "shots": (
            "How many shots does the video have? A scene that comes back starts a new shot.",
            "What is the number of shots in the video, if a scene that returns counts again?",
            "Count the shots of the video, each return of a scene as one more. How many are there?",
            "The video cuts from shot to shot and may come back to a scene. How many shots are there in total?",
            "Into how many shots is the video cut? Scenes that are shown again count each time.",
            "From start to end, how many shots are there, repeated scenes included?",
            "Give the number of shots. Every time a scene comes back, it is another shot.",
            "How many separate shots follow one another in the video, counting each return to a scene?",
        ),
    }

    def arrange(self, choices: Choices) -> Arrangement:
        rng, (_, most) = choices.rng, scene_limits(choices)
        num_options = MAX_OPTIONS_BY_LEVEL[choices.level]
        few = max(1, min(FEWEST_BY_LEVEL[choices.level], most - num_options + 1))
        fewest = FEWEST_OF_SHOTS_BY_LEVEL[choices.level]
        may_recur = choices.level >= SHOTS_FROM_LEVEL and most >= fewest
        mode = "shots" if may_recur and rng.integers(2) else "scenes"
        facts = self.worded({"mode": mode}, choices)
        picked = pick_scenes(choices, most)
        if mode == "scenes":
            possible = range(few, most + 1)
            counts = rng.choice(possible, min(num_options, len(possible)), replace=False).tolist()
            truth = choices.choose_truth(counts)
            facts["options"] = [str(n) for n in counts]
            return Arrangement(order=picked[:truth], facts=facts, lengths=split_length(truth, most, choices))
        num_scenes = int(rng.integers(fewest, most)) if most > fewest else most
        counts = [num_scenes + int(i) for i in rng.choice(num_scenes + 1, num_options, replace=False)]
        order = [picked[i] for i in _shot_order(rng, num_scenes, choices.choose_truth(counts))]
        facts["options"] = [str(n) for n in counts]
        return Arrangement(order=order, facts=facts, lengths=divide_lengths(order, choices))

    def answer(self, order: Sequence[str], facts: Facts) -> str:
        return str(len(order) if facts["mode"] == "shots" else len(set(order)))

    def conclude(self, facts: Facts, answer: str) -> str:
        return f"The number of {facts['mode']} is {answer}."


def _shot_order(rng: Generator, num_scenes: int, num_shots: int) -> list[int]:
    """Order scenes, each of them one to three times and none after itself."""
    first, last = (int(i) for i in rng.choice(num_scenes, 2, replace=False))
    while True:
        again = rng.integers(num_scenes, size=num_shots - num_scenes)
        shots = [*range(num_scenes), *(int(i) for i in again)]
        if max(Counter(shots).values()) > MAX_SHOTS_PER_SCENE:
            continue
        order = shuffled_shots(rng, shots, first, last)
        if order is not None:
            return order
