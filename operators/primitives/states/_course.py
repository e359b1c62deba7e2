"""Courses of operations, and the frames in which each operation happens.

A clip of operations has a reveal at one end. Each operation lasts the same number of frames.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Operation = tuple[str, ...]  # its kind, then its arguments; words without blanks
State = tuple[str, ...]  # words without blanks
Course = tuple[Operation, ...]

REVEAL_SHARE = 0.2  # share of the clip in which the state is revealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Frames of a clip: the reveal is its first or its last ``reveal`` frames, operations last ``per_op`` each."""

    num_frames: int
    reveal: int
    per_op: int
    starts: tuple[int, ...]
    at_start: bool

    @property
    def reveal_span(self) -> tuple[int, int]:
        return (0, self.reveal) if self.at_start else (self.num_frames - self.reveal, self.num_frames)

    @property
    def revealed_T(self) -> npt.NDArray[np.bool_]:
        frames_T = np.arange(self.num_frames)
        start, end = self.reveal_span
        revealed_T: npt.NDArray[np.bool_] = (frames_T >= start) & (frames_T < end)
        return revealed_T

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """How far an operation has got in each of its frames, (per_op,) in (0, 1)."""
        return middle_shares(self.per_op)

    def steps(self, course: Course) -> list[tuple[Operation, slice]]:
        """Return each operation with its frames."""
        spans = [slice(start, start + self.per_op) for start in self.starts]
        return list(zip(course, spans, strict=True))


def num_reveal_frames(num_frames: int) -> int:
    return max(2, round(REVEAL_SHARE * num_frames))


def choose_timing(rng: np.random.Generator, num_frames: int, num_operations: int, at_start: bool) -> Timing:
    """Choose how many frames nothing happens in before the operations; the rest follows from the numbers."""
    reveal = num_reveal_frames(num_frames)
    per_op = (num_frames - reveal) // num_operations
    rest = int(rng.integers(num_frames - reveal - num_operations * per_op + 1))
    first = rest + (reveal if at_start else 0)
    starts = tuple(first + i * per_op for i in range(num_operations))
    return Timing(num_frames=num_frames, reveal=reveal, per_op=per_op, starts=starts, at_start=at_start)


def middle_shares(per_op: int) -> npt.NDArray[np.float64]:
    """Return how far an operation has got in the middle of each of its frames, (per_op,) in (0, 1)."""
    return (np.arange(per_op) + 0.5) / per_op


def exchanged(state: State, a: int, b: int) -> State:
    """Return the state with what two places hold exchanged."""
    held = list(state)
    held[a], held[b] = held[b], held[a]
    return tuple(held)


def choose_pairs(rng: np.random.Generator, num_places: int, num_pairs: int) -> list[tuple[int, int]]:
    """Choose pairs of different places, each pair in random order."""
    pairs = [rng.choice(num_places, 2, replace=False) for _ in range(num_pairs)]
    return [(int(a), int(b)) for a, b in pairs]
