"""Choices that motion primitives share: who is on the stage, how long the clip is, how a path is laid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from operators.primitives._base import Canvas
from operators.records import Address, Track
from operators.seeding import rng
from operators.sources.shapes import BACKGROUND_LEVELS, COLORS, SHAPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A shape before it is given a path."""

    shape: str
    color_name: str
    radius_px: float

    @property
    def name(self) -> str:
        return f"{self.color_name} {self.shape}"


def draw_actors(draw: np.random.Generator, canvas: Canvas, num_actors: int) -> list[Actor]:
    """Actors with names all different, sizes from 10 to 16 % of the frame's shorter side, and never under 4 px."""
    names = [(color, shape) for color in COLORS for shape in SHAPES]
    chosen = draw.choice(len(names), num_actors, replace=False)
    side = min(canvas.width, canvas.height)
    return [
        Actor(color_name=names[i][0], shape=names[i][1], radius_px=max(4.0, side * float(draw.uniform(0.10, 0.16))))
        for i in chosen
    ]


def draw_num_frames(address: Address, canvas: Canvas) -> int:
    """Clip length by a generator of its own, so that nothing about the answer can reach it."""
    low, high = canvas.num_frames
    return int(rng(*address.parts(), "num_frames").integers(low, high + 1))


def draw_background(address: Address) -> tuple[int, int, int]:
    level = int(rng(*address.parts(), "background").integers(*BACKGROUND_LEVELS))
    return (level, level, level)


def torus_path(
    start_xy: npt.NDArray[np.float64], step_xy_T2: npt.NDArray[np.float64], canvas: Canvas
) -> npt.NDArray[np.float64]:
    """Positions after each step on a frame whose edges are joined: (T, 2) px from (T-1, 2) steps.

    With a uniform start, the position in every single frame is uniform too, whatever the motion: one frame tells
    nothing about where the shape is going.
    """
    path = start_xy + np.concatenate([np.zeros((1, 2)), np.cumsum(step_xy_T2, axis=0)])
    return np.mod(path, np.array([canvas.width, canvas.height], dtype=np.float64))


def to_track(actor: Actor, xy_T2: npt.NDArray[np.float64], *, wraps: bool) -> Track:
    return Track(
        name=actor.name,
        shape=actor.shape,
        color=COLORS[actor.color_name],
        radius_px=actor.radius_px,
        xy_T2=xy_T2,
        visible_T=np.ones(len(xy_T2), np.bool_),
        wraps=wraps,
    )
