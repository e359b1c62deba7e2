"""The clips that one rank of a supervised run reads: a schedule's rows → clips, made by Ray tasks → steps.

    Schedule → blocks of rows (one rank's, whole steps) → clips, a few blocks ahead → the clips of every step

It loads without torch, so that a task starts in a second. Frames travel as bytes.
"""

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ray
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.media import Clips
from temporay.workflows.session import ANYWHERE
from temporay.workflows.sft.mixture import Mixture, Part
from temporay.workflows.sft.schedule import Numbers, Pass, Schedule
from temporay.workflows.sft.stored_parts import StoredParts

BLOCK_BYTES = 16 << 20  # most bytes of frames that one task makes, unless a step has more
MAX_STEPS_PER_BLOCK = 4
BLOCKS_AHEAD = 8  # in the object store, or being made at once

Block = list[tuple[int, int]]  # step and row of every clip, whole steps


@dataclass(frozen=True, slots=True)
class LoadedClip:
    """A clip of a block; without frames there is a fault."""

    step: int
    row: int
    frames: Clips | None  # of every medium
    fault: SampleRejected | UserError | None = None  # of this clip alone; of all that the run reads


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

    def blocks(self, frame_bytes_N: Numbers) -> Iterator[Block]:
        """Yield all blocks: as many whole steps to a block as its bytes allow, at least one."""
        block: Block = []
        nbytes = num_steps = 0
        for step in range(self.first_step, self.schedule.num_steps):
            rows = self.rows(step)
            step_bytes = int(frame_bytes_N[rows].sum())
            if block and (nbytes + step_bytes > BLOCK_BYTES or num_steps == MAX_STEPS_PER_BLOCK):
                yield block
                block, nbytes, num_steps = [], 0, 0
            block, nbytes, num_steps = [*block, *((step, row) for row in rows)], nbytes + step_bytes, num_steps + 1
        if block:
            yield block


def clips(blocks: Iterable[Block], parts: tuple[Part, ...]) -> Iterator[list[LoadedClip]]:
    """Yield the clips of all blocks, in order; Ray tasks make the next ones meanwhile.

    Plain tasks, because training is a slow consumer, and a Ray Data pipeline that is held back spins: in the training
    process, with the interpreter's lock, so that every small operation of the model waits for it (measured: 1.8 s a
    step instead of 0.5 s). Short pipelines still cost 17 % of the speed on batches made before; tasks cost 8 %.
    """
    load = ray.remote(load_stored).options(scheduling_strategy=ANYWHERE)
    stored = StoredParts.put(parts)
    pending: deque[ray.ObjectRef[list[LoadedClip]]] = deque()
    for block in blocks:
        pending.append(load.remote(block, stored))
        if len(pending) > BLOCKS_AHEAD:
            yield ray.get(pending.popleft())
    while pending:
        yield ray.get(pending.popleft())


def load_stored(block: Block, stored: StoredParts) -> list[LoadedClip]:
    """Decode the clips of one block; this is a Ray task."""
    return load_block(block, parts=stored.parts())


@functools.lru_cache(maxsize=4)
def _opened(parts: tuple[Part, ...]) -> Mixture:
    return Mixture.open(parts)  # opened once per process, which makes many blocks


def load_block(block: Block, *, parts: tuple[Part, ...]) -> list[LoadedClip]:
    """Decode the clips of one block.

    A fault stays with its clip, so that the steps before it are still trained on.
    """
    mixture = _opened(parts)
    loaded = []
    for step, row in block:
        try:
            loaded.append(LoadedClip(step, row, mixture.frames_shown(row)))
        except (SampleRejected, UserError) as error:
            loaded.append(LoadedClip(step, row, None, error))
    return loaded


def clips_by_step(blocks: Iterable[list[LoadedClip]], steps: RankSteps) -> Iterator[tuple[int, list[LoadedClip]]]:
    """Yield the clips of every step.

    Raises:
        RuntimeError: they are not those of the rows that were asked for.
    """
    step = steps.first_step
    for block in blocks:
        while block:
            wanted = [(step, row) for row in steps.rows(step)]
            loaded, block = block[: len(wanted)], block[len(wanted) :]
            found = [(clip.step, clip.row) for clip in loaded]
            if found != wanted:
                raise RuntimeError(f"the data of step {step} are rows {found}, not {wanted}")
            yield step, loaded
            step += 1
