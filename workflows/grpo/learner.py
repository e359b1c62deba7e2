"""The training half of GRPO: Ray Train workers that only consume batches and publish weights.

    driver: update(step, batch) → mailbox → workers: forward, backward, step → mailbox → metrics, weights of step + 1

Workers pull from a mailbox. So a group that starts again takes the batches since its checkpoint again and gets to the
same weights, while engines and driver only wait.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError
from temporay.models.adapters import AdapterForm
from temporay.models.parallel import local_part
from temporay.models.policy import Policy
from temporay.operators.errors import UserError, error_behind
from temporay.workflows.grpo.batches import TrainingBatch, UpdateReport
from temporay.workflows.grpo.mailbox import Mailbox
from temporay.workflows.grpo.settings import GrpoConfig, GrpoSettings
from temporay.workflows.grpo.update import learn_from
from temporay.workflows.learner.best import keep_if_best
from temporay.workflows.learner.learner import Learner, make_trainer
from temporay.workflows.learner.scaling import fit_where_there_is_room, tell, worker_need
from temporay.workflows.placement import ClusterState, RoleNeed
from temporay.workflows.rollouts.gpu_shares import shares_of
from temporay.workflows.rollouts.published_weights import PublishedWeights, WeightFormat, publish
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.room import read_cluster
from temporay.workflows.runs.progress import CheckpointNews

WORKER_STAGE = "grpo_worker"  # the name of the training workers' lines in metrics.jsonl
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

    def keep(value: Any, error: Exception | None) -> None:
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
        except Exception as fault:
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


def update_loop(arguments: Mapping[str, Any]) -> None:
    """Learn from one batch after the other; every Ray Train worker runs this."""
    config: GrpoConfig = arguments["config"]
    mailbox, has_reference = arguments["mailbox"], bool(config.loss.beta)
    learner = Learner(
        config, WORKER_STAGE, temperature=config.temperature, reference=has_reference, shares_metrics=True
    )
    reference = starting_policy(learner) if has_reference else None
    if reference is not None:
        learner.log({"step": learner.step, "reference_bytes_per_rank": local_bytes(reference)})
    if rank_0_hears(learner, mailbox.wants_start):
        hand_over_start(learner, arguments["weights"], mailbox)
    keep_if_validated(learner, mailbox, config)
    while not learner.finished:
        step = learner.step
        references = ray.get(mailbox.take_batch.remote(step))
        if not references:  # the driver was stopped: what it has logged must not be done again
            learner.save_if_due({}, may_save=partial(is_logged, mailbox, step - 1), last=True)
            return
        report = learn_from(learner, ray.get(references[0]), config, reference)
        if rank_0_hears(learner, mailbox.wants_result, step):
            hand_over_result(learner, arguments["weights"], mailbox, step, report)
        keep_if_validated(learner, mailbox, config)  # before the checkpoint, behind which no run would come back here
        learner.save_if_due(report.metrics, may_save=partial(is_logged, mailbox, step))
        if learner.stopping:
            return
    learner.write_model()


def hand_over_start(learner: Learner, how: WeightFormat | None, mailbox: Any) -> None:
    """Tell the driver where training starts, with the weights that engines must load; on every rank."""
    # Engines were started with the weights of step 0.
    weights = publish_weights(learner, how, mailbox) if learner.step > 0 else None
    if learner.policy.parallel.rank == 0:
        ray.get(mailbox.put_start.remote(learner.step, weights))


def hand_over_result(learner: Learner, how: WeightFormat | None, mailbox: Any, step: int, report: UpdateReport) -> None:
    """Publish the weights after a step and hand them over with its report; on every rank.

    This process then refers to them no more. They leave the object store as soon as the pool lets go of them.
    """
    start = time.perf_counter()
    weights = publish_weights(learner, how, mailbox)
    num_bytes = weights.num_bytes if weights else 0
    report = dataclasses.replace(report, publish_s=time.perf_counter() - start, publish_bytes=num_bytes)
    if learner.config.pool.placement == "in_turns":  # engines take what the passes needed
        learner.policy.parallel.release_cache()
    if learner.policy.parallel.rank == 0:
        ray.get(mailbox.put_result.remote(step, report, weights))


def keep_if_validated(learner: Learner, mailbox: Any, config: GrpoConfig) -> None:
    """Wait for the validation of these weights if one is due, and keep them if none were better; on every rank."""
    if not (config.validates and learner.step > 0 and config.validates_after(learner.step)):
        return
    value = ray.get(mailbox.take_validation.remote(learner.step))
    if value is not None:
        keep_if_best(learner, config.best_metric, value)


def rank_0_hears(learner: Learner, method: Any, *arguments: Any) -> bool:
    """Let rank 0 ask the mailbox a question, and return the answer on every rank, as all must act alike."""
    parallel = learner.policy.parallel
    return bool(parallel.from_rank_0(ray.get(method.remote(*arguments)) if parallel.rank == 0 else None))


def publish_weights(learner: Learner, how: WeightFormat | None, mailbox: Any) -> PublishedWeights | None:
    """Publish the policy's adapters, or its weights as engines take them; only rank 0 returns them.

    Every rank must call it.
    """
    if how is None:
        return None
    policy, config = learner.policy, learner.config
    form: AdapterForm | None = None
    if config.trained.weights == "lora":
        form = AdapterForm(base=config.model, rank=config.trained.lora.rank, alpha=config.trained.lora.alpha)
    weights = policy.adapter_factors() if form else policy.whole_weights(how.dtype)
    if policy.parallel.rank > 0:
        deque(weights, maxlen=0)  # ranks gather each weight together
        return None
    return publish(
        weights,
        learner.step,
        adapters=form,
        bucket_bytes=how.bucket_bytes,
        store=lambda bucket: ray.get(mailbox.hold.remote(bucket))[0],
    )


def is_logged(mailbox: Any, step: int) -> bool:
    """Wait for the step's line in metrics.jsonl, which a run that goes on from its checkpoint would not write."""
    return bool(ray.get(mailbox.wait_until_logged.remote(step)))


def starting_policy(learner: Learner) -> Policy:
    """Load the weights that training started from, frozen, as the reference of a KL penalty; also after a restart.

    It is a second model beside the policy, sharded over the same ranks, and kept in the type of the checkpoint's files:
    2 bytes for each weight in bfloat16, on top of the 16 that weights, gradients and AdamW take. It is computed as the
    policy is, so its divergence is exactly 0 before the first update.
    """
    settings = learner.policy.settings
    hardware = settings.hardware.model_copy(update={"sharding": "parameters"})  # no step needs it whole
    return Policy.load(
        learner.config.model,
        learner.family,
        dataclasses.replace(settings, gradient_checkpointing=False, is_reference=True, hardware=hardware),
        learner.policy.parallel,
    )


def local_bytes(policy: Policy) -> int:
    """Count the bytes of the parameters that this rank holds."""
    return sum(part.numel() * part.element_size() for part in map(local_part, policy.model.parameters()))
