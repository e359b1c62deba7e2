"""Rewards as Ray tasks with a deadline: groups, samples → scores.

A checker may be anyone's code. One that raises, hangs, or takes its process down costs its own group a status and a
reward of None; it never stops the run, never becomes a zero, and never touches another group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from pydantic import Field
from ray.exceptions import RayError

from operators.records import Group, Sample, Score, ScoreStatus
from operators.scoring import load_rewards, score_group, unscored
from workflows.config import Config


class RewardConfig(Config):
    """Which rewards, and how they are run."""

    weights: dict[str, float] = Field(default={"accuracy": 1.0})  # component name or module:Class → weight in the sum
    deadline_s: float = Field(default=60.0, gt=0)  # of one task, its wait for a free worker included
    num_tasks: int = Field(default=2, ge=1)  # tasks that the groups of one call are spread over


Work = tuple[Group, Sample]


def score_batch(batch: Sequence[Work], weights: dict[str, float]) -> list[list[Score]]:
    """What one task does, in its own process."""
    rewards = load_rewards(weights)
    return [score_group(group, sample, rewards) for group, sample in batch]


# No CPU is reserved: scoring takes milliseconds, and a deadline must not be spent waiting for a trainer's core.
_score_batch = ray.remote(num_cpus=0, max_retries=0)(score_batch)


async def score_groups(groups: Sequence[Group], samples: Sequence[Sample], config: RewardConfig) -> list[list[Score]]:
    """Scores of every rollout, in the order of ``groups``; ``samples[i]`` is what ``groups[i]`` was asked.

    Groups go out in ``num_tasks`` tasks. A task that does not come back is repeated with each of its groups in a task
    of its own, so that only the guilty ones are lost: at most twice the deadline.

    Raises:
        UserError: the configuration names no valid rewards.
    """
    load_rewards(config.weights)  # a wrong name is the user's error, here and now, not a crash in a task
    work = list(zip(groups, samples, strict=True))
    batches = [list(range(first, len(work), config.num_tasks)) for first in range(min(config.num_tasks, len(work)))]
    scores: dict[int, list[Score]] = {}
    results = await asyncio.gather(*(_attempt([work[i] for i in batch], config) for batch in batches))
    suspects: list[int] = []
    for batch, result in zip(batches, results, strict=True):
        if isinstance(result, Failure):
            suspects += batch
        else:
            scores.update(zip(batch, result, strict=True))
    scores.update(zip(suspects, await asyncio.gather(*(_alone(work[i], config) for i in suspects)), strict=True))
    return [scores[i] for i in range(len(work))]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task gave no scores."""

    status: ScoreStatus
    detail: str


async def _alone(work: Work, config: RewardConfig) -> list[Score]:
    result = await _attempt([work], config)
    return unscored(work[0], result.status, result.detail) if isinstance(result, Failure) else result[0]


async def _attempt(batch: Sequence[Work], config: RewardConfig) -> list[list[Score]] | Failure:
    reference = _score_batch.remote(batch, config.weights)
    try:
        return await asyncio.wait_for(_result(reference), config.deadline_s)
    except TimeoutError:
        ray.cancel(reference, force=True)
        return Failure(ScoreStatus.TIMEOUT, f"no scores within {config.deadline_s:g} s")
    except RayError as error:
        return Failure(ScoreStatus.CRASHED, f"{type(error).__name__}: {error}")


async def _result(reference: Any) -> list[list[Score]]:
    return await reference  # type: ignore[no-any-return]
