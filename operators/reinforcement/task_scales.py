"""How far the rewards of each task spread, as far as training has seen (EMA-GRPO of OneThinker, arXiv 2512.03043).

As in OneThinker's code, the averages are of the first and second moment of the rewards of a batch, over its groups with
a signal. So the deviation between prompts of a task counts as well as that within a group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from temporay.operators.advantages._base import is_flat, known_rewards, mean

DECAY, MIN_STD = 0.99, 1e-3  # OneThinker's


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moving averages of a task's rewards."""

    mean: float
    mean_square: float

    @property
    def std(self) -> float:
        """Population standard deviation, at least ``MIN_STD``."""
        return math.sqrt(max(self.mean_square - self.mean**2, MIN_STD**2))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScales:
    """The moments of every task: a value that resumes as it was written."""

    moments: Mapping[str, Moments] = field(default_factory=dict)  # by task

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
            batch = Moments(mean=mean(known), mean_square=mean([reward**2 for reward in known]))
            old = moments.get(task, batch)
            moments[task] = Moments(
                mean=DECAY * old.mean + (1 - DECAY) * batch.mean,
                mean_square=DECAY * old.mean_square + (1 - DECAY) * batch.mean_square,
            )
        return type(self)(moments=moments)

    def std(self, task: str) -> float | None:
        """Return the deviation of a task's rewards; None before its first group with a signal."""
        return self.moments[task].std if task in self.moments else None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, from which ``from_json`` makes equal scales."""
        return {task: [known.mean, known.mean_square] for task, known in self.moments.items()}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` gave."""
        return cls(moments={task: Moments(mean=first, mean_square=second) for task, (first, second) in tree.items()})
