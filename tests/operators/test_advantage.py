"""Advantages equal TRL's formula and survive missing rewards."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from operators.advantage import group_advantages, is_flat


def trl_advantages(rewards_G: list[float]) -> npt.NDArray[np.float64]:
    """TRL 1.16, grpo_trainer.py ``sum_then_normalize`` with NaN for a missing reward."""
    rewards = np.array(rewards_G)
    return np.asarray((rewards - np.nanmean(rewards)) / (np.nanstd(rewards, ddof=1) + 1e-4))


@pytest.mark.parametrize("rewards_G", [[1.0, 0.0], [1.0, 0.0, 0.0, 0.5], [0.1, 0.2, math.nan, 0.9, math.nan]])
def test_group_scale_equals_trl(rewards_G: list[float]) -> None:
    advantages_G = group_advantages([None if math.isnan(r) else r for r in rewards_G], scale_rewards="group")
    for ours, theirs in zip(advantages_G, trl_advantages(rewards_G), strict=True):
        assert math.isnan(theirs) if ours is None else ours == pytest.approx(theirs, rel=1e-12)


def test_without_scale_it_is_the_distance_to_the_mean() -> None:
    assert group_advantages([1.0, 0.0, 0.0, 1.0], scale_rewards="none") == (0.5, -0.5, -0.5, 0.5)
    assert group_advantages([3.0, None, 1.0], scale_rewards="none") == (1.0, None, -1.0)


@pytest.mark.parametrize("rewards_G", [[], [1.0], [None, None], [0.1, 0.1, 0.1], [None, 0.3], [0.0, -0.0]])
def test_flat_groups_teach_nothing(rewards_G: list[float | None]) -> None:
    advantages_G = group_advantages(rewards_G, scale_rewards="group")
    assert is_flat(rewards_G)
    assert advantages_G == tuple(None if reward is None else 0.0 for reward in rewards_G)


def test_advantages_of_a_group_sum_to_zero() -> None:
    rewards_G = [0.3, 1.0, None, -2.0, 0.7]
    assert not is_flat(rewards_G)
    assert sum(a for a in group_advantages(rewards_G, scale_rewards="group") if a is not None) == pytest.approx(0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_infinite_rewards_are_our_bug(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        group_advantages([1.0, bad], scale_rewards="group")
