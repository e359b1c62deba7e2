"""In which order do the scenes come? (R1 of arXiv 2506.06928: three random permutations as options.)

The permutations are drawn first and the video is rendered in one of them, so no option is the odd one out. The hard
ones differ in three places alone: they are the three rotations of the scenes there, each as far from one of the others
as from the other, so that being most like the rest says nothing. (Swapping two of the correct order's scenes, the
paper's hard mode, is solved by the option most like the rest in 41 % of the cases with four options.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import factorial
from typing import Any, ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Style, choose_truth
from temporay.operators.primitives.scenes._question import PseudoVideo
from temporay.operators.primitives.scenes._shots import choose_num_scenes, choose_shot_lengths, compose, pick_scenes
from temporay.operators.records import Address, AnswerKind, AnswerValue, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

MAX_OPTIONS = 3
LISTED = re.compile(r"(?:^|\. )Scene \d+: ")  # before each caption of an option
Differing = Literal["anywhere", "three places", "three neighbours"]
DIFFERING_BY_LEVEL: tuple[Differing, ...] = ("anywhere", "anywhere", "anywhere", "three places", "three neighbours")
WORDINGS = (
    "Which of the following options best describes the order of scenes in the video?",
    "In what order do the scenes appear in the video?",
    "Which option lists the scenes in the order in which they are shown?",
    "What is the correct order of the scenes?",
    "How do the scenes of the video follow one another?",
    "Watch the whole video. Which list has its scenes in the right order?",
    "Put the scenes in the order of their appearance. Which option is right?",
    "Which sequence of scenes does the video show?",
)


class SceneOrder(PseudoVideo):
    task: ClassVar[str] = "scene_order"
    answer_kind: ClassVar[AnswerKind] = "order"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_scenes = choose_num_scenes(rng, canvas, address.level)
        picked = pick_scenes(scenes, num_scenes, address)
        orders = _choose_orders(rng, num_scenes, DIFFERING_BY_LEVEL[address.level])
        truth = orders[choose_truth(rng, len(orders), address)]
        facts = {
            "options": [_listing([picked[i].caption for i in listed]) for listed in orders],
            "wording": int(rng.integers(len(WORDINGS))),
        }
        order = [picked[i] for i in truth]
        return compose(order, choose_shot_lengths(order, canvas, address), canvas, address, facts)

    def values(self, facts: Mapping[str, Any]) -> tuple[AnswerValue, ...]:
        return tuple(tuple(LISTED.split(option.removesuffix("."))[1:]) for option in facts["options"])

    def text(self, facts: Mapping[str, Any]) -> str:
        return WORDINGS[facts["wording"]]

    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str:
        return _listing(order)

    def conclude(self, plan: ScenePlan, answer: str) -> str:
        return answer

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        told = super().explain(plan, question, style)
        return question.options[question.answer_index] if style == "concise" else told


def _choose_orders(rng: np.random.Generator, num_scenes: int, differing: Differing) -> list[tuple[int, ...]]:
    """Up to ``MAX_OPTIONS`` different permutations, each of which is as likely to be drawn in any of their places."""
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
