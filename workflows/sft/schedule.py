"""Which samples make up a step, and how a rank passes them through the model. Numbers only: no Ray, no torch.

    samples in their order, tokens of each → steps (a number of samples, or a budget of tokens) → passes of every rank

Steps depend on seed, data and settings alone, so a run may stop and go on anywhere, with any number of workers. Inside
a step, samples of similar length go together, so that little of a padded batch is padding.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from temporay.workflows.learner.passes import PassLimits, even_passes

Numbers = npt.NDArray[np.int64]
CHUNK = 8192  # samples taken at a time while steps are cut by tokens


@dataclass(frozen=True, slots=True)
class Pass:
    """Rows of one pass. A blank pass weighs nothing; it is computed because all ranks must make as many passes."""

    rows: tuple[int, ...]
    is_blank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A whole run: samples of all steps end to end, by row of the mixture."""

    rows: Numbers
    starts: Numbers  # where every step starts in ``rows``; one more for the end
    tokens_N: Numbers  # by row
    limits: PassLimits

    @property
    def num_steps(self) -> int:
        return len(self.starts) - 1

    def digest(self, num_steps: int) -> str:
        """Hash what is trained on in the first steps, whatever the number of workers and of steps after them."""
        starts = self.starts[: num_steps + 1]
        return hashlib.sha256(self.rows[: starts[-1]].tobytes() + starts.tobytes()).hexdigest()[:16]

    def rows_of(self, step: int) -> list[int]:
        """Rows of all ranks, in their order."""
        chosen: list[int] = self.rows[self.starts[step] : self.starts[step + 1]].tolist()
        return chosen

    def passes(self, step: int, rank: int, world_size: int) -> list[Pass]:
        """Return one rank's passes: as many on every rank, and those made at the same time similar in length."""
        return pack(self.rows_of(step), self.tokens_N, self.limits, world_size)[rank::world_size]

    def token_metrics(self, step: int, world_size: int) -> dict[str, float]:
        """Return the tokens of a step without padding, and the share of computed tokens that are padding or blank."""
        tokens = int(self.tokens_N[self.rows_of(step)].sum())
        packed = pack(self.rows_of(step), self.tokens_N, self.limits, world_size)
        padded = sum(len(one.rows) * int(self.tokens_N[list(one.rows)].max()) for one in packed)
        return {"input_tokens": tokens, "padding": 1 - tokens / padded}


def make_schedule(
    rows_at: Callable[[int, int], Sequence[int]],
    tokens_N: Numbers,
    limits: PassLimits,
    *,
    num_steps: int,
    batch_size: int | None,
    tokens_per_step: int | None,
) -> Schedule:
    """Cut the endless order of samples into steps.

    Args:
        rows_at: rows at the places ``first`` to ``first + count`` of the order.
        batch_size: samples of a step. None: a step takes samples until the next one would exceed ``tokens_per_step``;
            no sample may be longer than that.
    """
    if batch_size is not None:
        rows = np.asarray(rows_at(0, num_steps * batch_size), np.int64)
        starts = np.arange(num_steps + 1, dtype=np.int64) * batch_size
    else:
        assert tokens_per_step is not None
        rows, starts = _cut_by_tokens(rows_at, tokens_N, num_steps, tokens_per_step)
    return Schedule(rows=rows, starts=starts, tokens_N=tokens_N, limits=limits)


def _cut_by_tokens(
    rows_at: Callable[[int, int], Sequence[int]], tokens_N: Numbers, num_steps: int, budget: int
) -> tuple[Numbers, Numbers]:
    rows = np.empty(0, np.int64)
    ends = np.zeros(1, np.int64)  # tokens before every place
    starts = [0]
    while len(starts) <= num_steps:
        end = int(np.searchsorted(ends, ends[starts[-1]] + budget, side="right")) - 1
        if end < len(rows):
            starts.append(end)
            continue
        more = np.asarray(rows_at(len(rows), CHUNK), np.int64)
        ends = np.concatenate([ends, ends[-1] + np.cumsum(tokens_N[more])])
        rows = np.concatenate([rows, more])
    return rows[: starts[-1]], np.asarray(starts, np.int64)


def pack(rows: Sequence[int], tokens_N: Numbers, limits: PassLimits, num_ranks: int) -> list[Pass]:
    """Return as few passes as the limits allow, a multiple of ``num_ranks``, and none larger than it must be.

    They go from the longest samples to the shortest. Ranks take them in turn and wait for each other after each, so
    they have about as much to compute. Where there are fewer samples than passes, blanks are added.
    """
    if not rows:
        return []
    lengths: dict[int, int] = dict(zip(rows, tokens_N[list(rows)].tolist(), strict=True))
    ordered = sorted(rows, key=lambda row: -lengths[row])  # stable: equal ones stay in their order

    def cut(most_tokens: int) -> list[list[int]]:
        passes: list[list[int]] = []
        for row in ordered:
            full = not passes or len(passes[-1]) == limits.micro_batch_size
            if full or (len(passes[-1]) + 1) * lengths[passes[-1][0]] > most_tokens:  # all are padded to the first
                passes.append([row])
            else:
                passes[-1].append(row)
        return passes

    longest = lengths[ordered[0]]
    passes = even_passes(
        cut, longest=longest, widest=limits.micro_batch_tokens or longest * len(rows), num_ranks=num_ranks
    )
    blanks = [Pass((passes[-1][-1],), is_blank=True)] * (-len(passes) % num_ranks)
    return [*(Pass(tuple(one)) for one in passes), *blanks]
