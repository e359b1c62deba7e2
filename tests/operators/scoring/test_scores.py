"""Rewards are paid for right answers only, and a broken checker never becomes a number."""

import math
import sys
from dataclasses import replace
from types import ModuleType

import pytest
from temporay.operators.errors import UserError
from temporay.operators.records import Rollout, Sample, ScoreStatus
from temporay.operators.rewards._base import Reward
from temporay.operators.scoring.scores import load_rewards, score_group, unscored

from tests.operators.samples import group_of, plain_sample, rollout, score_of

SAMPLE = plain_sample(("left", "right", "up", "down"), 1)
GOLD = "<think>It goes right.</think><answer>B</answer>"


class Raises(Reward):
    def score(self, rollout: Rollout, sample: Sample) -> float:
        raise RuntimeError("checker is broken")


class GivesNan(Reward):
    def score(self, rollout: Rollout, sample: Sample) -> float:
        return math.nan


class GivesHuge(Reward):
    def score(self, rollout: Rollout, sample: Sample) -> float:
        return 1e300


@pytest.fixture
def broken_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("broken_rewards")
    for reward in (Raises, GivesNan, GivesHuge):
        setattr(module, reward.__name__, reward)
    monkeypatch.setitem(sys.modules, "broken_rewards", module)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (GOLD, 1.0),
        ("  " + GOLD + "\n", 1.0),
        (GOLD.replace("</think>", "</think>\n"), 1.0),
        (GOLD.replace("B<", "A<"), 1.0),  # wrong, but well formed
        ("<answer>B</answer>", 0.0),
        ("<think> </think><answer>B</answer>", 0.0),
        (GOLD + " Good luck.", 0.0),
        ("Well. " + GOLD, 0.0),
        ("<think>a</think> so <answer>B</answer>", 0.0),
        (GOLD + "<answer>B</answer>", 0.0),
        ("<think>a</think><think>b</think><answer>B</answer>", 0.0),
        (GOLD.replace("B<", "either<"), 0.0),
    ],
)
def test_answer_format(text: str, value: float) -> None:
    [weighted] = load_rewards({"answer_format": 1.0})
    assert weighted.reward.score(rollout(text), SAMPLE) == value


def test_reward_is_the_weighted_sum_with_its_parts() -> None:
    score = score_of(GOLD, SAMPLE, load_rewards({"accuracy": 0.9, "answer_format": 0.1}))
    assert score.reward == pytest.approx(1.0)
    assert score.breakdown == {"accuracy": 1.0, "answer_format": 1.0}
    assert (score.status, score.detail) == (ScoreStatus.OK, "")


def test_unreadable_answers_have_a_reward_and_a_reason() -> None:
    score = score_of("<answer>E</answer>", SAMPLE, load_rewards({"accuracy": 1.0}))
    assert (score.reward, score.status, score.detail) == (0.0, ScoreStatus.PARSE_ERROR, "no_such_option")


@pytest.mark.usefixtures("broken_rewards")
@pytest.mark.parametrize(
    ("name", "detail"),
    [("Raises", "checker is broken"), ("GivesNan", "not a finite number"), ("GivesHuge", "from -1e+06 to 1e+06")],
)
def test_a_broken_checker_gives_no_reward(name: str, detail: str) -> None:
    rewards = load_rewards({"accuracy": 1.0, f"broken_rewards:{name}": 1.0})
    score = score_of(GOLD, SAMPLE, rewards)
    assert (score.reward, score.status) == (None, ScoreStatus.CRASHED)
    assert detail in score.detail
    assert score.breakdown == {"accuracy": 1.0}


def test_groups_are_scored_in_order_against_their_own_sample() -> None:
    group = group_of(SAMPLE, GOLD, "")
    assert [score.reward for score in score_group(group, SAMPLE, load_rewards({"accuracy": 1.0}))] == [1.0, 0.0]
    with pytest.raises(ValueError, match="was scored against"):
        score_group(group_of(replace(SAMPLE, address=replace(SAMPLE.address, index=9))), SAMPLE, ())
    assert [s.reward for s in unscored(group, ScoreStatus.TIMEOUT, "x" * 999)] == [None, None]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "empty"),
        ({"acuracy": 1.0}, "did you mean 'accuracy'"),
        ({"accuracy": math.nan}, "finite"),
        ({"accuracy": 1e9}, r"to 1e\+06"),
    ],
)
def test_wrong_configuration_is_one_sentence(weights: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_rewards(weights)
