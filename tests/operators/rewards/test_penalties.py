"""Penalties on lengths and repetitions give TRL's numbers."""

import numpy as np
import pytest
from temporay.operators.errors import UserError
from temporay.operators.records import FinishReason, Rollout
from temporay.operators.scoring.scores import load_rewards
from trl.rewards import get_repetition_penalty_reward, get_soft_overlong_punishment

from tests.operators.samples import real_sample, score_of

RNG = np.random.default_rng(0)
COMPLETIONS = [[int(i) for i in RNG.integers(0, 6, length)] for length in (0, 1, 2, 3, 7, 40, 79, 80, 81, 99, 100, 101)]


def of_ids(ids: list[int]) -> Rollout:
    return Rollout(
        completion_ids=tuple(ids),
        logprobs=(0.0,) * len(ids),
        text="",
        finish_reason=FinishReason.STOP,
        weight_versions=(0,) * len(ids),
    )


def values(name: str, **settings: float) -> list[float]:
    rewards = load_rewards({name: 1.0}, {name: settings})
    return [score_of(of_ids(ids), real_sample("event_order"), rewards).breakdown[name] for ids in COMPLETIONS]


@pytest.mark.parametrize("cache", [0, 1, 20, 100])
def test_overlong(cache: int) -> None:
    expected = get_soft_overlong_punishment(max_completion_len=100, soft_punish_cache=cache)(COMPLETIONS)
    assert values("overlong", max_completion_len=100, soft_punish_cache=cache) == expected


@pytest.mark.parametrize(("size", "penalty"), [(1, -1.0), (2, -0.5), (3, -1.0), (5, 0.0)])
def test_repetition(size: int, penalty: float) -> None:
    expected = get_repetition_penalty_reward(ngram_size=size, max_penalty=penalty)(COMPLETIONS)
    assert values("repetition", ngram_size=size, max_penalty=penalty) == expected


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("overlong", {}, "rewards.settings.overlong.max_completion_len"),
        ("overlong", {"max_completion_len": 10, "soft_punish_cache": 11}, "every completion is too long"),
        ("repetition", {"max_penalty": 1.0}, "rewards.settings.repetition.max_penalty"),
        ("repetition", {"ngram": 2}, "rewards.settings.repetition.ngram"),
    ],
)
def test_wrong_settings_are_one_sentence(name: str, settings: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_rewards({name: 1.0}, {name: settings})
