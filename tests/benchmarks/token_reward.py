"""A reward that random weights can learn in a few dozen updates, in the form that TRL and temporay take.

A quarter of all tokens are right and equally good, so that no habit is a trap on the way to the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NUM_TOKENS = 16  # the length of a completion that can reach 1


def every_fourth_token(completion_ids: Sequence[Sequence[int]], **others: Any) -> list[float]:
    """Return how many tokens of each completion have an id that leaves 1 when divided by 4, of ``NUM_TOKENS``."""
    return [sum(token % 4 == 1 for token in ids) / NUM_TOKENS for ids in completion_ids]
