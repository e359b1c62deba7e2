"""Rewards of drawn runs: flat, rising and falling."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.reinforcement.reward_trend import reward_trend


def drawn(change: float, *, num_steps: int = 60, seed: int = 0) -> list[float]:
    """Return rewards of steps that change by so much over the run, with a deviation of 0.05."""
    noise = np.random.default_rng(seed).normal(scale=0.05, size=num_steps)
    return (0.5 + np.linspace(0, change, num_steps) + noise).tolist()


@pytest.mark.parametrize(("change", "verdict"), [(0.0, "flat"), (0.2, "rose"), (-0.2, "fell"), (0.01, "flat")])
def test_the_verdict_is_about_the_change_and_its_noise(change: float, verdict: str) -> None:
    found = [reward_trend(drawn(change, seed=seed)) for seed in range(100)]
    assert all(trend is not None and trend.window == 15 for trend in found)
    assert sum(trend is not None and trend.verdict == verdict for trend in found) >= 90


def test_windows_are_the_first_and_the_last_quarter() -> None:
    found = reward_trend([0.0, 0.2, 9.0, 9.0, 9.0, 9.0, 1.0, 1.2])
    assert found is not None
    assert (found.first, found.last, found.window, found.verdict) == (pytest.approx(0.1), pytest.approx(1.1), 2, "rose")
    assert found.standard_error == pytest.approx((2 * 0.02 / 2) ** 0.5)


def test_few_steps_have_no_trend_and_equal_ones_are_flat() -> None:
    assert reward_trend([0.0, 1.0] * 3) is None
    still = reward_trend([0.5] * 8)
    assert still is not None and still.verdict == "flat"
