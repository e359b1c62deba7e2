"""Rewards × rollouts → scores: the weighted sum, what each reward gave, and a status.

Group, Sample, weights → score_group → one Score per rollout
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from operators.answers import parse_answer
from operators.errors import UserError
from operators.plugins import load
from operators.records import Group, Rollout, Sample, Score, ScoreStatus
from operators.rewards._base import Reward

MAX_DETAIL_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedReward:
    """A reward under the name it has in the configuration."""

    name: str
    weight: float
    reward: Reward


def load_rewards(weights: Mapping[str, float]) -> tuple[WeightedReward, ...]:
    """Rewards by component name, or ``module:Class`` outside this repository, with their weights.

    Raises:
        UserError: there is none, a name is unknown, or a weight is not finite.
    """
    if not weights:
        raise UserError("rewards is empty, so nothing would be learned; give at least one, e.g. {'accuracy': 1.0}")
    for name, weight in weights.items():
        if not math.isfinite(weight):
            raise UserError(f"rewards.{name} is {weight}; a weight must be a finite number")
    return tuple(
        WeightedReward(name=name, weight=weight, reward=load("operators.rewards", name)())
        for name, weight in weights.items()
    )


def score_group(group: Group, sample: Sample, rewards: Sequence[WeightedReward]) -> list[Score]:
    """One score per rollout, in order. The group must be the sample's own."""
    if group.key != sample.key:
        raise ValueError(f"group {group.key} was scored against sample {sample.key}")
    return [score_rollout(rollout, sample, rewards) for rollout in group.rollouts]


def score_rollout(rollout: Rollout, sample: Sample, rewards: Sequence[WeightedReward]) -> Score:
    """The weighted sum of all rewards; None when any of them crashed or gave no finite number."""
    breakdown: dict[str, float] = {}
    for weighted in rewards:
        try:
            value = float(weighted.reward.score(rollout, sample))
        except Exception as error:  # a checker is the user's code: its crash is counted as a status, with its words
            return _crashed(breakdown, f"{weighted.name}: {type(error).__name__}: {error}")
        if not math.isfinite(value):
            return _crashed(breakdown, f"{weighted.name}: gave {value}, which is not a finite number")
        breakdown[weighted.name] = value
    failure = parse_answer(rollout.text, sample.question.options).failure
    return Score(
        reward=math.fsum(weighted.weight * breakdown[weighted.name] for weighted in rewards),
        breakdown=breakdown,
        status=ScoreStatus.OK if failure is None else ScoreStatus.PARSE_ERROR,
        detail="" if failure is None else failure.value,
    )


def unscored(group: Group, status: ScoreStatus, detail: str) -> list[Score]:
    """Scores of a whole group that could not be scored; none of them has a reward."""
    detail = detail[:MAX_DETAIL_CHARS]
    return [Score(reward=None, breakdown={}, status=status, detail=detail) for _ in group.rollouts]


def _crashed(breakdown: Mapping[str, float], detail: str) -> Score:
    return Score(reward=None, breakdown=breakdown, status=ScoreStatus.CRASHED, detail=detail[:MAX_DETAIL_CHARS])
