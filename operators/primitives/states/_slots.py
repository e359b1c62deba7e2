"""Things that stand in slots and trade them: when, on which ways, and what of it is seen.

A clip of operations has a reveal at one end; each operation lasts the same number of frames. Those that move keep
clear of those that stand, so a witness can follow things that look all alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from temporay.operators.records import Frames

REVEAL_SHARE = 0.2  # of the clip
COVER_COLOR = (160, 160, 160)  # of what hides: backs of cards and tiles; no name of the palette is near it
NEAR_COLOR = 75  # sum of the differences of red, green and blue


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


def num_reveal_frames(num_frames: int) -> int:
    return max(2, round(REVEAL_SHARE * num_frames))


def choose_timing(rng: np.random.Generator, num_frames: int, num_operations: int, at_start: bool) -> Timing:
    reveal = num_reveal_frames(num_frames)
    per_op = (num_frames - reveal) // num_operations
    rest = int(rng.integers(num_frames - reveal - num_operations * per_op + 1))
    first = rest + (reveal if at_start else 0)
    starts = tuple(first + i * per_op for i in range(num_operations))
    return Timing(num_frames=num_frames, reveal=reveal, per_op=per_op, starts=starts, at_start=at_start)


def middle_shares(per_op: int) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = (np.arange(per_op) + 0.5) / per_op
    return shares


# Things in a row that trade places.


def row_of(width: int, height: int, num_slots: int) -> tuple[npt.NDArray[np.float64], float]:
    """Centres, (N, 2) px, and a radius at which two that trade places touch none on their way round (``arc_px``)."""
    pitch_px = width / num_slots
    xy_N2 = np.stack([(np.arange(num_slots) + 0.5) * pitch_px, np.full(num_slots, height / 2)], axis=1)
    return xy_N2, min(0.3 * pitch_px, 0.111 * height)


def arc_px(radius_px: float) -> float:
    """How far above and below the row things pass each other."""
    return 3.4 * radius_px


def around(
    slots_xy: npt.NDArray[np.float64], a: int, b: int, shares: npt.NDArray[np.float64], height_px: float
) -> npt.NDArray[np.float64]:
    """(2, len(shares), 2) px: from a over the row to b, and from b under it to a, on half an ellipse each."""
    left, right = sorted((a, b))
    middle, half = (slots_xy[left] + slots_xy[right]) / 2, (slots_xy[right] - slots_xy[left]) / 2
    turns = np.pi * shares[:, None]
    orbit = half * np.cos(turns) + np.array([0.0, height_px]) * np.sin(turns)
    return np.stack([middle - orbit, middle + orbit])


def trade_places(
    slots_xy: npt.NDArray[np.float64],
    course: Sequence[tuple[str, ...]],
    timing: Timing,
    shares: npt.NDArray[np.float64],
    height_px: float,
) -> npt.NDArray[np.float64]:
    """(N, T, 2) px of things that stand in slots and trade them in each operation ("swap", a, b), from 1."""
    paths = np.repeat(slots_xy[:, None], timing.num_frames, axis=1)
    thing_in = list(range(len(slots_xy)))
    for operation, start in zip(course, timing.starts, strict=True):
        if operation[0] != "swap":
            continue
        a, b = sorted(int(word) - 1 for word in operation[1:])
        one, other = thing_in[a], thing_in[b]
        moving = slice(start, start + timing.per_op)
        paths[[one, other], moving] = around(slots_xy, a, b, shares, height_px)
        paths[one, moving.stop :], paths[other, moving.stop :] = slots_xy[b], slots_xy[a]
        thing_in[a], thing_in[b] = other, one
    return paths


# What a witness sees.


def coverage(
    frames_THWC: Frames, color: tuple[int, int, int], centers_xy: npt.NDArray[np.float64], half_px: float
) -> npt.NDArray[np.float64]:
    """(T, N): share of the square around each centre that has nearly this colour."""
    seen = []
    for x, y in centers_xy:
        rows = slice(max(0, round(y - half_px)), max(1, round(y + half_px) + 1))
        columns = slice(max(0, round(x - half_px)), max(1, round(x + half_px) + 1))
        patch = frames_THWC[:, rows, columns].astype(np.int16)
        seen.append((np.abs(patch - np.array(color, np.int16)).sum(axis=3) < NEAR_COLOR).mean(axis=(1, 2)))
    return np.stack(seen, axis=1)


def seen_pair(
    frames_THWC: Frames,
    color: tuple[int, int, int],
    slots_xy: npt.NDArray[np.float64],
    radius_px: float,
    half_px: float,
) -> tuple[int, int]:
    """The two slots between which things of this colour fly ``around``, in all frames of one operation.

    Args:
        half_px: of the square at a thing's centre that is looked at.
    """
    shares = middle_shares(len(frames_THWC))

    def seen(pair: tuple[int, int]) -> float:
        paths = around(slots_xy, *pair, shares, arc_px(radius_px))
        found = [coverage(frames_THWC[t : t + 1], color, paths[:, t], half_px) for t in range(len(shares))]
        return float(np.mean(found))

    return max(combinations(range(len(slots_xy)), 2), key=seen)


def split_active(active_T: npt.NDArray[np.bool_], num_operations: int) -> list[slice] | None:
    """The frames of each operation in a clip, of which it was seen when something moves.

    Slow starts and ends may have passed for rest, so the operations are laid around the middle of what was seen.
    """
    frames, num_frames = np.nonzero(active_T)[0], len(active_T)
    per_op = (num_frames - num_reveal_frames(num_frames)) // num_operations
    if not len(frames):
        return None
    first = int(np.floor((frames[0] + frames[-1] + 1 - num_operations * per_op) / 2))
    if first < 0 or first + num_operations * per_op > num_frames:
        return None
    return [slice(first + i * per_op, first + (i + 1) * per_op) for i in range(num_operations)]
