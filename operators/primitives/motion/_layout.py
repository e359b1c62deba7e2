"""Where shapes that keep their place stand: apart from each other, each in a cell of its own.

    how many, how much room each needs -> cells of a grid -> a place in each

Shapes that do not touch can be told apart in every frame, whatever each of them does within its room.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.primitives.motion._drawn_motion import Setting
from temporay.operators.primitives.motion._stage import Actor, still_track
from temporay.operators.records import Track

CORNER = 1.28  # how far the farthest corner of an outline is from its center, in radii
MARGIN_PX = 1.0  # between a shape's room and the border of its cell


def cell_room_px(canvas: Canvas, num_shapes: int) -> float:
    """Return the largest radius of a disc that fits, with a margin, into each of ``num_shapes`` cells."""
    columns, rows = _grid(canvas, num_shapes)
    return min(canvas.width / columns, canvas.height / rows) / 2 - MARGIN_PX


def place_apart(rng: np.random.Generator, canvas: Canvas, rooms_px: Sequence[float]) -> list[npt.NDArray[np.float64]]:
    """Choose one center per room, (2,) px each. Discs of these radii touch neither each other nor the frame's edge.

    Raises:
        ValueError: a room is larger than ``cell_room_px``.
    """
    most = cell_room_px(canvas, len(rooms_px))
    if max(rooms_px) > most + 1e-6:
        raise ValueError(f"a shape needs {max(rooms_px):.1f} px around it, but its cell has {most:.1f} px")
    columns, rows = _grid(canvas, len(rooms_px))
    size = np.array([canvas.width / columns, canvas.height / rows])
    cells = rng.permutation(columns * rows)[: len(rooms_px)]
    places = []
    for cell, room_px in zip(cells, rooms_px, strict=True):
        slack = np.maximum(0.0, size / 2 - MARGIN_PX - room_px)
        middle = size * (np.array([cell % columns, cell // columns]) + 0.5)
        places.append(middle + rng.uniform(-slack, slack))
    return places


def stand_apart(setting: Setting, actors: Sequence[Actor], room: float = CORNER) -> list[Track]:
    """Let every actor stand in a place of its own, with ``room`` times its radius around it."""
    centers = place_apart(setting.rng, setting.canvas, [room * actor.radius_px for actor in actors])
    return [still_track(actor, center, setting.num_frames) for actor, center in zip(actors, centers, strict=True)]


def _grid(canvas: Canvas, num_shapes: int) -> tuple[int, int]:
    """Return columns and rows of nearly square cells, at least as many as shapes."""
    columns = max(1, min(num_shapes, round((num_shapes * canvas.width / canvas.height) ** 0.5)))
    return columns, ceil(num_shapes / columns)
