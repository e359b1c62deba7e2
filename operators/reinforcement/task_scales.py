"""The spread of the rewards of each task, followed through training (EMA-GRPO of OneThinker, arXiv 2512.03043).

As in OneThinker's code, the averages are of the first and second moment of the rewards of a batch, over its groups with
a signal. So the deviation between prompts of a task counts as well as that within a group.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Self

from temporay.operators.advantages._base import is_flat, known_rewards

DECAY, MIN_STD = 0.99, 1e-3  # OneThinker's


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScales:
    """The moments of every task: a value that resumes as it was written."""

    moments: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by task: mean reward, mean square

    def updated(self, tasks: Sequence[str], rewards: Sequence[Sequence[float | None]]) -> Self:
        """Return the scales after one more batch; a task's first batch is taken as it is.

        Args:
            tasks: one per group.
            rewards: rewards_G by group; flat groups are left out, because they are not trained on.
        """
        seen: dict[str, list[float]] = {}
        for task, rewards_G in zip(tasks, rewards, strict=True):
            if not is_flat(rewards_G):
                seen.setdefault(task, []).extend(known_rewards(rewards_G))
        moments = dict(self.moments)
        for task, known in seen.items():
            batch = fmean(known), fmean([reward**2 for reward in known])
            old = moments.get(task, batch)
            moments[task] = _followed(old[0], batch[0]), _followed(old[1], batch[1])
        return type(self)(moments=moments)

    def std(self, task: str) -> float | None:
        """Return the population deviation of a task's rewards, or None before its first group with a signal."""
        if task not in self.moments:
            return None
        mean, mean_square = self.moments[task]
        return math.sqrt(max(mean_square - mean**2, MIN_STD**2))

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, from which ``from_json`` makes equal scales."""
        return {task: list(moments) for task, moments in self.moments.items()}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` gave."""
        return cls(moments={task: (first, second) for task, (first, second) in tree.items()})


def _followed(old: float, new: float) -> float:
    return DECAY * old + (1 - DECAY) * new
