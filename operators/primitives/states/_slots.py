"""Things that stand in slots and trade them: on which ways they move, how they are drawn, and which of them move.

Things that move keep clear of things that stand, so a witness can follow things that look all alike.
"""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._plan import shape_track
from temporay.operators.primitives.states._play import Course, Operation, Timing, opened
from temporay.operators.records import Frames, Track

COVER_COLOR = (160, 160, 160)  # color of all that hides: backs of cards, tiles; no color of the palette is near it


ROW_ARC = 3.4  # how far beside their straight way things pass each other in a row, in radii
GRID_ARC = 1.8  # the same in a grid, where that is half a cell
FULL = 0.5  # share of the middle of a place from which on something stands there
OUT = 1.6  # how far from its place something comes out to take part in an operation, in radii


def row_of(width: int, height: int, num_slots: int) -> tuple[npt.NDArray[np.float64], float]:
    """Return centers in a row, (N, 2) px, and a radius in px.

    Two things of this radius that trade places touch no other on their way (``around``, ``ROW_ARC``).
    """
    pitch_px = width / num_slots
    xy_N2 = np.stack([(np.arange(num_slots) + 0.5) * pitch_px, np.full(num_slots, height / 2)], axis=1)
    return xy_N2, min(0.3 * pitch_px, 0.111 * height)


def around(
    slots_xy: npt.NDArray[np.float64], a: int, b: int, shares: npt.NDArray[np.float64], arc_px: float
) -> npt.NDArray[np.float64]:
    """Return two ways on a bow each: from the lower-numbered slot to the other, and on the other side back.

    Both slots are soon left, so a frame near either end tells them too.

    Returns:
        (2, len(shares), 2) px.
    """
    first, second = slots_xy[min(a, b)], slots_xy[max(a, b)]
    middle, half = (first + second) / 2, (second - first) / 2
    aside = arc_px * np.array([-half[1], half[0]]) / np.hypot(*half)
    turns = np.pi * shares[:, None]
    orbit = half * np.cos(turns) + aside * np.sqrt(np.sin(turns).clip(0))
    return np.stack([middle - orbit, middle + orbit])


def trade_places(
    slots_xy: npt.NDArray[np.float64], course: Course, timing: Timing, radius_px: float, arc_px: float
) -> npt.NDArray[np.float64]:
    """Return the paths of things in slots, (N, T, 2) px, which trade places in each operation ("swap", a, b).

    Slots are numbered from 1. In an operation of another kind, what stands in its two slots comes out and goes back.
    """
    paths = np.repeat(slots_xy[:, None], timing.num_frames, axis=1)
    thing_in = list(range(len(slots_xy)))
    for operation, moving in timing.steps(course):
        a, b = sorted(int(word) - 1 for word in operation[-2:])
        one, other = thing_in[a], thing_in[b]
        if operation[0] != "swap":
            come_out(paths, (one, other), moving, timing, radius_px)
            continue
        paths[[one, other], moving] = around(slots_xy, a, b, timing.shares, arc_px)
        paths[one, moving.stop :], paths[other, moving.stop :] = slots_xy[b], slots_xy[a]
        thing_in[a], thing_in[b] = other, one
    return paths


def come_out(
    paths: npt.NDArray[np.float64], things: tuple[int, int], moving: slice, timing: Timing, radius_px: float
) -> None:
    """Move two things down and back again, in ``paths``, while they take part in an operation."""
    paths[list(things), moving, 1] += OUT * radius_px * opened(timing.shares)


# Painting: tracks of many things.


def alike(
    name: str,
    shape: str,
    color: tuple[int, int, int],
    radius_px: float,
    paths: npt.NDArray[np.float64],
    visible_T: npt.NDArray[np.bool_] | None = None,
    *,
    angle_deg: float = 0.0,
) -> list[Track]:
    """Return one track per path, (N, T, 2) px, of things that nobody can tell apart; always visible by default."""
    return [shape_track(name, shape, color, radius_px, path, visible_T, angle_deg=angle_deg) for path in paths]


def choose_colors(rng: np.random.Generator, num_colors: int) -> list[str]:
    """Choose the names of different colors."""
    return [list(COLORS)[int(i)] for i in rng.choice(len(COLORS), num_colors, replace=False)]


# Seeing: which two places take part in each operation, frame by frame.


def nearest(places_xy: npt.NDArray[np.float64], xy: tuple[float, float]) -> int:
    """Return the place that is nearest to a point."""
    return int(np.argmin(np.hypot(*(places_xy - xy).T)))


def pairs_seen(
    frames_THWC: Frames, colors: Iterable[tuple[int, int, int]], places_xy: npt.NDArray[np.float64], half_px: float
) -> list[tuple[str, str] | None]:
    """Return the numbers, from 1, of the two places that things of these colors have left; None for another number.

    Args:
        half_px: half the side of the square that is looked at in each place.
    """
    covered_TN = np.max([coverage(frames_THWC, color, places_xy, half_px) for color in colors], axis=0)
    left = [np.flatnonzero(covered_N < FULL) for covered_N in covered_TN]
    return [(str(places[0] + 1), str(places[1] + 1)) if len(places) == 2 else None for places in left]


def in_turn(seen: Iterable[Operation | None]) -> list[Operation]:
    """Return the operations that frames show, each once, however many frames show it in a row."""
    return [operation for operation, _ in groupby(operation for operation in seen if operation is not None)]
