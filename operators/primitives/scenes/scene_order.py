"""Ask in which order the scenes come (R1 of arXiv 2506.06928: three random permutations as options).

The permutations are chosen first and the video is rendered in one of them, so no option stands out. Hard ones differ in
three places alone. They are the three rotations of the scenes there, all equally far apart, so likeness to the rest
tells nothing. (The paper's hard mode swaps two scenes of the correct order. With four options, choosing the option most
like the rest solves 41 % of such questions.)
"""

import re
from collections.abc import Sequence
from math import factorial
from typing import Literal

import numpy as np
from numpy.random import Generator
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Facts, choose_truth
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import choose_scenes
from temporay.operators.records import Address, AnswerValue, Scene

MAX_OPTIONS = 3
LISTED = re.compile(r"(?:^|\. )Scene \d+: ")  # before each caption of an option
Differing = Literal["anywhere", "three places", "three neighbors"]
DIFFERING_BY_LEVEL: tuple[Differing, ...] = ("anywhere", "anywhere", "anywhere", "three places", "three neighbors")


class SceneOrder(PseudoVideo):
    """The order of all scenes."""

    task = "scene_order"
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

    def arrange(self, rng: Generator, scenes: Sequence[Scene], canvas: Canvas, address: Address) -> Arrangement:
        picked = choose_scenes(rng, scenes, canvas, address)
        orders = _choose_orders(rng, len(picked), DIFFERING_BY_LEVEL[address.level])
        truth = orders[choose_truth(rng, len(orders), address)]
        options = [_listing([picked[i].caption for i in listed]) for listed in orders]
        return Arrangement(order=[picked[i] for i in truth], facts={"options": options})

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return tuple(tuple(LISTED.split(option.removesuffix("."))[1:]) for option in facts["options"])

    def answer(self, order: Sequence[str], facts: Facts) -> str:
        return _listing(order)


def _choose_orders(rng: Generator, num_scenes: int, differing: Differing) -> list[tuple[int, ...]]:
    """Choose up to ``MAX_OPTIONS`` different permutations, each as likely in any of their places."""
    if differing == "anywhere" or num_scenes < MAX_OPTIONS:
        orders: list[tuple[int, ...]] = []
        while len(orders) < min(MAX_OPTIONS, factorial(num_scenes)):
            listed = tuple(int(i) for i in rng.permutation(num_scenes))
            if listed not in orders:
                orders.append(listed)
        return orders
    base = rng.permutation(num_scenes)
    if differing == "three places":
        places = np.sort(rng.choice(num_scenes, MAX_OPTIONS, replace=False))
    else:
        places = int(rng.integers(num_scenes - MAX_OPTIONS + 1)) + np.arange(MAX_OPTIONS)
    rotations = np.tile(base, (MAX_OPTIONS, 1))
    for shift in range(MAX_OPTIONS):
        rotations[shift, places] = base[np.roll(places, shift)]
    return [tuple(int(i) for i in rotation) for rotation in rotations]


def _listing(captions: Sequence[str]) -> str:
    return " ".join(f"Scene {i}: {caption}." for i, caption in enumerate(captions, start=1))
