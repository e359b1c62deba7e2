"""The driver's end of GRPO's training half: Ray Train workers that only consume batches and publish weights.

    driver: update(step, batch) → mailbox → workers: forward, backward, step → mailbox → metrics, weights of step + 1

Workers pull from a mailbox. So a group that starts again takes the batches since its checkpoint again and gets to the
same weights, while engines and driver only wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError
from temporay.operators.errors import UserError, error_behind
from temporay.workflows.grpo.batches import TrainingBatch, UpdateReport
from temporay.workflows.grpo.mailbox import Mailbox
from temporay.workflows.grpo.settings import GrpoConfig, GrpoSettings
from temporay.workflows.grpo.worker import WORKER_STAGE, update_loop
from temporay.workflows.learner.learner import make_trainer
from temporay.workflows.learner.scaling import fit_where_there_is_room, tell, worker_need
from temporay.workflows.placement import ClusterState, RoleNeed
from temporay.workflows.rollouts.gpu_shares import shares_of
from temporay.workflows.rollouts.published_weights import PublishedWeights, WeightFormat
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.room import read_cluster
from temporay.workflows.runs.progress import CheckpointNews

MAILBOX_CPUS = 0.01  # some, because Ray puts actors without any on a node that it draws, such as the head


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What the updates of one batch gave."""

    report: UpdateReport
    weights: PublishedWeights | None  # None: the weights stay as they are


class Trainer(Protocol):
    """What the loop asks of its training half. ``PolicyLearner`` learns, ``NoTrainer`` does not."""

    async def update(self, step: int, batch: TrainingBatch) -> Update: ...

    async def mark_validated(self, steps_done: int, value: float) -> None: ...

    async def mark_logged(self, step: int) -> None: ...


class NoTrainer:
    """The training half of a run that only samples: the weights stay."""

    async def update(self, step: int, batch: TrainingBatch) -> Update:
        return Update(report=UpdateReport(metrics={}), weights=None)

    async def mark_validated(self, steps_done: int, value: float) -> None:
        """Do nothing: no weights are kept."""

    async def mark_logged(self, step: int) -> None:
        """Do nothing: no checkpoint waits for it."""


class PolicyLearner:
    """The driver's end of the training workers."""

    def __init__(
        self,
        mailbox: Any,
        fit: asyncio.Future[Any],
        start: tuple[int, PublishedWeights | None],
        news: CheckpointNews,
    ) -> None:
        self._mailbox = mailbox
        self._fit = fit
        self._news = news
        self._start_weights = start[1]
        self.first_step = start[0]  # batches that the checkpoint is done with

    def take_start_weights(self) -> PublishedWeights | None:
        """Hand over the weights of ``first_step``, once, so that nothing holds them longer than engines need them.

        None: those of the model that training starts from, or no engine needs them.
        """
        weights, self._start_weights = self._start_weights, None
        return weights

    @classmethod
    @asynccontextmanager
    async def started(cls, config: GrpoConfig, weights: WeightFormat | None) -> AsyncIterator[PolicyLearner]:
        """Start the workers: inside they are up and at their newest checkpoint, at the end OUT/model is written.

        Args:
            weights: how they are published; None: they are not, because no engine takes them.
        """
        news = CheckpointNews(config.out, WORKER_STAGE)
        cluster = read_cluster()
        workers, place = trainer_needs(config, config.pool, cluster)
        tell(workers, cluster)
        actor = ray.remote(Mailbox).options(max_concurrency=64, **place.actor_options)
        mailbox = actor.remote(3 * config.checkpoint_every)
        arguments = {"mailbox": mailbox, "weights": weights}
        make = partial(make_trainer, update_loop, arguments, config.absolute(), need=workers)
        fit = _in_thread(partial(fit_where_there_is_room, make, [workers], config.max_failures))
        learner = cls(mailbox, fit, await _first_of(_resolve(mailbox.take_start.remote()), fit), news)
        news.tell()
        try:
            yield learner
        except Exception:  # not when it is interrupted: workers may be in the middle of a long step
            with suppress(RayActorError):  # or the workers would wait for the next batch without end, and we for them
                await mailbox.close.remote()
            await asyncio.wait({fit})
            raise
        await fit
        news.tell()

    async def update(self, step: int, batch: TrainingBatch) -> Update:
        """Have a batch learned and return what it gave; a fault of the workers is raised here."""
        await _resolve(self._mailbox.put_batch.remote(step, [ray.put(batch)]))
        report, weights = await _first_of(_resolve(self._mailbox.take_result.remote(step)), self._fit)
        # Workers that start again may ask for it. Until then nothing but rows is kept of it, not gigabytes of frames.
        await _resolve(self._mailbox.put_batch.remote(step, [ray.put(batch.without_frames())]))
        return Update(report=report, weights=weights)

    async def mark_validated(self, steps_done: int, value: float) -> None:
        """Tell the workers what their weights after so many steps are worth; they keep the best ones."""
        await _resolve(self._mailbox.put_validation.remote(steps_done, value))

    async def mark_logged(self, step: int) -> None:
        """Note that the step's line is in metrics.jsonl; no checkpoint holds a step whose line is not."""
        await _resolve(self._mailbox.mark_logged.remote(step))
        self._news.tell()


def _in_thread(call: Callable[[], Any]) -> asyncio.Future[Any]:
    """Call a function in a thread that keeps no process from ending, as those of ``asyncio.to_thread`` do."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def keep(value: Any, error: BaseException | None) -> None:
        if result.done():
            return  # whoever waited has gone
        if error is None:
            result.set_result(value)
        else:
            result.set_exception(error)

    def work() -> None:
        value, error = None, None
        try:
            value = call()
        except BaseException as fault:  # whatever ended the thread; without it the run would wait without end
            error = fault
        if not loop.is_closed():  # it is when the run was interrupted
            loop.call_soon_threadsafe(keep, value, error)

    threading.Thread(target=work, daemon=True).start()
    return result


def trainer_needs(settings: GrpoSettings, pool: PoolConfig, cluster: ClusterState) -> tuple[RoleNeed, RoleNeed]:
    """Return what the workers need, and the mailbox, which stands on a node of theirs."""
    workers = worker_need(settings, cluster, shares_of(pool).worker_gpus)
    each = {**settings.worker_resources, "CPU": MAILBOX_CPUS}
    asked_by = dict.fromkeys(settings.worker_resources, "worker_resources")
    return workers, RoleNeed(role="mailbox", count=1, each=each, change="num_workers", amounts=asked_by)


async def _resolve(reference: Any) -> Any:
    """Wait for an answer of the mailbox.

    Raises:
        KeyboardInterrupt: the mailbox was lost, with its node; the run can go on when it is started again.
    """
    try:
        return await reference
    except RayActorError as error:
        print(f"{WORKER_STAGE}: the node of the mailbox was lost: {error}", flush=True)
        raise KeyboardInterrupt from error


async def _first_of(wanted: Coroutine[Any, Any, Any], fit: asyncio.Future[Any]) -> Any:
    """Return what is wanted, or raise the fault that ended the training run which should have given it."""
    task = asyncio.ensure_future(wanted)
    done, _ = await asyncio.wait({task, fit}, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        return task.result()
    task.cancel()
    error = fit.exception()
    if error is None:
        raise RuntimeError("the training workers ended before the last update")
    raise error_behind(error, UserError) or error
