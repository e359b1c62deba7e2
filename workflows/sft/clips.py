"""What Ray Train's workers of a supervised run read: a schedule's rows → clips (Ray tasks) → collated steps.

    Schedule → blocks of rows (one rank's, whole steps) → clips, a few blocks ahead → steps → micro-batches, a few ahead

Frames travel as bytes and are turned into the model's tensors by a thread of the worker, while it trains.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import ray
import torch
from temporay.models.chat import to_prompt
from temporay.models.collate import Batch, collate_samples
from temporay.models.families._base import Family
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import Frames
from temporay.workflows.session import ANYWHERE
from temporay.workflows.sft.mixture import Mixture, Part
from temporay.workflows.sft.schedule import Numbers, Pass, Schedule
from temporay.workflows.sft.token_counts import Wording

BLOCK_BYTES = 16 << 20  # of frames that one task makes
MAX_STEPS_PER_BLOCK = 4
BLOCKS_AHEAD = 8  # in the object store, or being made at once
PREFETCH_STEPS = 2
ROWS_SCHEMA = pa.schema([("step", pa.int64()), ("row", pa.int64())])
BLOCK_SCHEMA = pa.schema(
    [*ROWS_SCHEMA, ("frames", pa.large_binary()), ("shape", pa.list_(pa.int64(), 4)), ("error", pa.string())]
)
NO_FRAMES = np.zeros((0, 0, 0, 3), np.uint8)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSteps:
    """The rows that one rank reads of a schedule, from a step on."""

    schedule: Schedule
    rank: int
    world_size: int
    first_step: int

    def passes(self, step: int) -> list[Pass]:
        return self.schedule.passes(step, self.rank, self.world_size)

    def rows(self, step: int) -> list[int]:
        """Return the rows of one step, pass by pass."""
        return [row for one in self.passes(step) for row in one.rows]

    def blocks(self, frame_bytes_N: Numbers) -> Iterator[pa.Table]:
        """Yield steps and rows of all blocks: as many whole steps to a block as its bytes allow, at least one."""
        steps: list[int] = []
        rows: list[int] = []
        nbytes = first = 0
        for step in range(self.first_step, self.schedule.num_steps):
            mine = self.rows(step)
            step_bytes = int(frame_bytes_N[mine].sum())
            if steps and (nbytes + step_bytes > BLOCK_BYTES or step - first >= MAX_STEPS_PER_BLOCK):
                yield pa.table([steps, rows], schema=ROWS_SCHEMA)
                steps, rows, nbytes = [], [], 0
            if not steps:
                first = step
            steps, rows, nbytes = [*steps, *[step] * len(mine)], [*rows, *mine], nbytes + step_bytes
        if steps:
            yield pa.table([steps, rows], schema=ROWS_SCHEMA)


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """Yield the same items; a thread makes up to ``count`` of them before they are asked for."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        pending = deque(thread.submit(next, items, end) for _ in range(count))
        while (item := pending.popleft().result()) is not end:
            pending.append(thread.submit(next, items, end))
            yield item  # type: ignore[misc] # never ``end``


def clips(blocks: Iterable[pa.Table], parts: tuple[Part, ...]) -> Iterator[pa.Table]:
    """Yield the clips of all blocks, in order; Ray tasks make the next ones meanwhile.

    Plain tasks, because training is a slow consumer, and a Ray Data pipeline that is held back spins: in the training
    process, with the interpreter's lock, so that every small operation of the model waits for it (measured: 1.8 s a
    step instead of 0.5 s). Short pipelines still cost 17 % of the speed on batches made before; tasks cost 8 %.
    """
    load = ray.remote(load_block).options(scheduling_strategy=ANYWHERE)
    pending: deque[ray.ObjectRef[pa.Table]] = deque()
    for block in blocks:
        pending.append(load.remote(block, parts=parts))
        if len(pending) > BLOCKS_AHEAD:
            yield ray.get(pending.popleft())
    while pending:
        yield ray.get(pending.popleft())


@functools.lru_cache(maxsize=4)
def _opened(parts: tuple[Part, ...]) -> Mixture:
    return Mixture.open(parts)  # opened once per process, which makes many blocks


def load_block(block: pa.Table, *, parts: tuple[Part, ...]) -> pa.Table:
    """Decode the clips of one block into raw bytes with their shapes; this is a Ray task.

    A fault of a clip goes into ``error``, so that the steps before it are still trained on.
    """
    mixture = _opened(parts)
    columns: dict[str, list[Any]] = {name: [] for name in BLOCK_SCHEMA.names}
    for step, row in zip(block["step"].to_pylist(), block["row"].to_pylist(), strict=True):
        try:
            frames_THWC, fault = mixture.frames(row), ""
        except (SampleRejected, UserError) as error:
            frames_THWC, fault = NO_FRAMES, str(error)
        for name, value in zip(columns, (step, row, frames_THWC.tobytes(), frames_THWC.shape, fault), strict=True):
            columns[name].append(value)
    return pa.table(columns, schema=BLOCK_SCHEMA)


class Collate:
    """Rows and their frames → micro-batches, in the training worker."""

    def __init__(
        self, family: Family, processor: Any, *, mixture: Mixture, tokens_N: Numbers, wording: Wording, lock: Lock
    ) -> None:
        """Take what every batch of a mixture has in common.

        Args:
            tokens_N: tokens by row of the mixture; a collated row must have as many.
            lock: held while the processor is used: a fast tokenizer must not be called from two threads.
        """
        self._family, self._processor, self._lock = family, processor, lock
        self.mixture, self._tokens_N, self._wording = mixture, tokens_N, wording

    def step(self, table: pa.Table, passes: Sequence[Pass]) -> list[Batch]:
        """Make the micro-batches of one step from its clips, which come pass by pass.

        Raises:
            UserError: a clip cannot be read.
        """
        for row, fault in zip(table["row"].to_pylist(), table["error"].to_pylist(), strict=True):
            if fault:
                raise UserError(f"{self._name(row)} cannot be read ({fault}); restore it or leave it out")
        clips = (
            np.frombuffer(data.as_buffer(), dtype=np.uint8).reshape(shape.as_py())
            for data, shape in zip(table["frames"], table["shape"], strict=True)
        )
        return [self.batch(one, list(itertools.islice(clips, len(one.rows)))) for one in passes]

    def batch(self, one: Pass, frames: Sequence[Frames | None]) -> Batch:
        """Collate one pass with the frames of its rows; None makes a blind prompt.

        Raises:
            RuntimeError: a row has another number of tokens than was counted.
        """
        samples = [self.mixture.sample(row) for row in one.rows]
        prompts = [
            to_prompt(self._processor, sample, frames_THWC, instruction=self._wording.of(sample))
            for sample, frames_THWC in zip(samples, frames, strict=True)
        ]
        with self._lock:
            batch = collate_samples(self._family, self._processor, prompts, [sample.target for sample in samples])
        lengths = batch.attention_mask_BL.sum(-1).tolist()
        for row, shown, num_tokens in zip(one.rows, frames, lengths, strict=True):
            if shown is not None and num_tokens != self._tokens_N[row]:
                raise RuntimeError(
                    f"{self._name(row)} has {num_tokens} tokens and was counted as {self._tokens_N[row]}; its clip is "
                    f"{shown.shape}, or counting is wrong"
                )
        if one.is_blank:
            return replace(batch, completion_mask_BL=torch.zeros_like(batch.completion_mask_BL))
        return batch

    def _name(self, row: int) -> str:
        return f"{self.mixture.sample(row).key} of {self.mixture.path(row)}"


def collated_steps(blocks: Iterable[pa.Table], steps: RankSteps, collate: Collate) -> Iterator[tuple[int, list[Batch]]]:
    """Yield step numbers and micro-batches, one step after the other; the next ones are collated meanwhile."""
    tables = tables_by_step(blocks, steps)
    return ahead(((step, collate.step(table, steps.passes(step))) for step, table in tables), PREFETCH_STEPS)


def tables_by_step(blocks: Iterable[pa.Table], steps: RankSteps) -> Iterator[tuple[int, pa.Table]]:
    """Yield the rows of every step.

    Raises:
        RuntimeError: the rows are not those that were asked for.
    """
    step = steps.first_step
    for block in blocks:
        while len(block):
            wanted = steps.rows(step)
            table, block = block.slice(0, len(wanted)), block.slice(len(wanted))
            if table["row"].to_pylist() != wanted or set(table["step"].to_pylist()) != {step}:
                raise RuntimeError(f"the data of step {step} are rows {table['row'].to_pylist()}, not {wanted}")
            yield step, table
            step += 1
