"""What a run whose reward does not rise says of itself."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.workflows.grpo.guards import flat_reward
from temporay.workflows.grpo.settings import GuardSettings

SETTINGS = GuardSettings(flat_after_steps=40)


@pytest.mark.parametrize(
    ("change", "said"), [(0.0, "has not moved beyond its noise in 40 steps"), (-0.3, "has fallen"), (0.3, "")]
)
def test_a_reward_that_has_not_risen_is_said_once(change: float, said: str) -> None:
    rng = np.random.default_rng(0)
    rewards = (0.5 + np.linspace(0, change, 60) + rng.normal(scale=0.05, size=60)).tolist()
    lines = {n: line for n in range(1, 61) if (line := flat_reward(n, rewards[:n], SETTINGS))}
    assert list(lines) == ([40] if said else [])
    assert said in lines.get(40, "")


def test_nothing_is_said_of_too_few_steps_or_where_it_is_not_asked_for() -> None:
    flat = [0.5] * 40
    assert flat_reward(40, flat[:6], SETTINGS) == ""  # the others had no reward
    assert not any(flat_reward(n, flat[:n], GuardSettings(flat_after_steps=0)) for n in range(1, 41))
