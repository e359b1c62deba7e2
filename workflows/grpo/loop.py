"""GRPO with verifiable rewards: two coroutines, produce and train, joined by one buffer.

    produce: prompts → rollouts (engines) → scores (reward tasks) → advantages → buffer
    train:   buffer → updates (Ray Train workers) → weights of the next version → engines

``max_staleness`` 0 makes it the synchronous, exactly on-policy loop. Group-relative advantages: DeepSeekMath,
arXiv 2402.03300, eq. 21. As SynRL trains (arXiv 2603.17693): accuracy reward only, and no KL term unless asked for.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from temporay.models.families._base import check_weights, family_of
from temporay.operators.dataset.opening import Samples
from temporay.operators.reinforcement import ledger
from temporay.operators.reinforcement.rollout_buffer import RolloutBuffer
from temporay.operators.reinforcement.rollout_files import steps_in
from temporay.workflows.data.own_data import opened, tell_dropped
from temporay.workflows.evaluation.asking import tell_not_asked
from temporay.workflows.evaluation.during_training import HeldOutQuestions, measures, terminal_line
from temporay.workflows.grpo import guards, validation
from temporay.workflows.grpo.checks import check, demand_of, needs
from temporay.workflows.grpo.learner import NoTrainer, PolicyLearner, Trainer
from temporay.workflows.grpo.log import STAGE, StepLines, reward_phrase, summarize
from temporay.workflows.grpo.producer import Produced, Producer, prune
from temporay.workflows.grpo.reward_needs import left_out
from temporay.workflows.grpo.settings import MAY_CHANGE, UNUSED, GrpoConfig
from temporay.workflows.learner.best import best_phrase, best_summary
from temporay.workflows.learner.learner import RAY_STORAGE, steps_done
from temporay.workflows.learner.settings import rate_change
from temporay.workflows.learner.stopping import Stopped, is_asked, stop_on_sigterm
from temporay.workflows.rollouts.adapters import with_adapters
from temporay.workflows.rollouts.defaults import largest, lengths_of, resolved
from temporay.workflows.rollouts.pool import NoPool, Pool, RolloutPool
from temporay.workflows.room import await_room, read_cluster
from temporay.workflows.runs.run_dir import RunDir, check_writable, finished_summary
from temporay.workflows.runs.trackers import mirrored
from temporay.workflows.session import ray_session

STOP_POLL_S = 0.2
ENGINES_PART, CANARY_PART = "start of engines", "check against blank frames"  # of lines about time

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class Loop:
    """What the two halves share."""

    config: GrpoConfig
    producer: Producer
    pool: Pool
    trainer: Trainer
    buffer: RolloutBuffer[Produced]
    lines: StepLines
    canary: guards.CanaryQuestions | None
    held_out: HeldOutQuestions | None
    asks_while_training: bool  # engines answer prompts under the version before
    updating: bool = False  # a batch is being learned, and its line is not written yet

    @classmethod
    def open(
        cls, config: GrpoConfig, run_dir: RunDir, dataset: Samples, pool: Pool, trainer: Trainer, first_step: int
    ) -> Loop:
        """Set up a loop that goes on after ``first_step`` batches."""
        looks = config.mode != "from_rollouts" and config.guards.canary_every > 0
        held_out = validation.held_out_questions(config)
        tell_not_asked(held_out.not_asked if held_out else {})
        return cls(
            config=config,
            producer=Producer.open(config, dataset, pool),
            pool=pool,
            trainer=trainer,
            buffer=RolloutBuffer(max_staleness=config.max_staleness, updates_done=first_step),
            lines=StepLines.open(config, run_dir, dataset, first_step),
            canary=guards.CanaryQuestions.open(dataset, pool.processor, config) if looks else None,
            held_out=held_out,
            asks_while_training=config.max_staleness > 0 or config.mode != "train",
        )


async def both_halves(loop: Loop, first_step: int) -> None:
    """Run both halves; the first fault of either ends both, and so does SIGTERM."""
    await look_if_due(loop, first_step)
    async with asyncio.TaskGroup() as halves:
        watch = halves.create_task(end_when_asked(loop))
        halves.create_task(produce(loop, first_step))
        await halves.create_task(train(loop, first_step))
        watch.cancel()


async def end_when_asked(loop: Loop) -> None:
    """Wait for a stop to be asked for, and for the update that may be under way.

    Raises:
        Stopped: both are there.
    """
    while loop.updating or not is_asked(loop.config.out):
        await asyncio.sleep(STOP_POLL_S)
    raise Stopped


async def produce(loop: Loop, first_step: int) -> None:
    """Turn prompts into scored batches, one per step, no further ahead than the buffer allows."""
    state = loop.producer.state_before(first_step)
    for step in range(first_step, loop.config.num_steps):
        prompts = await loop.producer.prepared(step, state)
        await loop.buffer.room_for(step)
        produced = await loop.producer.batch_of(step, state, prompts)
        state = produced.state
        await loop.buffer.put(step, produced)


async def train(loop: Loop, first_step: int) -> None:
    """Turn batches into updates, published weights and one line of metrics each."""
    for step in range(first_step, loop.config.num_steps):
        produced = await loop.buffer.get(step)
        with produced.clock("sync"):
            await loop.pool.sleep(keep_weights=loop.asks_while_training)
        loop.updating = True
        with produced.clock("train"):
            update = await loop.trainer.update(step, produced.batch)
        produced.clock.move(update.report.publish_s, "train", "sync")
        stops = is_asked(loop.config.out)  # the workers have seen it too; engines are not needed any more
        with produced.clock("sync"):
            if update.weights is not None and not stops:
                await loop.pool.load_weights(update.weights)
        if not stops:
            await look_if_due(loop, step + 1)
            await loop.buffer.mark_done(step)
        loop.lines.write(step, produced, update.report, loop.pool.counters())
        await loop.trainer.mark_logged(step)
        forget(loop.config, step + 1)
        loop.updating = False
        del update  # its weights leave the object store as soon as the pool lets go of them
        if stops:
            raise Stopped


async def look_if_due(loop: Loop, steps_done: int) -> None:
    """Run the blindness canary and the validation that are due, under the weights after so many steps.

    Raises:
        UserError: the model does not look at the video.
    """
    settings = loop.config.guards
    if loop.canary is not None and steps_done % settings.canary_every == 0:
        with loop.lines.run_dir.timed(CANARY_PART):
            result = await guards.look(loop.pool, loop.canary, settings)
        loop.lines.run_dir.log({"stage": guards.STAGE, "step": steps_done, **asdict(result)})
        guards.check_canary(result, settings)
    if loop.held_out is not None and loop.config.validates_after(steps_done):
        with loop.lines.run_dir.timed("validation"):
            rows = await unless_asked_to_stop(loop, loop.held_out.ask(loop.pool))
        if rows is None:
            return  # the run that goes on from here begins with it
        found = measures(rows)
        loop.lines.run_dir.log({"stage": validation.STAGE, "step": steps_done, **found})
        print(terminal_line(steps_done, found), flush=True)
        await loop.trainer.mark_validated(steps_done, found[loop.config.best_metric])


async def unless_asked_to_stop(loop: Loop, work: Coroutine[Any, Any, ResultT]) -> ResultT | None:
    """Wait for work that may take minutes; None when a stop is asked for meanwhile."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            if is_asked(loop.config.out):
                return None
            await asyncio.wait({task}, timeout=STOP_POLL_S)
        return task.result()
    finally:
        task.cancel()


def forget(config: GrpoConfig, steps_done: int) -> None:
    """Delete rollouts that no kept checkpoint would ask for again."""
    if config.mode == "train" and steps_done % config.checkpoint_every == 0:
        # Two whole checkpoints are kept, while the one before this step may still be written.
        oldest_kept = steps_done - 3 * config.checkpoint_every
        prune(config.out, before=oldest_kept - 1, keep_every=config.keep_rollouts_every)


async def reinforce(config: GrpoConfig, run_dir: RunDir, dataset: Samples, pool: Pool) -> None:
    """Run both halves from the newest checkpoint on; a run that only samples, from the first missing step on."""
    if config.mode == "rollouts_only":
        first_step = len(steps_in(config.out))
        await both_halves(Loop.open(config, run_dir, dataset, pool, NoTrainer(), first_step), first_step)
        return
    # This drops no step, but a line that a kill cut short: the workers append to the file.
    run_dir.drop_from(STAGE, config.num_steps)
    weight_format = pool.weight_format()
    if weight_format is not None and config.trained.weights == "lora":
        print(f"{STAGE}: only adapters are published; {weight_format.of_adapters}", flush=True)
    await pool.sleep(keep_weights=True)
    async with PolicyLearner.started(config, weight_format) as learner:
        weights = learner.take_start_weights()
        if weights is not None:
            await pool.load_weights(weights)
            del weights
        loop = Loop.open(config, run_dir, dataset, pool, learner, learner.first_step)
        await both_halves(loop, learner.first_step)


def run_with(config: GrpoConfig, pool: Pool, *, engines_s: float | None = None) -> dict[str, Any]:
    """Do the whole run on engines that hold the weights of ``config.model``; return what summary.json holds.

    Args:
        engines_s: how long it took to start them; None: they were there.
    """
    dataset = opened(config.data, config)
    check(config, dataset)
    run_dir = RunDir.open(config.out, config, kind=STAGE, may_change=MAY_CHANGE)
    tell_dropped(STAGE, config.out, {dataset.path: dataset.dropped})
    finished = run_dir.summary()
    if finished is not None:
        return finished
    changed = rate_change(config, run_dir.earlier, steps_done(config))
    for said in filter(None, [changed, *left_out(config, dataset)]):
        print(f"{STAGE}: {said}", flush=True)
    if UNUSED[config.mode]:
        print(f"grpo: mode {config.mode} has no use for {', '.join(UNUSED[config.mode])}", flush=True)
    if engines_s is not None:
        run_dir.log_seconds(ENGINES_PART, engines_s)
    stop = stop_on_sigterm(config.out, config.stop_grace_s)
    with run_dir.stage(STAGE), mirrored(config.out, config.trackers), stop:
        asyncio.run(reinforce(config, run_dir, dataset, pool))
    shutil.rmtree(config.out / RAY_STORAGE, ignore_errors=True)
    summary = summarize(run_dir.rows(STAGE), run_dir.rows(ledger.STAGE), config.guards.flat_after_steps)
    return run_dir.finish({**summary, **best_summary(config.out), "pool": pool.settings()})


def run(config: GrpoConfig) -> dict[str, Any]:
    """Start engines, improve the policy, and return what summary.json holds.

    Raises:
        UserError: data, model or settings are not valid, ``out`` cannot be written, or a guard stopped the run.
    """
    check_writable(config.out)
    dataset = opened(config.data, config)
    check(config, dataset)
    if finished := finished_summary(config.out, config, kind=STAGE, may_change=MAY_CHANGE):
        return finished
    check_weights(config.model)
    if config.mode == "from_rollouts":
        with ray_session():
            await_room(needs(config, None, read_cluster()))
            return run_with(config, NoPool(family_of(config.model).load_processor(config.model)))
    lengths = lengths_of(config.model)
    held_out = validation.held_out_questions(config)
    demand = largest([demand_of(config, dataset, lengths), *([held_out.demand(lengths)] if held_out else [])])
    with ray_session():
        engines = resolved(config.pool, config.model, demand)
        if config.mode == "train":
            engines = with_adapters(engines, config.trained)
        await_room(needs(config, engines, read_cluster()))
        start = time.monotonic()
        with RolloutPool.started(engines, config.model) as pool:
            return run_with(config, pool, engines_s=time.monotonic() - start)


def tell(summary: Mapping[str, Any]) -> None:
    """Print the rewards of the first and of the last quarter of the steps, and where the best weights are."""
    print(f"{reward_phrase(summary)}{best_phrase(summary)}")
