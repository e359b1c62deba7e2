"""What a run of GRPO says of itself in a line."""

from __future__ import annotations

import pytest
from temporay.workflows.grpo.log import reward_phrase


@pytest.mark.parametrize(
    ("steps", "words"),
    [(1, "both of the only step"), (7, "first and last of 7 steps"), (8, "first and last quarter of 8")],
)
def test_rewards_are_told_of_steps_that_there_are(steps: int, words: str) -> None:
    said = reward_phrase({"steps": steps, "reward_first": 0.25, "reward_last": 0.5})
    assert said.startswith(f"reward 0.250 → 0.500 ({words}")
