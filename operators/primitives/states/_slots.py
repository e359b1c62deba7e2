"""Things that stand in slots and trade them: on which ways they move, and how they are drawn.

Things that move keep clear of things that stand, so a witness can follow things that look all alike.
"""

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives.states._course import Course, Timing, opened
from temporay.operators.records import Track

COVER_COLOR = (160, 160, 160)  # color of all that hides: backs of cards, tiles; no color of the palette is near it


ROW_ARC = 3.4  # how far beside their straight way things pass each other in a row, in radii
GRID_ARC = 1.8  # the same in a grid, where that is half a cell
OUT = 1.6  # how far from its place something comes out to take part in an operation, in radii


def row_of(width: int, height: int, num_slots: int) -> tuple[npt.NDArray[np.float64], float]:
    """Return centers in a row, (N, 2) px, and a radius in px.

    Two things of this radius that trade places touch no other on their way (``around``, ``ROW_ARC``).
    """
    pitch_px = width / num_slots
    xy_N2 = np.stack([(np.arange(num_slots) + 0.5) * pitch_px, np.full(num_slots, height / 2)], axis=1)
    return xy_N2, min(0.3 * pitch_px, 0.111 * height)


def grid_xy(across: npt.NDArray[np.float64], down: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the centers of a grid's cells row by row, (N, 2) px, given those along one row and down one column."""
    down_RC, across_RC = np.meshgrid(down, across, indexing="ij")
    return np.stack([across_RC.ravel(), down_RC.ravel()], axis=1)


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
    visible_T = np.ones(paths.shape[1], np.bool_) if visible_T is None else visible_T
    angle_deg_T = np.full(paths.shape[1], angle_deg) if angle_deg else None
    return [
        Track(
            name=name,
            shape=shape,
            color=color,
            radius_px=radius_px,
            xy_T2=path,
            visible_T=visible_T,
            angle_deg_T=angle_deg_T,
        )
        for path in paths
    ]


def choose_colors(rng: np.random.Generator, num_colors: int) -> list[str]:
    """Choose the names of different colors."""
    return [list(COLORS)[int(i)] for i in rng.choice(len(COLORS), num_colors, replace=False)]
