"""The training half of GRPO: Ray Train workers that only consume batches and publish weights.

    driver: update(step, batch) → mailbox → workers: forward, backward, step → mailbox → metrics, weights of step + 1

Workers pull from a mailbox, so a group that restarts takes the batches since its checkpoint again and gets to the same
weights, while engines and driver only wait.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray import train

from models.collate import Batch, collate_groups
from models.losses import Counts, GrpoLossSettings, grpo_loss, importance_weights, token_share
from models.scoring_head import Scores
from models.weights import WeightPacket, pack
from operators.records import Group, Prompt
from workflows.learner import Learner, LearnerConfig, make_trainer, scaling, worker_user_error

SPARE_CPUS = 0.0  # nothing else is computed for the trainer: batches come ready


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBatch:
    """Whole prompt groups with a reason to be trained on. Lists have one entry per group."""

    weight_version: int  # of the weights it was sampled under, or newer
    prompts: list[Prompt]
    groups: list[Group]
    advantages: list[list[float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What one update gave. ``weights`` is a reference to a WeightPacket, for engines to pull."""

    metrics: dict[str, float]
    weights_version: int
    weights: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateConfig:
    """What a worker needs for GRPO beyond ``LearnerConfig``."""

    loss: GrpoLossSettings
    micro_batch_size: int  # rollouts
    max_tokens: int


class Mailbox:
    """Between driver and workers; an async actor, so that everyone may wait in it. Owns the published weights."""

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept  # batches behind the newest asked for, for workers that start again
        self._batches: dict[int, Any] = {}
        self._results: dict[int, tuple[dict[str, float], Any]] = {}
        self._first: tuple[int, Any] | None = None
        self._closed = False
        self._changed = asyncio.Condition()

    async def close(self) -> None:
        """No further batch will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def put_batch(self, step: int, batch: list[Any]) -> None:
        await self._store(self._batches, step, batch)

    async def take_batch(self, step: int) -> list[Any]:
        """The reference to a batch, in a list so that Ray does not resolve it; empty when there will be none."""
        async with self._changed:
            await self._changed.wait_for(lambda: step in self._batches or self._closed)
            if step not in self._batches:
                return []
            for old in [known for known in self._batches if known < step - self._num_kept]:
                del self._batches[old]
            return self._batches[step]  # type: ignore[no-any-return]

    async def put_result(self, step: int, metrics: dict[str, float], packet: WeightPacket) -> None:
        await self._store(self._results, step, (metrics, ray.put(packet)))

    async def take_result(self, step: int) -> tuple[dict[str, float], list[Any]]:
        async with self._changed:
            await self._changed.wait_for(lambda: step in self._results)
            metrics, weights = self._results[step]
            for old in [known for known in self._results if known < step]:
                del self._results[old]
            return metrics, [weights]

    async def put_start(self, step: int, packet: WeightPacket) -> None:
        async with self._changed:
            if self._first is None:
                self._first = (step, ray.put(packet))
            self._changed.notify_all()

    async def take_start(self) -> tuple[int, list[Any]]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._first is not None)
            assert self._first is not None
            step, weights = self._first
            return step, [weights]

    async def _store(self, place: dict[int, Any], step: int, value: Any) -> None:
        async with self._changed:
            place[step] = value
            self._changed.notify_all()


class PolicyLearner:
    """The driver's end."""

    def __init__(self, mailbox: Any, fit: asyncio.Future[Any], first_step: int, weights: Any) -> None:
        self._mailbox = mailbox
        self._fit = fit
        self.first_step = first_step  # updates that were done before, by the checkpoint
        self.weights = weights  # of that step

    @classmethod
    @asynccontextmanager
    async def started(
        cls, config: LearnerConfig, update: UpdateConfig, *, num_workers: int, max_failures: int
    ) -> AsyncIterator[PolicyLearner]:
        """Workers are up and at their newest checkpoint inside; at the end the model is exported to OUT/model."""
        mailbox = ray.remote(num_cpus=0, max_concurrency=64)(Mailbox).remote(2 * config.checkpoint_every)
        trainer = make_trainer(
            update_loop,
            {"learner": config, "update": update, "mailbox": mailbox},
            out=config.out,
            scaling_config=scaling(num_workers, spare_cpus=SPARE_CPUS),
            max_failures=max_failures,
        )
        fit = asyncio.ensure_future(asyncio.to_thread(trainer.fit))
        first_step, [weights] = await _first_of(_resolve(mailbox.take_start.remote()), fit)
        try:
            yield cls(mailbox, fit, first_step, weights)
        except BaseException:
            await mailbox.close.remote()  # or the workers would wait for the next batch for ever, and we for them
            await asyncio.wait({fit})
            raise
        await fit

    async def update(self, step: int, batch: TrainingBatch) -> Update:
        """One update of the policy; a fault of the workers is raised here."""
        await self._mailbox.put_batch.remote(step, [ray.put(batch)])
        metrics, [weights] = await _first_of(_resolve(self._mailbox.take_result.remote(step)), self._fit)
        return Update(metrics=metrics, weights_version=step + 1, weights=weights)


async def _resolve(reference: Any) -> Any:
    return await reference


async def _first_of(wanted: Any, fit: asyncio.Future[Any]) -> Any:
    """What is wanted, or the fault that ended the training run which should have given it."""
    task = asyncio.ensure_future(wanted)
    done, _ = await asyncio.wait({task, fit}, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        return task.result()
    task.cancel()
    error = fit.exception()
    if error is None:
        raise RuntimeError("the training workers ended before the last update")
    raise worker_user_error(error) or error


def update_loop(arguments: Mapping[str, Any]) -> None:
    """What every Ray Train worker runs."""
    learner = Learner(arguments["learner"])
    update: UpdateConfig = arguments["update"]
    mailbox = arguments["mailbox"]
    rank = train.get_context().get_world_rank()
    world_size = train.get_context().get_world_size()
    packet = pack(learner.policy.state_dict(), learner.step)
    if rank == 0:
        ray.get(mailbox.put_start.remote(learner.step, packet))
    while not learner.finished:
        step = learner.step
        references = ray.get(mailbox.take_batch.remote(step))
        if not references:
            return
        batch: TrainingBatch = ray.get(references[0])
        metrics = update_once(learner, batch, update, rank, world_size)
        packet = pack(learner.policy.state_dict(), learner.step)
        if rank == 0:
            ray.get(mailbox.put_result.remote(step, metrics, packet))
        learner.save_if_due(metrics)
    learner.export()


def update_once(
    learner: Learner, batch: TrainingBatch, config: UpdateConfig, rank: int, world_size: int
) -> dict[str, float]:
    """One optimizer step, or none when no group of the batch carries a signal."""
    if not batch.groups:
        learner.policy.skip_step()
        return {"skipped": 1.0}
    loss = GrpoUpdateLoss(config)
    metrics = learner.update(micro_batches(learner, batch, config.micro_batch_size, rank, world_size), loss)
    worst_R = torch.zeros(world_size)
    worst_R[rank] = loss.largest_gap
    return {**metrics, "parity_max_abs": float(learner.policy.parallel.sum(worst_R).max())}


def micro_batches(
    learner: Learner, batch: TrainingBatch, micro_batch_size: int, rank: int, world_size: int
) -> list[Batch]:
    """This rank's groups in micro-batches; every rank gets as many, the last ones blank where groups run out."""
    group_size = max(len(group.rollouts) for group in batch.groups)
    per_micro = max(1, micro_batch_size // group_size)
    per_rank = -(-len(batch.groups) // world_size)
    mine = list(range(rank, len(batch.groups), world_size))
    made = []
    for start in range(0, per_rank, per_micro):
        chosen = mine[start : start + per_micro]
        rows = chosen or [0]
        collated = collate_groups(
            learner.family,
            learner.processor,
            [batch.prompts[i] for i in rows],
            [batch.groups[i] for i in rows],
            [batch.advantages[i] for i in rows],
        )
        if not chosen:
            collated = dataclasses.replace(collated, completion_mask_BL=torch.zeros_like(collated.completion_mask_BL))
        made.append(collated)
    return made


class GrpoUpdateLoss:
    """The GRPO loss of one update, and the largest disagreement between engine and trainer that it met.

    There is one update per batch, so the policy it starts from is the current one: the ratio is 1 and its gradient is
    the policy gradient; what the engine sampled differently is corrected by importance weights.
    """

    def __init__(self, config: UpdateConfig) -> None:
        self._config = config
        self.largest_gap = 0.0  # |log p_trainer - log p_engine|, nats

    def __call__(self, scores: Scores, batch: Batch, counts: Counts) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        assert batch.advantages_B is not None
        assert batch.engine_logprobs_BL is not None
        mask_BL = batch.completion_mask_BL
        old_BL = scores.logprobs_BL.detach()
        gap_BL = ((old_BL - batch.engine_logprobs_BL) * mask_BL).abs()
        self.largest_gap = max(self.largest_gap, float(gap_BL.max()))
        loss, metrics = grpo_loss(
            scores.logprobs_BL,
            old_BL,
            mask_BL,
            batch.advantages_B,
            self._config.loss,
            counts,
            max_completion_length=self._config.max_tokens,
            importance_weights_BT=importance_weights(old_BL, batch.engine_logprobs_BL, mask_BL, self._config.loss),
        )
        return loss, {**metrics, "engine_gap": token_share(gap_BL, mask_BL, counts)}
