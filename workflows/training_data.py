"""What Ray Train's workers of a supervised run read: rows in a fixed order → clips (Ray Data tasks) → batches.

Order: global batch b is the b-th slice of ``mixture.row_order``, and rank r of W takes rows r, r + W, ... of it. It
depends on nothing else, so a run may stop and go on anywhere.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data.collate_fn import ArrowBatchCollateFn

from models.chat import to_prompt
from models.collate import Batch, collate_samples
from operators.errors import SampleRejected, UserError
from operators.records import Sample
from workflows.learner import Learner
from workflows.mixture import Mixture, Part, row_order

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
    """Which rows of a mixture one rank reads, from a step on."""

    parts: tuple[Part, ...]
    seed: int
    batch_size: int  # of all ranks together
    rank: int
    world_size: int
    steps_per_block: int
    num_steps: int

    def of_block(self, block: int) -> tuple[list[int], list[int]]:
        """Steps and rows of one block, both by position."""
        steps: list[int] = []
        rows: list[int] = []
        first = block * self.steps_per_block
        for step in range(first, min(first + self.steps_per_block, self.num_steps)):
            order = row_order(self.parts, self.seed, self.batch_size, step)
            mine = order[self.rank :: self.world_size]
            steps += [step] * len(mine)
            rows += mine
        return steps, rows


def steps_per_block(mixture: Mixture, rows_per_step: int) -> int:
    """As many steps as fit into a block of bounded size, judged by the largest clip."""
    samples = map(mixture.sample, range(len(mixture)))
    nbytes = max(sample.num_frames * sample.height * sample.width * 3 for sample in samples)
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
def _opened(parts: tuple[Part, ...]) -> Mixture:
    return Mixture.open(parts)  # once per Ray Data process, which makes many blocks


def load_block(batch: Mapping[str, Any], *, rows: RankRows, first_block: int, first_step: int) -> pa.Table:
    """A Ray Data task: the clips of one block, as raw bytes with their shapes.

    What is wrong with a clip goes into ``error``, because Ray Data turns exceptions into text on their way.
    """
    mixture = _opened(rows.parts)
    columns: dict[str, list[Any]] = {name: [] for name in BLOCK_SCHEMA.names}
    for step, row in zip(*rows.of_block(first_block + int(batch["id"][0])), strict=True):
        if step < first_step:
            continue
        try:
            frames_THWC, fault = mixture.frames(row), ""
        except (SampleRejected, UserError) as error:
            frames_THWC, fault = NO_FRAMES, str(error)
        for name, value in zip(columns, (step, row, frames_THWC.tobytes(), frames_THWC.shape, fault), strict=True):
            columns[name].append(value)
    return pa.table(columns, schema=BLOCK_SCHEMA)


class Collate(ArrowBatchCollateFn):  # type: ignore[misc] # Ray has no types
    """One step's rows of this rank → its step number and micro-batches. Runs in Ray Data's prefetch threads."""

    def __init__(
        self,
        learner: Learner,
        *,
        mixture: Mixture,
        micro_batch_size: int,
        instruction: str,
        answer_only_instruction: str,
        max_length: int | None,
    ) -> None:
        """Args as in ``SftSettings``."""
        self._mixture = mixture
        self._family, self._processor = learner.family, learner.processor
        self._micro_batch_size, self._instruction = micro_batch_size, instruction
        self._answer_only_instruction, self._max_length = answer_only_instruction, max_length
        self._lock = threading.Lock()  # a fast tokenizer must not be called from two threads

    def __call__(self, batch: pa.Table) -> tuple[int, list[Batch]]:
        (step,) = set(batch["step"].to_pylist())
        for row, fault in zip(batch["row"].to_pylist(), batch["error"].to_pylist(), strict=True):
            if fault:
                raise UserError(f"{self._name(row)} cannot be read ({fault}); restore it or leave it out")
        pairs = []
        for row, data, shape in zip(batch["row"], batch["frames"], batch["shape"], strict=True):
            sample = self._mixture.sample(row.as_py())
            frames_THWC = np.frombuffer(data.as_buffer(), dtype=np.uint8).reshape(shape.as_py())
            prompt = to_prompt(self._processor, sample, frames_THWC, instruction=self._how_to_answer(sample))
            pairs.append((prompt, sample.target))
        with self._lock:
            batches = [
                collate_samples(self._family, self._processor, *zip(*part, strict=True))
                for part in (
                    pairs[i : i + self._micro_batch_size] for i in range(0, len(pairs), self._micro_batch_size)
                )
            ]
        self._check_lengths(batch["row"].to_pylist(), batches)
        return step, batches

    def _how_to_answer(self, sample: Sample) -> str:
        return self._instruction if sample.rationale else self._answer_only_instruction

    def _name(self, row: int) -> str:
        return f"{self._mixture.sample(row).key} of {self._mixture.path(row)}"

    def _check_lengths(self, rows: list[int], batches: list[Batch]) -> None:
        """Nothing is cut: what is too long for the settings or for the model's tokenizer is refused by name."""
        longest = self._processor.tokenizer.model_max_length if self._max_length is None else self._max_length
        lengths = [int(n) for batch in batches for n in batch.attention_mask_BL.sum(-1)]
        for row, num_tokens in zip(rows, lengths, strict=True):
            if num_tokens > longest:
                raise UserError(
                    f"{self._name(row)} has {num_tokens} tokens and max_length is {longest}; nothing is cut: raise "
                    f"max_length, use fewer or smaller frames, or leave it out"
                )
