"""Rewards × rollouts → scores: the weighted sum, the value of each reward, and a status.

Group, Sample, weights (and completions to compare with) → score_group → one Score per rollout
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from temporay.operators.components import load
from temporay.operators.errors import UserError, first_fault, unknown_name
from temporay.operators.records import Group, Rollout, Sample, Score, ScoreStatus
from temporay.operators.rewards._base import Comparisons, GroupReward, Need, Reward
from temporay.operators.rewards._function import FunctionReward
from temporay.operators.scoring.answers import read_answer

MAX_DETAIL_CHARS = 300
LARGEST = 1e6  # reward or weight; a larger one would hide every other value of its group and task


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedReward:
    """A reward under the name it has in the configuration."""

    name: str
    weight: float
    reward: Reward | GroupReward


@dataclass(frozen=True, slots=True)
class Crash:
    """The reason why a reward gave no usable value."""

    detail: str


Values = list[float | Crash | None]  # what one reward gives each rollout


def load_rewards(
    weights: Mapping[str, float], settings: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[WeightedReward, ...]:
    """Return rewards with their weights. A name is that of a file, or ``module:Class`` or ``module:function``.

    Args:
        settings: fields that shall not have their defaults, by the names in ``weights``.

    Raises:
        UserError: there is no weight, a name or a setting is unknown or missing, or a number is not valid.
    """
    if not weights:
        raise UserError("rewards is empty, so nothing would be learned; give at least one, e.g. {'accuracy': 1.0}")
    for name, weight in weights.items():
        if not abs(weight) <= LARGEST:
            raise UserError(
                f"rewards.{name} is {weight}; a weight must be a finite number from -{LARGEST:g} to {LARGEST:g}"
            )
    for name in settings or {}:
        if name not in weights:
            raise unknown_name("reward in settings", name, weights)
    return tuple(
        WeightedReward(name=name, weight=weight, reward=build_reward(name, (settings or {}).get(name, {})))
        for name, weight in weights.items()
    )


def build_reward(name: str, settings: Mapping[str, Any]) -> Reward | GroupReward:
    """Return one reward. Anything callable that is not a class is taken as a function in TRL's form.

    Raises:
        UserError: there is no such reward, or a setting is unknown, missing or not valid.
    """
    loaded = load("temporay.operators.rewards", name)
    if not isinstance(loaded, type):
        if settings or not callable(loaded):
            what = "a function, which takes no settings" if callable(loaded) else "neither a class nor a function"
            raise UserError(f"reward {name!r} is {what}")
        return FunctionReward(function=loaded)
    if not issubclass(loaded, Reward | GroupReward):
        raise UserError(f"reward {name!r} is a class but no Reward or GroupReward of temporay.operators.rewards._base")
    try:
        return loaded(**settings)
    except ValidationError as error:
        known = " ".join(f"{name}.{field}=…" for field in loaded.model_fields) or "none"
        raise UserError(
            f"{first_fault(error, f'rewards.settings.{name}')}; its settings: --rewards.settings {known}"
        ) from error


def needs_of(rewards: Sequence[WeightedReward]) -> frozenset[Need]:
    """Return what must be generated for comparison before a group can be scored."""
    kinds = (weighted.reward.needs for weighted in rewards if isinstance(weighted.reward, GroupReward))
    return frozenset(need for need in kinds if need is not None)


def inapplicable(rewards: Sequence[WeightedReward], samples: Sequence[Sample], style: str) -> list[str]:
    """Say which rewards leave out which of these samples, and why: one sentence for each reward and reason.

    Args:
        style: of the samples' reasoning, where they have any.
    """
    tasks_of: dict[tuple[str, str, str], list[str]] = {}
    for weighted in rewards:
        for sample in samples:
            reason = weighted.reward.inapplicable(sample) if isinstance(weighted.reward, Reward) else ""
            if reason:
                key = (weighted.name, style if sample.rationale else "none", reason)
                tasks_of.setdefault(key, []).append(sample.address.task)
    num_samples = Counter(sample.address.task for sample in samples)
    said = []
    for (name, its_style, reason), tasks in tasks_of.items():
        left_out = Counter(tasks)
        which = [task if n == num_samples[task] else f"a part of {task}" for task, n in sorted(left_out.items())]
        said.append(f"reward {name} does not apply to {', '.join(which)} (style of reasoning: {its_style}): {reason}")
    return said


def score_group(
    group: Group, sample: Sample, rewards: Sequence[WeightedReward], compared: Comparisons | None = None
) -> list[Score]:
    """Return one score per rollout, in order. The group must be the sample's own."""
    if group.key != sample.key:
        raise ValueError(f"group {group.key} was scored against sample {sample.key}")
    values_by_reward = [_values(weighted.reward, group, sample, compared or Comparisons()) for weighted in rewards]
    return [
        _score(rollout, sample, rewards, values)
        for rollout, *values in zip(group.rollouts, *values_by_reward, strict=True)
    ]


def unscored(group: Group, status: ScoreStatus, detail: str) -> list[Score]:
    """Return scores without a reward, for a whole group that could not be scored."""
    detail = detail[:MAX_DETAIL_CHARS]
    return [Score(reward=None, breakdown={}, status=status, detail=detail) for _ in group.rollouts]


def _values(reward: Reward | GroupReward, group: Group, sample: Sample, compared: Comparisons) -> Values:
    """Return what one reward gives the completions of a group; a crash takes the place of a value."""
    if isinstance(reward, Reward):
        return [_value(reward, rollout, sample) for rollout in group.rollouts]
    try:
        given = [_checked(value) for value in reward.score_group(group, sample, compared)]
    except Exception as error:  # a checker may be anybody's code: its crash becomes a status
        return [Crash(f"{type(error).__name__}: {error}") for _ in group.rollouts]
    if len(given) != len(group.rollouts):
        return [Crash(f"gave {len(given)} values for {len(group.rollouts)} completions") for _ in group.rollouts]
    return given


def _value(reward: Reward, rollout: Rollout, sample: Sample) -> float | Crash | None:
    try:
        return _checked(reward.score(rollout, sample))
    except Exception as error:  # as above
        return Crash(f"{type(error).__name__}: {error}")


def _checked(value: Any) -> float | Crash | None:
    if value is None:
        return None
    number = float(value)
    if abs(number) <= LARGEST:
        return number
    return Crash(f"gave {number}, which is not a finite number from -{LARGEST:g} to {LARGEST:g}")


def _score(
    rollout: Rollout, sample: Sample, rewards: Sequence[WeightedReward], values: Sequence[float | Crash | None]
) -> Score:
    """Return the weighted sum of the rewards that apply; no reward if any of them crashed or none applies."""
    breakdown: dict[str, float] = {}
    for weighted, value in zip(rewards, values, strict=True):
        if isinstance(value, Crash):
            return _crashed(breakdown, f"{weighted.name}: {value.detail}")
        if value is not None:
            breakdown[weighted.name] = value
    if rewards and not breakdown:
        return _crashed({}, f"none of the rewards applies to {sample.address.task}")
    failure = read_answer(rollout.text, sample.question).failure
    return Score(
        reward=math.fsum(weighted.weight * breakdown.get(weighted.name, 0.0) for weighted in rewards),
        breakdown=breakdown,
        status=ScoreStatus.OK if failure is None else ScoreStatus.PARSE_ERROR,
        detail="" if failure is None else failure.value,
    )


def _crashed(breakdown: Mapping[str, float], detail: str) -> Score:
    return Score(reward=None, breakdown=breakdown, status=ScoreStatus.CRASHED, detail=detail[:MAX_DETAIL_CHARS])
