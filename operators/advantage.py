"""Group-relative advantages: rewards_G → advantages_G (GRPO, arXiv 2402.03300 section 4.1.2; G rollouts of a prompt).

Same numbers as TRL 1.16 (``sum_then_normalize``): sample standard deviation (N - 1) and 1e-4 under the division. One
difference: a rollout without a reward gets None here, where TRL gives it 0; the caller masks it out, so that it does
not dilute a mean over rollouts either.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

ScaleRewards = Literal["group", "none"]  # none: Dr. GRPO, arXiv 2503.20783
STD_EPSILON = 1e-4


def is_flat(rewards_G: Sequence[float | None]) -> bool:
    """Fewer than two rewards, or all the same: nothing to learn from this group."""
    return len({reward for reward in rewards_G if reward is not None}) < 2


def group_advantages(rewards_G: Sequence[float | None], *, scale_rewards: ScaleRewards) -> tuple[float | None, ...]:
    """How much better each rollout is than its group; None rewards count neither in the mean nor in the deviation.

    Returns:
        advantages_G, None where there was no reward. Exactly 0.0 throughout a flat group.

    Raises:
        ValueError: a reward is NaN or infinite (scoring gives None for those).
    """
    known = [reward for reward in rewards_G if reward is not None]
    if not all(math.isfinite(reward) for reward in known):
        raise ValueError(f"rewards must be finite or None, got {list(rewards_G)}")
    if is_flat(rewards_G):
        return tuple(None if reward is None else 0.0 for reward in rewards_G)
    mean = math.fsum(known) / len(known)
    scale = statistics.stdev(known) + STD_EPSILON if scale_rewards == "group" else 1.0
    return tuple(None if reward is None else (reward - mean) / scale for reward in rewards_G)
