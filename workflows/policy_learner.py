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
from torch.distributed.tensor import DTensor

from models.collate import Batch, collate_groups
from models.losses import (
    Counts,
    GrpoLossSettings,
    engine_log_ratio,
    grpo_loss,
    importance_weights,
    k3,
    token_share,
)
from models.policy import Policy
from models.scoring_head import Scores
from models.weights import pack
from operators.records import Group, Prompt
from workflows.learner import Learner, LearnerConfig, make_trainer, scaling, worker_user_error
from workflows.mailbox import Mailbox

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
    reference = starting_policy(learner) if update.loss.beta else None
    if reference is not None:
        learner.log({"step": learner.step, "reference_bytes_per_rank": local_bytes(reference)})
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
        metrics = update_once(learner, batch, update, rank, world_size, reference)
        packet = pack(learner.policy.state_dict(), learner.step)
        if rank == 0:
            ray.get(mailbox.put_result.remote(step, metrics, packet))
        learner.save_if_due(metrics)
    learner.export()


def starting_policy(learner: Learner) -> Policy:
    """The weights that training started from, frozen, as the reference of a KL penalty; also after a restart.

    A second model beside the policy, in float32 and sharded over the same ranks: 4 bytes per parameter and rank
    divided by the number of ranks, a fifth on top of the 16 that weights, gradients and AdamW take. Being computed as
    the policy is, its divergence is exactly 0 before the first update.
    """
    config = learner.config
    reference = Policy(
        learner.family.load_model(config.model, torch.float32),
        learner.family,
        config.optimizer,
        total_steps=config.num_steps,
        parallel=learner.policy.parallel,
        temperature=config.temperature,
        precision=config.hardware.precision,
    )
    reference.model.requires_grad_(False)
    return reference


def local_bytes(policy: Policy) -> int:
    """Bytes of the parameters that this rank holds."""
    local = [p.to_local() if isinstance(p, DTensor) else p for p in policy.model.parameters()]
    return sum(tensor.numel() * tensor.element_size() for tensor in local)


def update_once(
    learner: Learner,
    batch: TrainingBatch,
    config: UpdateConfig,
    rank: int,
    world_size: int,
    reference: Policy | None = None,
) -> dict[str, float]:
    """One optimizer step, or none when no group of the batch carries a signal."""
    if not batch.groups:
        learner.policy.skip_step()
        return {"skipped": 1.0}
    loss = GrpoUpdateLoss(config)
    batches = micro_batches(learner, batch, config.micro_batch_size, rank, world_size)
    if reference is not None:  # before the policy's own pass, whose activations would stay in memory meanwhile
        batches = [dataclasses.replace(b, reference_logprobs_BL=reference.logprobs(b)) for b in batches]
    metrics = learner.update(batches, loss)
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
    """The GRPO loss of one update, and how far engine and trainer are apart on the tokens that the engine sampled.

    Metrics beside the loss's own: ``engine_gap``, the mean of |log p_trainer - log p_engine|, and ``engine_kl``, the k3
    estimate of KL(engine ‖ trainer), both in nats per token; ``largest_gap`` is the largest such difference.

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
        log_ratio_BL = engine_log_ratio(old_BL, batch.engine_logprobs_BL, mask_BL)
        gap_BL, kl_BL = log_ratio_BL.abs(), k3(torch.zeros_like(log_ratio_BL), log_ratio_BL)
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
            reference_logprobs_BT=batch.reference_logprobs_BL,
        )
        engine = {"engine_gap": gap_BL, "engine_kl": kl_BL}
        return loss, {**metrics, **{name: token_share(value, mask_BL, counts) for name, value in engine.items()}}
