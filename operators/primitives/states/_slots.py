"""Things that stand in slots and trade them: on which ways they move, and how they are drawn.

Things that move keep clear of things that stand, so a witness can follow things that look all alike.
"""

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives.states._course import Course, Timing
from temporay.operators.records import Track

COVER_COLOR = (160, 160, 160)  # color of all that hides: backs of cards, tiles; no color of the palette is near it


def row_of(width: int, height: int, num_slots: int) -> tuple[npt.NDArray[np.float64], float]:
    """Return centers in a row, (N, 2) px, and a radius in px.

    Two things of this radius that trade places touch no other on their way (``around``, ``arc_px``).
    """
    pitch_px = width / num_slots
    xy_N2 = np.stack([(np.arange(num_slots) + 0.5) * pitch_px, np.full(num_slots, height / 2)], axis=1)
    return xy_N2, min(0.3 * pitch_px, 0.111 * height)


def arc_px(radius_px: float) -> float:
    """Return how far above and below the row things pass each other."""
    return 3.4 * radius_px


def grid_xy(across: npt.NDArray[np.float64], down: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the centers of a grid's cells row by row, (N, 2) px, given those along one row and down one column."""
    down_RC, across_RC = np.meshgrid(down, across, indexing="ij")
    return np.stack([across_RC.ravel(), down_RC.ravel()], axis=1)


def around(
    slots_xy: npt.NDArray[np.float64], a: int, b: int, shares: npt.NDArray[np.float64], height_px: float
) -> npt.NDArray[np.float64]:
    """Return two ways on half an ellipse each: from a over the row to b, and from b under it to a.

    Returns:
        (2, len(shares), 2) px.
    """
    left, right = sorted((a, b))
    middle, half = (slots_xy[left] + slots_xy[right]) / 2, (slots_xy[right] - slots_xy[left]) / 2
    turns = np.pi * shares[:, None]
    orbit = half * np.cos(turns) + np.array([0.0, height_px]) * np.sin(turns)
    return np.stack([middle - orbit, middle + orbit])


def trade_places(
    slots_xy: npt.NDArray[np.float64],
    course: Course,
    timing: Timing,
    shares: npt.NDArray[np.float64],
    height_px: float,
) -> npt.NDArray[np.float64]:
    """Return the paths of things in slots, (N, T, 2) px, which trade places in each operation ("swap", a, b).

    Slots are numbered from 1. Operations of another kind move nothing.
    """
    paths = np.repeat(slots_xy[:, None], timing.num_frames, axis=1)
    thing_in = list(range(len(slots_xy)))
    for operation, moving in timing.steps(course):
        if operation[0] != "swap":
            continue
        a, b = sorted(int(word) - 1 for word in operation[1:])
        one, other = thing_in[a], thing_in[b]
        paths[[one, other], moving] = around(slots_xy, a, b, shares, height_px)
        paths[one, moving.stop :], paths[other, moving.stop :] = slots_xy[b], slots_xy[a]
        thing_in[a], thing_in[b] = other, one
    return paths


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
