"""What Ray Train's workers of a supervised run read: rows in a fixed order → clips (Ray Data tasks) → batches.

Order: the rows are permuted epoch by epoch by a hash of the seed; global batch b is the b-th slice of that order, and
rank r of W takes rows r, r + W, ... of it. It depends on nothing else, so a run may stop and go on anywhere.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data.collate_fn import ArrowBatchCollateFn

from models.chat import to_prompt
from models.collate import Batch, collate_samples
from operators.errors import SampleRejected, UserError
from operators.shards import Dataset
from workflows.learner import Learner, epoch_rows

BLOCK_BYTES = 16 << 20  # of frames in one Ray Data block; a block costs about 30 ms however small it is
MAX_STEPS_PER_BLOCK = 16
BLOCKS_PER_SEGMENT = 4  # two segments are in memory at a time
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
            order = epoch_rows("sft", self.seed, self.num_rows, step * self.batch_size, self.batch_size)
            mine = order[self.rank :: self.world_size]
            steps += [step] * len(mine)
            rows += mine
        return steps, rows


def steps_per_block(dataset: Dataset, rows_per_step: int) -> int:
    """As many steps as fit into a block of bounded size, judged by the largest clip."""
    nbytes = max(int(row["num_frames"]) * int(row["height"]) * int(row["width"]) * 3 for row in dataset.rows)
    return max(1, min(MAX_STEPS_PER_BLOCK, BLOCK_BYTES // (nbytes * rows_per_step)))


def segments(rows: RankRows, first_step: int) -> Iterator[ray.data.Dataset]:
    """The rows of one rank, in order, from a step on: a few blocks at a time, the next ones made meanwhile.

    One pipeline over all blocks would be held back most of the time by a consumer as slow as training, and Ray Data's
    loop spins while it is held back: a whole core, and in the training process the interpreter's lock as well, for
    which every small operation of the model then waits (measured: 1.8 s a step instead of 0.5 s).
    """
    first_block, last_block = first_step // rows.steps_per_block, -(-rows.num_steps // rows.steps_per_block)
    with ThreadPoolExecutor(1) as ahead:
        pending: deque[Future[ray.data.Dataset]] = deque()
        for start in range(first_block, last_block, BLOCKS_PER_SEGMENT):
            blocks = range(start, min(start + BLOCKS_PER_SEGMENT, last_block))
            pending.append(ahead.submit(make_segment, rows, blocks, first_step))
            if len(pending) > 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def make_segment(rows: RankRows, blocks: range, first_step: int) -> ray.data.Dataset:
    """Some blocks, made by Ray Data tasks and kept in the object store."""
    load = functools.partial(load_block, rows=rows, first_block=blocks.start, first_step=first_step)
    dataset = ray.data.range(len(blocks), override_num_blocks=len(blocks)).map_batches(load, batch_size=1)
    dataset.context.execution_options.preserve_order = True
    return dataset.materialize()


def batches_of(segments: Iterable[ray.data.Dataset], rows_per_step: int, collate: Collate) -> Iterator[Any]:
    """Collated steps, one after the other; the next ones are collated by a thread meanwhile."""
    for segment in segments:
        yield from segment.iter_torch_batches(
            batch_size=rows_per_step, prefetch_batches=PREFETCH_BATCHES, collate_fn=collate, device="cpu"
        )


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

    def __init__(self, learner: Learner, *, data: Path, micro_batch_size: int, instruction: str) -> None:
        self._dataset = Dataset.open(data)
        self._family, self._processor = learner.family, learner.processor
        self._micro_batch_size, self._instruction = micro_batch_size, instruction
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
