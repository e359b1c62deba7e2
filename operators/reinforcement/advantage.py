"""Group-relative advantages: rewards_G → advantages_G (GRPO, arXiv 2402.03300 section 4.1.2; G rollouts of a prompt).

Same numbers as TRL 1.16 (``sum_then_normalize``): sample standard deviation (N - 1) and 1e-4 under the division. One
difference: a rollout without a reward gets None here, where TRL gives it 0; the caller masks it out, so that it does
not dilute a mean over rollouts either.

``task`` divides by a deviation of the whole task instead, followed through training (EMA-GRPO of OneThinker, arXiv
2512.03043): a group of which all but one are right is not blown up, and no task outweighs another because its rewards
are on a larger scale.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

ScaleRewards = Literal["group", "task", "none"]  # none: Dr. GRPO, arXiv 2503.20783
STD_EPSILON = 1e-4
TASK_DECAY, TASK_MIN_STD, TASK_STD_EPSILON = 0.99, 1e-3, 1e-6  # OneThinker's
MAX_TASK_ADVANTAGE = 5.0  # a group with a larger one is divided by its own deviation, as OneThinker does


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moving averages of a task's rewards."""

    mean: float
    mean_square: float

    @property
    def std(self) -> float:
        """Population standard deviation, at least ``TASK_MIN_STD``."""
        return math.sqrt(max(self.mean_square - self.mean**2, TASK_MIN_STD**2))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScales:
    """How far the rewards of each task spread, as far as training has seen: a value, which resumes as it was written.

    As in OneThinker's code the averages are of first and second moment of the rewards of a batch, over its groups with
    a signal: so that the deviation between prompts of a task counts as well as that within a group.
    """

    moments: Mapping[str, Moments] = field(default_factory=dict)  # by task

    def updated(self, tasks: Sequence[str], rewards: Sequence[Sequence[float | None]]) -> Self:
        """With one batch more; a task's first batch is taken as it is.

        Args:
            tasks: one per group.
            rewards: rewards_G by group; flat groups are left out, because they are not trained on.
        """
        seen: dict[str, list[float]] = {}
        for task, rewards_G in zip(tasks, rewards, strict=True):
            if not is_flat(rewards_G):
                seen.setdefault(task, []).extend(_known(rewards_G))
        moments = dict(self.moments)
        for task, known in seen.items():
            batch = Moments(mean=_mean(known), mean_square=_mean([reward**2 for reward in known]))
            old = moments.get(task, batch)
            moments[task] = Moments(
                mean=TASK_DECAY * old.mean + (1 - TASK_DECAY) * batch.mean,
                mean_square=TASK_DECAY * old.mean_square + (1 - TASK_DECAY) * batch.mean_square,
            )
        return type(self)(moments=moments)

    def std(self, task: str) -> float | None:
        """The deviation of a task's rewards; None before its first group with a signal."""
        return self.moments[task].std if task in self.moments else None

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which ``from_json`` gives the very same scales."""
        return {task: [known.mean, known.mean_square] for task, known in self.moments.items()}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave."""
        return cls(moments={task: Moments(mean=mean, mean_square=square) for task, (mean, square) in tree.items()})


def is_flat(rewards_G: Sequence[float | None]) -> bool:
    """Fewer than two rewards, or all the same: nothing to learn from this group."""
    return len(set(_known(rewards_G))) < 2


def group_advantages(
    rewards_G: Sequence[float | None], *, scale_rewards: ScaleRewards, task_std: float | None = None
) -> tuple[float | None, ...]:
    """How much better each rollout is than its group; None rewards count neither in the mean nor in the deviation.

    Args:
        task_std: ``TaskScales.std`` of the group's task, this batch included; only ``task`` needs it.

    Returns:
        advantages_G, None where there was no reward. Exactly 0.0 throughout a flat group.

    Raises:
        ValueError: a reward is NaN or infinite (scoring gives None for those), or ``task`` has no ``task_std``.
    """
    known = _known(rewards_G)
    if not all(math.isfinite(reward) for reward in known):
        raise ValueError(f"rewards must be finite or None, got {list(rewards_G)}")
    if is_flat(rewards_G):
        return tuple(None if reward is None else 0.0 for reward in rewards_G)
    mean = _mean(known)
    scale = 1.0
    if scale_rewards == "group":
        scale = statistics.stdev(known) + STD_EPSILON
    elif scale_rewards == "task":
        scale = _task_scale(known, mean, task_std)
    return tuple(None if reward is None else (reward - mean) / scale for reward in rewards_G)


def _task_scale(known: Sequence[float], mean: float, task_std: float | None) -> float:
    if task_std is None:
        raise ValueError("scale_rewards is task, so the deviation of the task is needed")
    scale = task_std + TASK_STD_EPSILON
    if max(abs(reward - mean) for reward in known) > MAX_TASK_ADVANTAGE * scale:
        return statistics.pstdev(known) + TASK_STD_EPSILON
    return scale


def _known(rewards_G: Sequence[float | None]) -> list[float]:
    return [reward for reward in rewards_G if reward is not None]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
