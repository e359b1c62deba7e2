"""Divided by a deviation of the whole task (EMA-GRPO of OneThinker, arXiv 2512.03043).

A group with a single wrong rollout does not get large advantages. No task outweighs another because its rewards have a
larger scale. As in OneThinker's code, a group with a larger advantage than 5 is divided by its own deviation.
"""

import statistics
from collections.abc import Sequence

from temporay.operators.advantages._base import Advantage

MAX_ADVANTAGE = 5.0
STD_EPSILON = 1e-6


class TaskAdvantage(Advantage):
    """Every task counts as much, and within a task a group with a wide spread counts for more."""

    def scale(self, known: Sequence[float], task_std: float | None) -> float:
        if task_std is None:
            raise ValueError("scale_rewards is task, so the deviation of the task is needed")
        center, scale = statistics.fmean(known), task_std + STD_EPSILON
        if max(abs(reward - center) for reward in known) > MAX_ADVANTAGE * scale:
            return statistics.pstdev(known) + STD_EPSILON
        return scale
