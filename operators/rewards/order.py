"""How much of the order that is answered is right, for questions that ask in which order things come.

Exact: 1 for the true order, else 0. Partial: Kendall's tau, of which only what is above chance is paid:

    tau = (pairs in their true order - the other pairs) / all pairs,   reward = max(0, tau)

A random order has tau 0 on average, and the reversed one -1. (Visual Jigsaw pays 0.2 of the share of items in their
place instead, by which one item shifted to the front loses nearly everything.) What does not name each item exactly
once is worth 0. An order may be answered by naming an option or item by item in the manner of the options.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward, spoken_answer

MAX_STRETCH = 2  # an answer longer than this many times the right one names something more than once
_NUMBERED = re.compile(r"(?:^|(?<=\. ))scene [0-9]{1,3}: ")  # "Scene 1: a. Scene 2: b."
_TOLD = re.compile(r"first (.+), last (.+)")  # "First a, then b, last c."


class Order(Reward):
    """In [0, 1]; None where the right option is no order of what the other options order too."""

    partial: bool = True  # False: all or nothing

    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        question = sample.question
        right = question.options[question.answer_index]
        true = read_order(right)
        others = [read_order(option) for i, option in enumerate(question.options) if i != question.answer_index]
        if len(true) < 2 or len(set(true)) < len(true) or not any(sorted(other) == sorted(true) for other in others):
            return None
        said = spoken_answer(rollout, sample) or ""
        if len(said) > MAX_STRETCH * len(right):
            return 0.0
        items = read_order(said)
        if sorted(items) != sorted(true):
            return 0.0
        return max(0.0, kendall_tau(items, true)) if self.partial else float(items == true)


def read_order(text: str) -> list[str]:
    """The items of one of the three manners in which options list them, case and spacing aside."""
    text = " ".join(text.split()).casefold().removesuffix(".")
    if _NUMBERED.match(text):
        return [item.removesuffix(". ") for item in _NUMBERED.split(text)[1:]]
    told = _TOLD.fullmatch(text)
    if told is not None:
        return [*told[1].split(", then "), told[2]]
    return text.split(", ")


def kendall_tau(items: Sequence[str], true: Sequence[str]) -> float:
    """In [-1, 1], of two orders of the same distinct items, at least two of them."""
    ranks = [true.index(item) for item in items]
    signs = [1 if a < b else -1 for a, b in combinations(ranks, 2)]
    return sum(signs) / len(signs)
