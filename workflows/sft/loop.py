"""Supervised fine-tuning on one or several datasets: Ray tasks decode, Ray Train's workers learn (FSDP2).

samples → token counts → schedule of steps → clips (Ray tasks) → micro-batches (prefetch thread) → updates →
validation now and then → OUT/model, OUT/best
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

import ray
from ray import train
from temporay.models.families._base import family_of
from temporay.models.losses._supervised import supervised
from temporay.operators.errors import UserError
from temporay.workflows.learner.learner import (
    MODEL,
    RAY_STORAGE,
    Learner,
    LearnerConfig,
    fit,
    make_trainer,
    scaling,
)
from temporay.workflows.learner.stopping import stop_on_sigterm
from temporay.workflows.runs.progress import follow_metrics
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.runs.trackers import check_trackers, mirrored
from temporay.workflows.session import ray_session
from temporay.workflows.sft.clips import Collate, RankSteps, clips, collated_steps
from temporay.workflows.sft.inputs import Inputs, accounts, prepare, validation_account, wording_of
from temporay.workflows.sft.mixture import Mixture, Part, absolute, parts_of
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.validation import BEST, Validation, check_metric, finish_best

STAGE = "sft"
MAY_CHANGE = ("num_workers", "threads", "max_failures")  # between two calls of one run


def train_loop(arguments: Mapping[str, Any]) -> None:
    """What every Ray Train worker runs."""
    config: SftConfig = arguments["config"]
    learner = Learner(arguments["learner"])
    if not learner.finished:
        inputs: Inputs = ray.get(arguments["inputs"][0])
        rank, world_size = train.get_context().get_world_rank(), train.get_context().get_world_size()
        check_cursor(learner.cursor, cursor_of(inputs, learner.step))
        steps = RankSteps(schedule=inputs.schedule, rank=rank, world_size=world_size, first_step=learner.step)
        lock = Lock()
        collate = make_collate(learner, inputs.parts, inputs.schedule.tokens_N, config, lock)
        batches = collated_steps(clips(steps.blocks(inputs.frame_bytes_N), inputs.parts), steps, collate)
        validation = None
        if inputs.held_out is not None:
            held_out = inputs.held_out
            of_held_out = make_collate(learner, (held_out.part,), held_out.tokens_N, config, lock)
            validation = Validation(learner, held_out, of_held_out)
        losses: list[float] = []
        for metrics in updates(learner, batches, steps):
            losses.append(metrics["loss"])
            if validation is not None:
                validation.run_if_due()
            if learner.save_if_due({"loss": sum(losses) / len(losses)}, cursor_of(inputs, learner.step)):
                losses.clear()
            if learner.stopping:
                break
    if learner.finished:
        learner.export()


def make_collate(learner: Learner, parts: tuple[Part, ...], tokens_N: Any, config: SftConfig, lock: Any) -> Collate:
    """The collator of one mixture."""
    return Collate(
        learner.family,
        learner.processor,
        mixture=Mixture.open(parts),
        tokens_N=tokens_N,
        wording=wording_of(config),
        lock=lock,
    )


def updates(learner: Learner, batches: Iterator[Any], steps: RankSteps) -> Iterator[dict[str, float]]:
    """One update per batch; each leaves a line: loss, rate, the share of time it waited for data, and its rows.

    The rows are those that came: every rank has compared its own with the schedule.
    """
    while not learner.finished:
        start = time.perf_counter()
        step, micro_batches = next(batches)
        if step != learner.step:
            raise RuntimeError(f"data of step {step} came at step {learner.step}")
        waited_s = time.perf_counter() - start
        metrics = learner.update(micro_batches, supervised)
        seconds = time.perf_counter() - start
        row = {**metrics, "seconds": seconds, "tokens_per_s": metrics["tokens"] / seconds, "wait": waited_s / seconds}
        schedule = steps.schedule
        tokens = schedule.token_metrics(step, steps.world_size)
        learner.log({"step": step, "time": time.time(), **row, **tokens, "rows": schedule.rows_of(step)})
        yield row


def cursor_of(inputs: Inputs, step: int) -> dict[str, Any]:
    """Where the data stands after some steps, as JSON values."""
    schedule = inputs.schedule
    parts = [part.identity() for part in inputs.parts]
    return {"next_sample": int(schedule.starts[step]), "schedule": schedule.digest, "parts": parts}


def check_cursor(saved: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuses to go on with other data than a run began with.

    Raises:
        UserError: a dataset has changed.
    """
    if saved and dict(saved) != dict(expected):
        raise UserError(
            f"the data changed since the checkpoint: {saved}, now {expected}; restore it, or give another --out"
        )


def check(config: SftConfig) -> None:
    """Refuses what cannot work, before anything starts.

    Raises:
        UserError: there is no such model, the arms do not give the metric, or the package of a tracker is missing.
    """
    family_of(config.model)
    if config.validation is not None:
        check_metric(config.best_metric, config.validation_arms)
    check_trackers(config.trackers)


def run(config: SftConfig, *, callbacks: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Fine-tunes a model; the result is OUT/model, and what summary.json holds is returned.

    Args:
        callbacks: of Ray Train, e.g. Tune's.

    Raises:
        KeyboardInterrupt: SIGTERM came; a checkpoint of the last step is written.
    """
    config = config.model_copy(
        update={
            **{name: getattr(config, name).absolute() for name in ("data", "model", "out")},
            "mixture": tuple(absolute(entry) for entry in config.mixture),
            "validation": None if config.validation is None else config.validation.absolute(),
        }
    )
    parts = parts_of(config.data, config.mixture, config.video_reading)
    check(config)
    run_dir = RunDir.open(config.out, config, kind=STAGE, may_change=MAY_CHANGE)
    finished = run_dir.summary()
    if finished is not None:
        return finished
    with (
        ray_session(),
        run_dir.stage(STAGE),
        stop_on_sigterm(config.out),
        mirrored(config.out, config.trackers),
        follow_metrics(config.out, STAGE, config.num_steps) as last,
    ):
        inputs = prepare(config, parts)
        learn(config, inputs, callbacks)
    shutil.rmtree(config.out / RAY_STORAGE, ignore_errors=True)
    result: dict[str, Any] = {"model": str(config.out / MODEL), "num_steps": config.num_steps, "loss": last["loss"]}
    best = finish_best(config.out)
    if best is not None:
        result["validation"] = validation_account(inputs)
        result["best"] = {
            "metric": best.metric,
            "step": best.step,
            "value": best.value,
            "model": str(config.out / BEST),
        }
    shares = mean_shares(run_dir.rows(STAGE))
    return run_dir.finish({**result, **shares, "data": accounts(inputs)})


def mean_shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of all seconds those spent waiting for data, and of all computed tokens those that were padding."""
    steps = [row for row in rows if "loss" in row]
    seconds = sum(row["seconds"] for row in steps)
    computed = sum(row["input_tokens"] / (1 - row["padding"]) for row in steps)
    return {
        "wait": sum(row["wait"] * row["seconds"] for row in steps) / seconds,
        "padding": 1 - sum(row["input_tokens"] for row in steps) / computed,
    }


def learn(config: SftConfig, inputs: Inputs, callbacks: tuple[Any, ...]) -> None:
    """Runs the workers to the end, restarting them from the newest checkpoint when one dies."""
    learner = LearnerConfig(
        stage=STAGE,
        model=config.model,
        out=config.out,
        optimizer=config.optimizer,
        num_steps=config.num_steps,
        checkpoint_every=config.checkpoint_every,
        threads=config.threads,
        gradient_checkpointing=config.gradient_checkpointing,
        trained=config.trained,
        hardware=config.hardware,
    )
    trainer = make_trainer(
        train_loop,
        {"config": config, "learner": learner, "inputs": [ray.put(inputs)]},
        out=config.out,
        scaling_config=scaling(config.num_workers, spare_cpus=1),
        max_failures=config.max_failures,
        callbacks=callbacks,
    )
    fit(trainer)


def tell(summary: Mapping[str, Any]) -> None:
    """Print the loss, the share of time spent waiting for data, and where the models are."""
    print(f"loss {summary['loss']:.4f}; waited for data {summary['wait']:.1%} of the time; {model_line(summary)}")


def model_line(summary: Mapping[str, Any]) -> str:
    """Where the models are."""
    last = f"the model is in {summary['model']}"
    if "best" not in summary:
        return last
    best = summary["best"]
    return f"{last}; best {best['metric']} {best['value']:.4f} at step {best['step']}, in {best['model']}"
