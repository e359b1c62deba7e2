"""Supervised fine-tuning on one or several datasets: Ray Data decodes, Ray Train's workers learn (FSDP2).

dataset rows in a fixed order → clips (Ray Data tasks) → batches (prefetch thread) → updates → OUT/model
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field
from ray import train

from models.families._base import family_of
from models.lora import Trained
from models.parallel import Hardware
from models.policy import OptimizerConfig, supervised
from operators.errors import UserError
from operators.prompts import ANSWER_ONLY_INSTRUCTION
from operators.sources.video_qa import VideoReading
from workflows.command_line import parse
from workflows.config import Config
from workflows.learner import (
    MODEL,
    RAY_STORAGE,
    Learner,
    LearnerConfig,
    fit,
    make_trainer,
    scaling,
)
from workflows.mixture import Mixture, Part, absolute, dropped_lines, parts_of, samples_drawn
from workflows.progress import follow_metrics
from workflows.run_dir import RunDir
from workflows.session import ray_session
from workflows.training_data import Collate, RankRows, batches_of, segments, steps_per_block

STAGE = "sft"


class SftSettings(Config):
    """How a model is fine-tuned, wherever it and the samples are."""

    seed: int = 0
    num_steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=32, ge=1)  # samples per step, over all workers
    micro_batch_size: int = Field(default=32, ge=1)  # samples per forward pass of one worker
    optimizer: OptimizerConfig = OptimizerConfig()
    instruction: str = ""  # how to answer, appended to the question
    answer_only_instruction: str = ANSWER_ONLY_INSTRUCTION  # the same for samples without a chain of thought
    max_length: int | None = Field(default=None, ge=1)  # tokens; longer samples are refused. None: the tokenizer's own
    num_workers: int = Field(default=1, ge=1)  # Ray Train workers (FSDP2 ranks)
    threads: int = Field(default=2, ge=1)  # CPU threads of each
    gradient_checkpointing: bool = False
    trained: Trained = Trained()  # all weights or LoRA adapters; vision tower and projector trained or frozen
    hardware: Hardware = Hardware()
    checkpoint_every: int = Field(default=200, ge=1)  # steps
    max_failures: int = Field(default=3, ge=0)  # restarts of the workers from the newest checkpoint


class SftConfig(SftSettings):
    """Settings of ``temporay sft``."""

    data: Path  # a dataset made by ``temporay generate``, or JSON lines of video questions
    mixture: tuple[str, ...] = ()  # others as PATH=SHARE of all samples; ``data`` has what they leave
    video_reading: VideoReading = VideoReading()  # of JSON lines
    model: Path  # Hugging Face layout
    out: Path


def train_loop(arguments: Mapping[str, Any]) -> None:
    """What every Ray Train worker runs."""
    config: SftConfig = arguments["config"]
    learner = Learner(arguments["learner"])
    if not learner.finished:
        rank, world_size = train.get_context().get_world_rank(), train.get_context().get_world_size()
        parts: tuple[Part, ...] = arguments["parts"]
        mixture, rows_per_step = Mixture.open(parts), config.batch_size // world_size
        check_cursor(learner.cursor, cursor_of(parts, config, learner.step))
        rows = rank_rows(config, parts, rank, world_size, steps_per_block(mixture, rows_per_step))
        collate = Collate(
            learner,
            mixture=mixture,
            micro_batch_size=config.micro_batch_size,
            instruction=config.instruction,
            answer_only_instruction=config.answer_only_instruction,
            max_length=config.max_length,
        )
        batches = batches_of(segments(rows, learner.step), rows_per_step, collate)
        losses: list[float] = []
        for metrics in updates(learner, batches):
            losses.append(metrics["loss"])
            cursor = cursor_of(parts, config, learner.step)
            if learner.save_if_due({"loss": sum(losses) / len(losses)}, cursor):
                losses.clear()
    learner.export()


def updates(learner: Learner, batches: Any) -> Iterator[dict[str, float]]:
    """One update per batch; each leaves a line with its loss, rate and the share of time it waited for data."""
    iterator = iter(batches)
    while not learner.finished:
        start = time.perf_counter()
        step, micro_batches = next(iterator)
        if step != learner.step:
            raise RuntimeError(f"data of step {step} came at step {learner.step}")
        waited_s = time.perf_counter() - start
        metrics = learner.update(micro_batches, supervised)
        seconds = time.perf_counter() - start
        row = {**metrics, "seconds": seconds, "tokens_per_s": metrics["tokens"] / seconds, "wait": waited_s / seconds}
        learner.log({"step": step, **row})
        yield row


def cursor_of(parts: tuple[Part, ...], config: SftConfig, step: int) -> dict[str, Any]:
    """Where the data stands after some steps, as JSON values."""
    return {"next_sample": step * config.batch_size, "parts": [part.identity() for part in parts]}


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
        UserError: a batch cannot be cut evenly, or there is no such model.
    """
    if config.batch_size % config.num_workers:
        raise UserError(
            f"batch_size is {config.batch_size}, which {config.num_workers} workers cannot share evenly; "
            f"give a multiple of {config.num_workers}"
        )
    family_of(config.model)


def run(config: SftConfig, *, callbacks: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Fine-tunes a model; the result is OUT/model, and what summary.json holds is returned.

    Args:
        callbacks: of Ray Train, e.g. Tune's.
    """
    config = config.model_copy(
        update={
            **{name: getattr(config, name).absolute() for name in ("data", "model", "out")},
            "mixture": tuple(absolute(entry) for entry in config.mixture),
        }
    )
    parts = parts_of(config.data, config.mixture, config.video_reading)
    check(config)
    run_dir = RunDir.open(config.out, config, kind=STAGE)
    finished = run_dir.summary()
    if finished is not None:
        return finished
    with ray_session(), run_dir.stage(STAGE), follow_metrics(config.out, STAGE, config.num_steps) as last:
        learn(config, parts, callbacks)
    shutil.rmtree(config.out / RAY_STORAGE, ignore_errors=True)
    result = {"model": str(config.out / MODEL), "num_steps": config.num_steps, "loss": last["loss"]}
    return run_dir.finish({**result, "data": accounts(config, parts)})


def accounts(config: SftConfig, parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    """What was drawn of every dataset, and which of its lines gave no sample."""
    drawn = samples_drawn(parts, config.num_steps * config.batch_size)
    return [
        {
            "path": str(part.path),
            "weight": part.weight,
            "num_samples": part.num_rows,
            "drawn": count,
            "epochs": count / part.num_rows,
            "dropped_lines": dropped_lines(part),
        }
        for part, count in zip(parts, drawn, strict=True)
    ]


def learn(config: SftConfig, parts: tuple[Part, ...], callbacks: tuple[Any, ...]) -> None:
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
        {"config": config, "learner": learner, "parts": parts},
        out=config.out,
        scaling_config=scaling(config.num_workers, spare_cpus=1),
        max_failures=config.max_failures,
        callbacks=callbacks,
    )
    fit(trainer)


def rank_rows(config: SftConfig, parts: tuple[Part, ...], rank: int, world_size: int, steps: int) -> RankRows:
    """What one of the workers reads; ``steps`` to a block."""
    return RankRows(
        parts=parts,
        seed=config.seed,
        batch_size=config.batch_size,
        rank=rank,
        world_size=world_size,
        steps_per_block=steps,
        num_steps=config.num_steps,
    )


def main(arguments: list[str]) -> None:
    """``temporay sft PRESET --data DATA --model MODEL --out RUN``."""
    from workflows.presets.training import SFT_PRESETS  # presets are made of this module's config

    summary = run(parse(STAGE, SftConfig, SFT_PRESETS, arguments))
    print(f"loss {summary['loss']:.4f}; the model is in {summary['model']}")
