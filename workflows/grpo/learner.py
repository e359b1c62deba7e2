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
from functools import partial
from typing import Any

import ray
import torch
from ray import train
from temporay.models.lora import EVERYTHING
from temporay.models.parallel import local_part
from temporay.models.policy import Policy
from temporay.models.weights import pack
from temporay.operators.errors import UserError, error_behind
from temporay.workflows.grpo.mailbox import Mailbox, Published
from temporay.workflows.grpo.update import Ranks, TrainingBatch, UpdateConfig, UpdateReport, learn_from
from temporay.workflows.learner.learner import Learner, LearnerConfig, make_trainer, scaling

SPARE_CPUS = 0.0  # nothing else is computed for the trainer: batches come ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What the updates of one batch gave."""

    report: UpdateReport
    weights_version: int
    weights: Published | None  # for engines to pull; None: they stay


class PolicyLearner:
    """The driver's end."""

    def __init__(self, mailbox: Any, fit: asyncio.Future[Any], first_step: int, weights: Published) -> None:
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
        first_step, weights = await _first_of(_resolve(mailbox.take_start.remote()), fit)
        try:
            yield cls(mailbox, fit, first_step, weights)
        except BaseException:
            await mailbox.close.remote()  # or the workers would wait for the next batch for ever, and we for them
            await asyncio.wait({fit})
            raise
        await fit

    async def update(self, step: int, batch: TrainingBatch) -> Update:
        """The updates of one batch; a fault of the workers is raised here."""
        await self._mailbox.put_batch.remote(step, [ray.put(batch)])
        report, weights = await _first_of(_resolve(self._mailbox.take_result.remote(step)), self._fit)
        return Update(report=report, weights_version=step + 1, weights=weights)

    async def mark_logged(self, step: int) -> None:
        """The step's line is in metrics.jsonl; no checkpoint holds a step whose line is not."""
        await self._mailbox.mark_logged.remote(step)


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
    raise error_behind(error, UserError) or error


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
        if not references:  # the driver was stopped: what it has logged is not to be done again
            learner.save_if_due({}, may_save=partial(is_logged, mailbox, step - 1), last=True)
            return
        batch: TrainingBatch = ray.get(references[0])
        report = learn_from(learner, batch, update, Ranks(rank=rank, world_size=world_size), reference)
        packet = pack(learner.policy.state_dict(), learner.step)
        if rank == 0:
            ray.get(mailbox.put_result.remote(step, report, packet))
        learner.save_if_due(report.metrics, may_save=partial(is_logged, mailbox, step))
    learner.export()


def is_logged(mailbox: Any, step: int) -> bool:
    """Waits for the step's line in metrics.jsonl, which a run that goes on from its checkpoint would not write."""
    return bool(ray.get(mailbox.wait_until_logged.remote(step)))


def starting_policy(learner: Learner) -> Policy:
    """The weights that training started from, frozen, as the reference of a KL penalty; also after a restart.

    A second model beside the policy, in float32 and sharded over the same ranks: 4 bytes per parameter and rank
    divided by the number of ranks, a fifth on top of the 16 that weights, gradients and AdamW take. Being computed as
    the policy is, its divergence is exactly 0 before the first update.
    """
    settings = learner.policy.settings
    hardware = settings.hardware.model_copy(update={"sharding": "parameters"})  # no step needs it whole
    reference = Policy(
        learner.family.load_model(learner.config.model, torch.float32),
        learner.family,
        dataclasses.replace(settings, gradient_checkpointing=False, trained=EVERYTHING, hardware=hardware),
        learner.policy.parallel,
    )
    reference.model.requires_grad_(False)
    return reference


def local_bytes(policy: Policy) -> int:
    """Bytes of the parameters that this rank holds."""
    return sum(part.numel() * part.element_size() for part in map(local_part, policy.model.parameters()))
