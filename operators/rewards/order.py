"""How much of the answered order is right, for questions that ask in which order things come.

Exact: 1 for the true order, else 0. Partial: Kendall's tau, and nothing below chance:

    tau = (pairs in their true order - the other pairs) / all pairs,   reward = max(0, tau)

A random order has tau 0 on average, and the reversed one -1. (Visual Jigsaw pays 0.2 of the share of items in their
place instead. There, one item shifted to the front loses nearly everything.) An answer that does not name each item
exactly once is worth 0. An answer names an option or lists the items: "a, b, c", "First a, then b, last c.",
"Scene 1: a. Scene 2: b."
"""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar

from temporay.operators.records import AnswerKind, Question
from temporay.operators.rewards._base import ValueReward

MAX_STRETCH = 2  # a free answer longer than this many times the right option names something more than once
_NUMBERED = re.compile(r"(?:^|(?<=\. ))scene [0-9]{1,3}: ")
_TOLD = re.compile(r"first (.+), last (.+)")


class Order(ValueReward):
    """In [0, 1]; None for questions that do not ask for an order."""

    kind: ClassVar[AnswerKind] = "order"
    partial: bool = True  # False: all or nothing

    def read(self, text: str, question: Question) -> Sequence[str] | None:
        """Return the items of one of the three manners; case and spacing do not count."""
        if len(text) > MAX_STRETCH * len(question.options[question.answer_index]):
            return None
        text = _plain(text).removesuffix(".")
        if _NUMBERED.match(text):
            return [item.removesuffix(". ") for item in _NUMBERED.split(text)[1:]]
        told = _TOLD.fullmatch(text)
        return text.split(", ") if told is None else [*told[1].split(", then "), told[2]]

    def compare(self, said: Sequence[str], true: Sequence[str]) -> float:
        said, true = [_plain(item) for item in said], [_plain(item) for item in true]
        if sorted(said) != sorted(true):
            return 0.0
        return max(0.0, kendall_tau(said, true)) if self.partial else float(said == true)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def kendall_tau(items: Sequence[str], true: Sequence[str]) -> float:
    """Return tau, in [-1, 1], of two orders of the same distinct items, at least two of them."""
    ranks = [true.index(item) for item in items]
    signs = [1 if a < b else -1 for a, b in combinations(ranks, 2)]
    return sum(signs) / len(signs)
