"""Divided by the group's own deviation (GRPO, arXiv 2402.03300 section 4.1.2).

Same numbers as TRL 1.16 (``sum_then_normalize``): sample standard deviation (N - 1), and 1e-4 under the division.
"""

import statistics
from collections.abc import Sequence

from temporay.operators.advantages._base import Advantage

STD_EPSILON = 1e-4


class GroupAdvantage(Advantage):
    """Every group counts as much, however far its rewards are spread."""

    def scale(self, known: Sequence[float], task_std: float | None) -> float:
        return statistics.stdev(known) + STD_EPSILON
