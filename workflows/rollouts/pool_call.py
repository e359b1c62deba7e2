"""One call of the rollout pool: which prompts are where, and how an engine's answer is taken."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from temporay.operators.records import FinishReason, Group, Sampling
from temporay.workflows.rollouts.actor import Answer
from temporay.workflows.rollouts.media import StoredPrompt
from temporay.workflows.rollouts.published_weights import PublishedWeights
from temporay.workflows.rollouts.roster import Slot


@dataclass(slots=True, eq=False)
class PendingPrompt:
    """A prompt on its way to a finished group."""

    place: int  # among the prompts of its call
    prompt: StoredPrompt
    begun: Group | None = None
    attempts: int = 0  # at the same segment, without success


@dataclass(slots=True)
class PoolCall:
    """One call of ``generate``."""

    sampling: Sampling
    pending: deque[PendingPrompt]
    chunk_size: int
    done: dict[int, Group] = field(default_factory=dict)  # by place
    serving: dict[asyncio.Task[None], Slot] = field(default_factory=dict)
    stuck_since_s: float | None = None  # monotonic time since when no engine has been there


def accept(answer: Answer, weights: PublishedWeights, chunk: Sequence[PendingPrompt], call: PoolCall) -> None:
    """Take the groups of an engine; those that were cut go on.

    Raises:
        RuntimeError: they are not what was asked for, or not by the weights that were published.
    """
    if (answer.version, answer.checksum) != (weights.version, weights.checksum):
        raise RuntimeError(
            f"an engine wrote under version {answer.version} with checksum {answer.checksum}; published was version "
            f"{weights.version} with {weights.checksum}"
        )
    for work, group in zip(chunk, answer.groups, strict=True):
        if group.key != work.prompt.key or len(group.rollouts) != call.sampling.num_rollouts:
            raise RuntimeError(
                f"asked for {call.sampling.num_rollouts} rollouts of {work.prompt.key}, got {len(group.rollouts)} of "
                f"{group.key}"
            )
        checksums = {**(work.begun.weight_checksums if work.begun else {}), answer.version: answer.checksum}
        group = replace(group, weight_checksums=checksums)
        if any(rollout.finish_reason is FinishReason.SEGMENT for rollout in group.rollouts):
            work.begun, work.attempts = group, 0
            call.pending.append(work)
        else:
            call.done[work.place] = group
