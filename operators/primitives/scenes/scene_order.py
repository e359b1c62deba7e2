"""Ask in which order the scenes come (R1 of arXiv 2506.06928: the right order and three random ones as options).

The options are chosen first and the video is rendered in one of them, so no option stands out. At the first two levels
they are random permutations, as in the paper. Most of these differ in the first scene, so one frame gives up to 92 % of
the answers. From level 2 on, if there are four scenes, there are four options: two exchanges of two scenes, each done
or not. A scene that is seen tells about one exchange at most, so one frame gives at most 50 %, where chance is 25 %.
Of six scenes or more, the first and the last are not exchanged, so these two frames tell nothing. Of four or five, they
are exchanged with each other, so the two frames tell no more than one does.

(The paper's hard mode swaps two scenes of the correct order. With four options, choosing the option most like the rest
solves 41 % of such questions. Here every option is as far from the others as any.)
"""

import re
from collections.abc import Sequence
from math import factorial
from typing import ClassVar

from numpy.random import Generator
from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import choose_scenes
from temporay.operators.records import AnswerValue

MAX_OPTIONS_BY_LEVEL = (3, 4, 4, 4, 4)  # from level 1 on as in the paper: three besides the right one
LISTED = re.compile(r"(?:^|\. )Scene \d+: ")  # before each caption of an option
MIN_SCENES_TO_EXCHANGE, MIN_SCENES_BETWEEN = 4, 6
EXCHANGED_BY_LEVEL = ("", "", "any", "any", "neighbors")  # what options differ in; "": random permutations


class SceneOrder(PseudoVideo):
    """The order of all scenes."""

    task = "scene_order"
    # One exchange of two may be seen, or at levels 0 and 1 what comes first.
    inherent: ClassVar[Inherent] = {
        "one_frame": (0.93, 0.93, 0.5, 0.5, 0.5),
        "two_frames": (1.0, 1.0, 0.5, 0.5, 0.5),
        "any_two_frames": 1.0,
        "few_frames": 0.6,
    }
    answer_kind = "order"
    wordings = (
        "Which of the following options best describes the order of scenes in the video?",
        "In what order do the scenes appear in the video?",
        "Which option lists the scenes in the order in which they are shown?",
        "What is the correct order of the scenes?",
        "How do the scenes of the video follow one another?",
        "Watch the whole video. Which list has its scenes in the right order?",
        "Put the scenes in the order of their appearance. Which option is right?",
        "Which sequence of scenes does the video show?",
    )

    def arrange(self, choices: Choices) -> Arrangement:
        rng, exchanged = choices.rng, EXCHANGED_BY_LEVEL[choices.level]
        fewest = min(MIN_SCENES_TO_EXCHANGE, choices.canvas.num_scenes[1]) if exchanged else 2
        picked = choose_scenes(choices, minimum=max(2, fewest))
        if exchanged and len(picked) >= MIN_SCENES_TO_EXCHANGE:
            orders = _exchanged_orders(rng, len(picked), exchanged == "neighbors")
        else:
            orders = _random_orders(rng, len(picked), MAX_OPTIONS_BY_LEVEL[choices.level])
        truth = choices.choose_truth(orders)
        options = [_listing([picked[i].caption for i in listed]) for listed in orders]
        return Arrangement(order=[picked[i] for i in truth], facts={"options": options})

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return tuple(tuple(LISTED.split(option.removesuffix("."))[1:]) for option in facts["options"])

    def answer(self, order: Sequence[str], facts: Facts) -> str:
        return _listing(order)


def _random_orders(rng: Generator, num_scenes: int, most: int) -> list[tuple[int, ...]]:
    """Choose different permutations, at most so many."""
    orders: list[tuple[int, ...]] = []
    while len(orders) < min(most, factorial(num_scenes)):
        listed = tuple(int(i) for i in rng.permutation(num_scenes))
        if listed not in orders:
            orders.append(listed)
    return orders


def _exchanged_orders(rng: Generator, num_scenes: int, neighbors: bool) -> list[tuple[int, ...]]:
    """Return an order with two exchanges done and not done, in random order: four options."""
    inner = [int(i) for i in 1 + rng.permutation(num_scenes - 2)]
    if num_scenes < MIN_SCENES_BETWEEN:
        pairs = [(0, num_scenes - 1), (inner[0], inner[1])]
    elif neighbors:
        first = 1 + int(rng.integers(num_scenes - MIN_SCENES_BETWEEN + 1))
        second = first + 2 + int(rng.integers(num_scenes - 4 - first))
        pairs = [(first, first + 1), (second, second + 1)]
    else:
        pairs = [(inner[0], inner[1]), (inner[2], inner[3])]
    base = rng.permutation(num_scenes)
    orders = []
    for which in rng.permutation(4):
        order = base.copy()
        for done, pair in zip(divmod(int(which), 2), pairs, strict=True):
            if done:
                order[list(pair)] = order[list(pair[::-1])]
        orders.append(tuple(int(i) for i in order))
    return orders


def _listing(captions: Sequence[str]) -> str:
    return " ".join(f"Scene {i}: {caption}." for i, caption in enumerate(captions, start=1))
