"""One game of hidden states: its operations, the frames in which each happens, and what it is drawn from.

A clip of operations has a reveal at one end and a blank at the other. Each operation lasts the same number of frames:
half a second to a second where the clip has room, and long enough that one frame a model is shown tells it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.primitives._base import Facts

Operation = tuple[str, ...]  # its kind, then its arguments; words without blanks
State = tuple[str, ...]  # one entry for each place
Course = tuple[Operation, ...]

REVEAL_SHARE = 0.2  # share of the clip in which the state is revealed
BLANK_SHARE = 0.1  # share of the clip at its other end in which nothing happens
LONGEST_STILL_S = 2.0  # of a reveal and of a blank
OPERATION_S = 1.0  # a longer step leaves a quarter of its time, or more, to a pause
LONGEST_OPERATION_S = 1.5
MIN_FRAMES_PER_OPERATION = 2
EDGE_SHARE = 0.12  # share of an operation, at both of its ends, in which a frame may look like rest
MODES = ("forward", "retrodictive", "historical")
MIN_SIDE_PX = 32


class Room(NamedTuple):
    """The least frames: of the whole clip, of its reveal and of each operation."""

    clip: int
    reveal: int
    operation: int


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
        """How far an operation has got in the middle of each of its frames, (per_op,) in (0, 1)."""
        return middle_shares(self.per_op)

    def steps(self, course: Course) -> list[tuple[Operation, slice]]:
        """Return each operation with its frames."""
        spans = [slice(start, start + self.per_op) for start in self.starts]
        return list(zip(course, spans, strict=True))


@functools.lru_cache(maxsize=256)
def room_for(canvas: Canvas, num_operations: int) -> Room:
    """Return how many frames the operations need so that each of them is seen, in a clip of any length to choose."""
    shortest, longest = canvas.num_frames
    more = 0
    while True:
        gap = max(canvas.longest_gap(num_frames + more) for num_frames in range(shortest, longest + 1))
        operation = MIN_FRAMES_PER_OPERATION
        while tells(middle_shares(operation)).sum() < gap:
            operation += 1
        reveal = max(MIN_FRAMES_PER_OPERATION, gap)
        clip = reveal + num_operations * operation
        if clip <= shortest + more:
            return Room(shortest + more, reveal, operation)
        more = clip - shortest


def choose_timing(
    rng: np.random.Generator, num_frames: int, room: Room, fps: float, num_operations: int, at_start: bool
) -> Timing:
    """Choose when the first operation begins; all else follows from the clip's length."""
    still = round(LONGEST_STILL_S * fps)
    spare = num_frames - num_operations * room.operation
    reveal = max(room.reveal, min(spare, still, round(REVEAL_SHARE * num_frames)))
    blank = min(spare - reveal, still, round(BLANK_SHARE * num_frames))
    step, rest = divmod(num_frames - reveal - blank, num_operations)
    calm = min(round(0.75 * step), round(LONGEST_OPERATION_S * fps))
    per_op = max(room.operation, min(step, round(OPERATION_S * fps)), calm)
    first = int(rng.integers(rest + 1)) + (reveal if at_start else blank)
    starts = tuple(first + i * step for i in range(num_operations))
    return Timing(num_frames=num_frames, reveal=reveal, per_op=per_op, starts=starts, at_start=at_start)


def middle_shares(per_op: int) -> npt.NDArray[np.float64]:
    """Return how far an operation has got in the middle of each of its frames, (per_op,) in (0, 1)."""
    return (np.arange(per_op) + 0.5) / per_op


def tells(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return at which shares of an operation one frame tells which operation it is."""
    told: npt.NDArray[np.bool_] = (shares >= EDGE_SHARE) & (shares <= 1 - EDGE_SHARE)
    return told


def opened(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far things have come out to take part in an operation: soon all the way, and back at its end."""
    return np.clip(np.minimum(shares, 1 - shares) / EDGE_SHARE, 0, 1)


def exchanged(state: State, a: int, b: int) -> State:
    """Return the state with what two places hold exchanged."""
    held = list(state)
    held[a], held[b] = held[b], held[a]
    return tuple(held)


def choose_pairs(rng: np.random.Generator, num_places: int, num_pairs: int) -> list[tuple[int, int]]:
    """Choose pairs of different places, each pair in random order."""
    pairs = [rng.choice(num_places, 2, replace=False) for _ in range(num_pairs)]
    return [(int(a), int(b)) for a, b in pairs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that is chosen before the operations: the state that is shown, what is asked, colors."""

    revealed: State
    facts: Facts
    num_answers: int  # the most different answers there can be


class Layout(NamedTuple):
    """The centers of all places, (N, 2) px, and the radius of what stands in them, in px."""

    places_xy: npt.NDArray[np.float64]
    radius_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One game as it is drawn and logged. ``states`` are those before the first operation and after each."""

    facts: Facts
    canvas: Canvas
    timing: Timing
    course: Course
    states: Sequence[State]
    revealed: State
    layout: Layout

    @property
    def steps(self) -> list[tuple[Operation, slice]]:
        """Each operation with its frames."""
        return self.timing.steps(self.course)


def choose_query(rng: np.random.Generator, num_operations: int) -> dict[str, Any]:
    """Choose which state is shown and which is asked for. The truth has no part in it."""
    mode = MODES[int(rng.integers(3 if num_operations > 1 else 2))]
    at_start = bool(rng.integers(2)) if mode == "historical" else mode == "forward"
    # A state near the one that is shown would need few operations, so one of the further half is asked for.
    away = int(rng.integers((num_operations + 1) // 2, max(2, num_operations)))
    between = away if at_start else num_operations - away
    asked_after = {"forward": num_operations, "retrodictive": 0, "historical": between}[mode]
    return {"mode": mode, "at_start": at_start, "asked_after": asked_after, "num_operations": num_operations}


def check_sides(canvas: Canvas, task: str) -> None:
    for name in ("width", "height"):
        if getattr(canvas, name) < MIN_SIDE_PX:
            raise UserError(
                f"canvas.{name}={getattr(canvas, name)} is too small for {task}; it needs {MIN_SIDE_PX} px or more"
            )
