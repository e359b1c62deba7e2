"""Supervised fine-tuning on a dataset's reasoning: Ray Data decodes, Ray Train's workers learn (FSDP2).

    dataset rows in a fixed order → clips (Ray Data tasks) → batches (prefetch thread) → updates → OUT/model

Order: the rows are permuted epoch by epoch by a hash of the seed; global batch b is the b-th slice of that order, and
rank r of W takes rows r, r + W, … of it. It depends on nothing else, so a run may stop and go on anywhere.
"""

from __future__ import annotations

import functools
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from pydantic import Field
from ray import train
from ray.data import ExecutionOptions
from ray.data.collate_fn import ArrowBatchCollateFn
from ray.train import DataConfig

from models.chat import to_prompt
from models.checkpoint import latest
from models.collate import Batch, collate_samples
from models.families._base import family_of
from models.policy import OptimizerConfig, supervised
from operators.errors import SampleRejected, UserError
from operators.shards import Dataset
from workflows.command_line import parse
from workflows.config import Config
from workflows.learner import (
    CHECKPOINTS,
    MODEL,
    RAY_STORAGE,
    Learner,
    LearnerConfig,
    epoch_rows,
    fit,
    make_trainer,
    scaling,
)
from workflows.progress import follow_metrics
from workflows.run_dir import RunDir
from workflows.session import ray_session

STAGE = "sft"
BLOCK_BYTES = 32 << 20  # of frames in one Ray Data block; a block costs about 30 ms however small it is
MAX_STEPS_PER_BLOCK = 16
PREFETCH_BATCHES = 2
BLOCK_SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("row", pa.int64()),
        ("frames", pa.large_binary()),
        ("shape", pa.list_(pa.int64(), 4)),
        ("error", pa.string()),
    ]
)
NO_FRAMES = np.zeros((0, 0, 0, 3), np.uint8)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRows:
    """Which rows of a dataset one rank reads, from a step on."""

    data: Path
    seed: int
    batch_size: int  # of all ranks together
    rank: int
    world_size: int
    num_rows: int
    steps_per_block: int
    num_steps: int

    def of_block(self, block: int) -> tuple[list[int], list[int]]:
        """Steps and rows of one block, both by position."""
        steps: list[int] = []
        rows: list[int] = []
        first = block * self.steps_per_block
        for step in range(first, min(first + self.steps_per_block, self.num_steps)):
            order = epoch_rows(STAGE, self.seed, self.num_rows, step * self.batch_size, self.batch_size)
            mine = order[self.rank :: self.world_size]
            steps += [step] * len(mine)
            rows += mine
        return steps, rows


def steps_per_block(dataset: Dataset, rows_per_step: int) -> int:
    """As many steps as fit into a block of bounded size, judged by the largest clip."""
    nbytes = max(int(row["num_frames"]) * int(row["height"]) * int(row["width"]) * 3 for row in dataset.rows)
    return max(1, min(MAX_STEPS_PER_BLOCK, BLOCK_BYTES // (nbytes * rows_per_step)))


def rank_dataset(rows: RankRows, checkpoints: Path) -> ray.data.Dataset:
    """The rows of one rank, in order, from the newest checkpoint's step on; called whenever the workers start."""
    first_step = latest(checkpoints).step
    first_block, last_block = first_step // rows.steps_per_block, -(-rows.num_steps // rows.steps_per_block)
    num_blocks = max(1, last_block - first_block)
    load = functools.partial(load_block, rows=rows, first_block=first_block, first_step=first_step)
    return ray.data.range(num_blocks, override_num_blocks=num_blocks).map_batches(load, batch_size=1)


@functools.lru_cache(maxsize=4)
def _opened(path: Path) -> Dataset:
    return Dataset.open(path)  # once per Ray Data process, which makes many blocks


def load_block(batch: Mapping[str, Any], *, rows: RankRows, first_block: int, first_step: int) -> pa.Table:
    """A Ray Data task: the clips of one block, as raw bytes with their shapes.

    What is wrong with a clip goes into ``error``, because Ray Data turns exceptions into text on their way.
    """
    dataset = _opened(rows.data)
    columns: dict[str, list[Any]] = {name: [] for name in BLOCK_SCHEMA.names}
    for step, row in zip(*rows.of_block(first_block + int(batch["id"][0])), strict=True):
        if step < first_step:
            continue
        try:
            frames_THWC, fault = dataset.frames(row), ""
        except (SampleRejected, UserError) as error:
            frames_THWC, fault = NO_FRAMES, str(error)
        for name, value in zip(columns, (step, row, frames_THWC.tobytes(), frames_THWC.shape, fault), strict=True):
            columns[name].append(value)
    return pa.table(columns, schema=BLOCK_SCHEMA)


class Collate(ArrowBatchCollateFn):  # type: ignore[misc] # Ray has no types
    """One step's rows of this rank → its step number and micro-batches. Runs in Ray Data's prefetch threads."""

    def __init__(self, learner: Learner, config: SftConfig) -> None:
        self._dataset = Dataset.open(config.data)
        self._family, self._processor = learner.family, learner.processor
        self._micro_batch_size, self._instruction = config.micro_batch_size, config.instruction
        self._lock = threading.Lock()  # a fast tokenizer must not be called from two threads

    def __call__(self, batch: pa.Table) -> tuple[int, list[Batch]]:
        (step,) = set(batch["step"].to_pylist())
        for row, fault in zip(batch["row"].to_pylist(), batch["error"].to_pylist(), strict=True):
            if fault:
                key = self._dataset.sample(row).key
                raise UserError(f"{key} of {self._dataset.path} cannot be read ({fault}); make the dataset again")
        pairs = []
        for row, data, shape in zip(batch["row"], batch["frames"], batch["shape"], strict=True):
            sample = self._dataset.sample(row.as_py())
            frames_THWC = np.frombuffer(data.as_buffer(), dtype=np.uint8).reshape(shape.as_py())
            prompt = to_prompt(self._processor, sample, frames_THWC, instruction=self._instruction)
            pairs.append((prompt, sample.target))
        with self._lock:
            return step, [
                collate_samples(self._family, self._processor, *zip(*part, strict=True))
                for part in (
                    pairs[i : i + self._micro_batch_size] for i in range(0, len(pairs), self._micro_batch_size)
                )
            ]


def train_loop(arguments: Mapping[str, Any]) -> None:
    """What every Ray Train worker runs."""
    config: SftConfig = arguments["config"]
    learner = Learner(arguments["learner"])
    if not learner.finished:
        rank, world_size = train.get_context().get_world_rank(), train.get_context().get_world_size()
        batches = train.get_dataset_shard(f"train_{rank}").iter_torch_batches(
            batch_size=config.batch_size // world_size,
            prefetch_batches=PREFETCH_BATCHES,
            collate_fn=Collate(learner, config),
            device="cpu",
        )
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
        learn(config, dataset, callbacks)
    shutil.rmtree(config.out / RAY_STORAGE, ignore_errors=True)
    return run_dir.finish({"model": str(config.out / MODEL), "num_steps": config.num_steps, "loss": last["loss"]})


def learn(config: SftConfig, dataset: Dataset, callbacks: tuple[Any, ...]) -> None:
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
        datasets=rank_datasets(config, dataset),
        dataset_config=DataConfig(datasets_to_split=[], execution_options=ExecutionOptions(preserve_order=True)),
    )
    fit(trainer)


def rank_datasets(config: SftConfig, dataset: Dataset) -> dict[str, Callable[[], ray.data.Dataset]]:
    """One dataset per rank, built anew whenever the workers start."""
    rows_per_step = config.batch_size // config.num_workers
    return {
        f"train_{rank}": functools.partial(
            rank_dataset,
            RankRows(
                data=config.data,
                seed=config.seed,
                batch_size=config.batch_size,
                rank=rank,
                world_size=config.num_workers,
                num_rows=len(dataset),
                steps_per_block=steps_per_block(dataset, rows_per_step),
                num_steps=config.num_steps,
            ),
            config.out / CHECKPOINTS,
        )
        for rank in range(config.num_workers)
    }


def main(arguments: list[str]) -> None:
    """``temporay sft PRESET --data DATA --model MODEL --out RUN``."""
    from workflows.presets.training import SFT_PRESETS  # presets are made of this module's config

    summary = run(parse(STAGE, SftConfig, SFT_PRESETS, arguments))
    print(f"loss {summary['loss']:.4f}; the model is in {summary['model']}")
