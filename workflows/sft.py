"""Supervised fine-tuning on a dataset's reasoning: Ray Data decodes, Ray Train's workers learn (FSDP2).

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
from models.policy import OptimizerConfig, supervised
from operators.errors import UserError
from operators.shards import Dataset
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
    num_workers: int = Field(default=1, ge=1)  # Ray Train workers (FSDP2 ranks)
    threads: int = Field(default=2, ge=1)  # CPU threads of each
    gradient_checkpointing: bool = False
    checkpoint_every: int = Field(default=200, ge=1)  # steps
    max_failures: int = Field(default=3, ge=0)  # restarts of the workers from the newest checkpoint


class SftConfig(SftSettings):
    """Settings of ``temporay sft``."""

    data: Path  # a dataset made by ``temporay generate``
    model: Path  # Hugging Face layout
    out: Path


def train_loop(arguments: Mapping[str, Any]) -> None:
    """What every Ray Train worker runs."""
    config: SftConfig = arguments["config"]
    learner = Learner(arguments["learner"])
    if not learner.finished:
        rank, world_size = train.get_context().get_world_rank(), train.get_context().get_world_size()
        dataset, rows_per_step = Dataset.open(config.data), config.batch_size // world_size
        rows = rank_rows(config, len(dataset), rank, world_size, steps_per_block(dataset, rows_per_step))
        collate = Collate(
            learner, data=config.data, micro_batch_size=config.micro_batch_size, instruction=config.instruction
        )
        batches = batches_of(segments(rows, learner.step), rows_per_step, collate)
        losses: list[float] = []
        for metrics in updates(learner, batches):
            losses.append(metrics["loss"])
            if learner.save_if_due({"loss": sum(losses) / len(losses)}):
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


def check(config: SftConfig, dataset: Dataset) -> None:
    """Refuses what cannot work, before anything starts.

    Raises:
        UserError: the dataset is empty, or a batch cannot be cut evenly.
    """
    if len(dataset) == 0:
        raise UserError(f"{config.data} has no samples; generate some first")
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
    config = config.model_copy(update={name: getattr(config, name).absolute() for name in ("data", "model", "out")})
    dataset = Dataset.open(config.data)
    check(config, dataset)
    run_dir = RunDir.open(config.out, config, kind=STAGE)
    finished = run_dir.summary()
    if finished is not None:
        return finished
    with ray_session(), run_dir.stage(STAGE), follow_metrics(config.out, STAGE, config.num_steps) as last:
        learn(config, callbacks)
    shutil.rmtree(config.out / RAY_STORAGE, ignore_errors=True)
    return run_dir.finish({"model": str(config.out / MODEL), "num_steps": config.num_steps, "loss": last["loss"]})


def learn(config: SftConfig, callbacks: tuple[Any, ...]) -> None:
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
    )
    trainer = make_trainer(
        train_loop,
        {"config": config, "learner": learner},
        out=config.out,
        scaling_config=scaling(config.num_workers, spare_cpus=1),
        max_failures=config.max_failures,
        callbacks=callbacks,
    )
    fit(trainer)


def rank_rows(config: SftConfig, num_rows: int, rank: int, world_size: int, steps: int) -> RankRows:
    """What one of the workers reads; ``steps`` to a block."""
    return RankRows(
        data=config.data,
        seed=config.seed,
        batch_size=config.batch_size,
        rank=rank,
        world_size=world_size,
        num_rows=num_rows,
        steps_per_block=steps,
        num_steps=config.num_steps,
    )


def main(arguments: list[str]) -> None:
    """``temporay sft PRESET --data DATA --model MODEL --out RUN``."""
    from workflows.presets.training import SFT_PRESETS  # presets are made of this module's config

    summary = run(parse(STAGE, SftConfig, SFT_PRESETS, arguments))
    print(f"loss {summary['loss']:.4f}; the model is in {summary['model']}")
