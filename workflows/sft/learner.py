"""The training half of SFT: what every Ray Train worker runs.

checkpoint → micro-batches from its step on → update → validation, checkpoint when due → OUT/model
"""

import time
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

import ray
from temporay.models.losses._supervised import supervised
from temporay.operators.errors import UserError
from temporay.workflows.learner.learner import Learner
from temporay.workflows.sft.answers import AnswerValidation
from temporay.workflows.sft.clips import RankSteps, clips
from temporay.workflows.sft.collation import Collate, StepBatches, collated_steps
from temporay.workflows.sft.inputs import Inputs
from temporay.workflows.sft.mixture import Mixture, Part
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.unread import UnreadSamples
from temporay.workflows.sft.validation import TargetValidation, Validation

STAGE = "sft"


def train_loop(arguments: Mapping[str, Any]) -> None:
    """Train from the newest checkpoint to the last step, or until SIGTERM."""
    config: SftConfig = arguments["config"]
    learner = Learner(config, STAGE)
    if not learner.finished:
        inputs: Inputs = ray.get(arguments["inputs"][0])
        check_cursor(learner.cursor, cursor_of(inputs, learner.step))
        take_steps(learner, inputs, config)
    if learner.finished:
        learner.write_model()


def take_steps(learner: Learner, inputs: Inputs, config: SftConfig) -> None:
    """Take all steps that are left, with validations and checkpoints when they are due."""
    parallel = learner.policy.parallel
    steps = RankSteps(
        schedule=inputs.schedule, rank=parallel.rank, world_size=parallel.world_size, first_step=learner.step
    )
    lock = Lock()
    collate = make_collate(learner, inputs.parts, inputs.schedule.tokens_N, config, lock)
    batches = collated_steps(clips(steps.blocks(inputs.frame_bytes_N), inputs.parts), steps, collate)
    validation = validation_of(learner, inputs, config, lock)
    if validation is not None:
        validation.run_before_training()
        learner.has_learned = validation.has_stopped()
    losses: list[float] = []
    unread = UnreadSamples(
        learner, collate.mixture, num_dropped=len(inputs.dropped), largest_share=config.max_dropped_share
    )
    for metrics in updates(learner, batches, steps, unread):
        losses += [metrics["loss"]] if "loss" in metrics else []
        if validation is not None:
            validation.run_if_due()
        reported = {"loss": sum(losses) / len(losses)} if losses else {}
        if learner.save_if_due(reported, cursor_of(inputs, learner.step)):
            losses.clear()
        if learner.stopping:
            return


def validation_of(learner: Learner, inputs: Inputs, config: SftConfig, lock: Any) -> Validation | None:
    """Set up what the run validates by; None where there is nothing to validate on."""
    if inputs.asked is not None:
        return AnswerValidation(learner, inputs.asked, config)
    if (held_out := inputs.held_out) is None:
        return None
    collate = make_collate(learner, (held_out.part,), held_out.tokens_N, config, lock)
    return TargetValidation(learner, held_out, collate, config)


def make_collate(learner: Learner, parts: tuple[Part, ...], tokens_N: Any, config: SftConfig, lock: Any) -> Collate:
    """Make the collator of one mixture."""
    return Collate(
        family=learner.family,
        processor=learner.processor,
        mixture=Mixture.open(parts),
        tokens_N=tokens_N,
        settings=config,
        pin=learner.policy.parallel.device.type == "cuda",
        lock=lock,
    )


def updates(
    learner: Learner, batches: Iterator[tuple[int, StepBatches]], steps: RankSteps, unread: UnreadSamples
) -> Iterator[dict[str, float]]:
    """Update once per batch and log each: loss, rate, the share of time it waited for data, and its rows.

    The rows are those that came: every rank has compared its own with the schedule. A step that was left out, because
    its gradient was not finite or none of it could be read, names its samples instead of its loss.

    Raises:
        UserError: too many samples cannot be read.
    """
    while not learner.finished:
        start = time.perf_counter()
        step, made = next(batches)
        if step != learner.step:
            raise RuntimeError(f"data of step {step} came at step {learner.step}")
        waited_s = time.perf_counter() - start
        metrics = learner.update(made.batches, supervised)
        seconds = time.perf_counter() - start
        row = {**metrics, "seconds": seconds, "wait": waited_s / seconds}
        rows = steps.schedule.rows_of(step)
        if "tokens" in metrics:
            row |= {"tokens_per_s": metrics["tokens"] / seconds, **steps.schedule.token_metrics(step, steps.world_size)}
        named = {} if "loss" in metrics else {"keys": unread.keys(rows)}
        left_out = unread.of_step(made.unread, are_any=metrics.get("sequences") != len(rows))
        learner.log({"step": step, "time": time.time(), **row, "rows": rows, **named, **left_out})
        yield row


def cursor_of(inputs: Inputs, step: int) -> dict[str, Any]:
    """Return where the data stands after some steps, as JSON values."""
    schedule = inputs.schedule
    parts = [part.identity() for part in inputs.parts]
    return {"next_sample": int(schedule.starts[step]), "schedule": schedule.digest(step), "parts": parts}


def check_cursor(saved: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse to go on with other data than a run began with.

    Raises:
        UserError: a dataset has changed.
    """
    if saved and dict(saved) != dict(expected):
        raise UserError(
            f"the data changed since the checkpoint: {saved}, now {expected}; restore it, or give another --out"
        )
