"""Whether the reward of a run has moved by more than its own noise: its first steps against its last."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Literal

WINDOW_SHARE = 4  # each window is a quarter of the steps
NUM_STANDARD_ERRORS = 2.0  # that the reward must move by
Movement = Literal["rose", "fell", "flat"]
WORDS: Mapping[Movement, str] = {
    "rose": "has risen beyond its noise",
    "fell": "has fallen beyond its noise",
    "flat": "has not moved beyond its noise",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTrend:
    """The mean reward of the first and of the last window of steps."""

    first: float
    last: float
    standard_error: float  # of their difference, from the spread of the means of steps
    window: int  # steps
    verdict: Movement


def reward_trend(rewards: Sequence[float]) -> RewardTrend | None:
    """Compare the last quarter of the steps with the first; None where a quarter has fewer than two steps.

    Args:
        rewards: the mean of every step.
    """
    window = len(rewards) // WINDOW_SHARE
    if window < 2:
        return None
    first, last = rewards[:window], rewards[-window:]
    error = math.sqrt((variance(first) + variance(last)) / window)
    change = fmean(last) - fmean(first)
    moved: Movement = "rose" if change > 0 else "fell"
    verdict = moved if abs(change) > NUM_STANDARD_ERRORS * error else "flat"
    return RewardTrend(first=fmean(first), last=fmean(last), standard_error=error, window=window, verdict=verdict)
