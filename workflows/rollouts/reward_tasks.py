"""Rewards as Ray tasks with deadlines: groups, samples → scores.

A checker may be anyone's code. One that raises, hangs, or takes its process down costs its own group a status and a
reward of None; it never stops the run, never becomes a zero, and never touches another group.
"""

import asyncio
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import ray
from ray.exceptions import RayError
from temporay.operators.errors import UserError
from temporay.operators.records import Group, Sample, Score, ScoreStatus
from temporay.operators.rewards._base import Comparisons, Need
from temporay.operators.scoring.scores import load_rewards, needs_of, score_group, unscored
from temporay.workflows.rollouts.settings import RewardConfig

GroupToScore = tuple[Group, Sample, Comparisons]


def score_batch(batch: Sequence[GroupToScore], config: RewardConfig) -> list[list[Score]]:
    """Score a batch in the main thread of a task's own process: one list per group, in order."""
    rewards = load_rewards(config.weights, config.settings)
    scores = []
    for group, sample, compared in batch:
        try:
            with _alarm(config.deadline_s):
                scores.append(score_group(group, sample, rewards, compared))
        except DeadlinePassed:
            scores.append(unscored(group, ScoreStatus.TIMEOUT, f"checkers took more than {config.deadline_s:g} s"))
    return scores


# No CPU is reserved: scoring takes milliseconds, and must not wait for a trainer to give a core away.
_score_batch = ray.remote(num_cpus=0, max_retries=0)(score_batch)


async def score_groups(
    groups: Sequence[Group],
    samples: Sequence[Sample],
    config: RewardConfig,
    shuffled: Mapping[str, Group] | None = None,
) -> list[list[Score]]:
    """Score every rollout, in the order of ``groups``; ``samples[i]`` is what ``groups[i]`` was asked.

    Groups go out in ``num_tasks`` tasks. A process may die, or hang where no alarm can wake it: each of its groups is
    then tried once more in a task of its own, so that only the guilty one is lost. A group that was alone when its
    process died is tried once more too: the fault may have been the machine's.

    Args:
        shuffled: by key, groups that saw their sample's frames in a random order.

    Raises:
        UserError: the configuration names no valid rewards, or one that needs what was not generated.
    """
    needs = needs_of(load_rewards(config.weights, config.settings))  # a user's error is raised here, not in a task
    comparisons = gather_comparisons(groups, samples, needs, shuffled or {})
    work = list(zip(groups, samples, comparisons, strict=True))
    num_tasks = min(config.num_tasks, len(work))
    batches = [work[first::num_tasks] for first in range(num_tasks)]
    results = await asyncio.gather(*(_score_or_split(batch, config) for batch in batches))
    return [results[i % num_tasks][i // num_tasks] for i in range(len(work))]


def gather_comparisons(
    groups: Sequence[Group], samples: Sequence[Sample], needs: frozenset[Need], shuffled: Mapping[str, Group]
) -> list[Comparisons]:
    """Return what each group is compared with, as far as rewards need it: nothing else travels to the tasks.

    Raises:
        UserError: a sample's twin is not among the groups, or an order-dependent sample was not shown shuffled.
    """
    by_pair: dict[str, dict[str, tuple[Group, Sample]]] = {}
    for group, sample in zip(groups, samples, strict=True):
        by_pair.setdefault(sample.address.pair_id, {})[sample.key] = (group, sample)
    comparisons = []
    for sample in samples:
        twin = next((pair for key, pair in by_pair[sample.address.pair_id].items() if key != sample.key), None)
        if "twin" in needs and twin is None:
            raise UserError(
                f"a reward compares twins, but the twin of {sample.key} is not in its step; generate the data "
                "with twins"
            )
        if "shuffled" in needs and sample.order_dependent and sample.key not in shuffled:
            raise UserError(f"a reward compares with shuffled frames, but {sample.key} has no rollouts on them")
        comparisons.append(
            Comparisons(
                twin=twin if "twin" in needs else None,
                shuffled=shuffled.get(sample.key) if "shuffled" in needs else None,
            )
        )
    return comparisons


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task gave no scores."""

    status: ScoreStatus
    detail: str


async def _score_or_split(
    batch: Sequence[GroupToScore], config: RewardConfig, *, last: bool = False
) -> list[list[Score]]:
    result = await _attempt(batch, config)
    if not isinstance(result, TaskFailure):
        return result
    if len(batch) == 1 and (last or result.status is ScoreStatus.TIMEOUT):
        return [unscored(batch[0][0], result.status, result.detail)]
    alone = await asyncio.gather(*(_score_or_split([work], config, last=True) for work in batch))
    return [scores for [scores] in alone]


async def _attempt(batch: Sequence[GroupToScore], config: RewardConfig) -> list[list[Score]] | TaskFailure:
    reference = _score_batch.remote(batch, config)
    limit_s = config.deadline_s * len(batch) + config.start_allowance_s
    try:
        return await asyncio.wait_for(_result(reference), limit_s)
    except TimeoutError:
        ray.cancel(reference, force=True)
        return TaskFailure(ScoreStatus.TIMEOUT, f"no scores within {limit_s:g} s")
    except RayError as error:
        return TaskFailure(ScoreStatus.CRASHED, f"{type(error).__name__}: {error}")


async def _result(reference: Any) -> list[list[Score]]:
    return await reference  # type: ignore[no-any-return]


class DeadlinePassed(BaseException):
    """Raised inside a checker by its alarm; not an Exception, so that no handler of the checker catches it."""


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise DeadlinePassed in the block once this much time has passed. Main thread of a Unix process only."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise DeadlinePassed

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)
