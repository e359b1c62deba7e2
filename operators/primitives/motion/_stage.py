"""What clips of drawn motion are made of: actors, a length, paths, and what of them is seen."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import follow, steps
from temporay.operators.pixels.cutouts import choose_cutouts, cutout_radius_px
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, EASY_SHAPES, OUTLINES, SHAPES
from temporay.operators.primitives._base import Doubt
from temporay.operators.primitives._plan import shape_track
from temporay.operators.records import Cutout, Frames, Scene, ScenePlan, Track

MAX_JUMP = 0.45  # of the joined frame from one frame that is shown to the next; half of it could be either way round
MAX_TURN_DEG = 150.0  # likewise
MOST_FRAMES = 20_000
JOINED = "What leaves the frame at one edge comes back at the opposite edge."
WALL_COLOR, DARK_COLOR = (160, 160, 160), (15, 15, 15)  # of walls and frames, and of what they enclose
SQUARE_SIDE = float(OUTLINES["square"].max())  # half of it, in radii
EASY_LEVEL = 1
VECTORS = {  # unit vectors in image coordinates: y grows downwards
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
    "up and to the left": (-0.7071, -0.7071),
    "up and to the right": (0.7071, -0.7071),
    "down and to the left": (-0.7071, 0.7071),
    "down and to the right": (0.7071, 0.7071),
}
EDGES = (("left", "right"), ("top", "bottom"))  # by axis
OPPOSITE = {
    "left": "right",
    "up": "down",
    "up and to the left": "down and to the right",
    "up and to the right": "down and to the left",
}
OPPOSITE |= {there: here for here, there in OPPOSITE.items()}


def to_the(direction: str) -> str:
    """Return a direction as the word "goes" wants it: "to the left", but "up" and "down and to the left"."""
    return f"to the {direction}" if direction in ("left", "right") else direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A shape before it is given a path, or an object of a photograph in its place."""

    shape: str
    color_name: str
    radius_px: float
    cutout: Cutout | None = None

    @property
    def name(self) -> str:
        return f"{self.color_name} {self.shape}" if self.cutout is None else self.cutout.instance.category


def color_of(name: str) -> tuple[int, int, int]:
    """Return the RGB color of a shape by its name.

    Raises:
        Doubt: it is a cut-out, which has no one color.
    """
    color_name, _, shape = name.partition(" ")
    if not shape or color_name not in COLORS:
        raise Doubt
    return COLORS[color_name]


def choose_actors(
    rng: np.random.Generator, canvas: Canvas, num_actors: int, level: int = 0, scenes: tuple[Scene, ...] = ()
) -> list[Actor]:
    """Choose actors of different colors, so that each can be followed by its color alone.

    Their radii are 10 to 16 % of the frame's shorter side, and 4 px or more.

    Args:
        level: up to ``EASY_LEVEL`` only the easy colors and shapes are used.
        scenes: if one of them has instances, each actor is a cut-out or a shape with equal chance. No category comes
            twice, so the others are shapes when the categories are used up.
    """
    colors, shapes = (EASY_COLORS, EASY_SHAPES) if level <= EASY_LEVEL else (tuple(COLORS), SHAPES)
    chosen = rng.choice(len(colors), num_actors, replace=False)
    side = min(canvas.width, canvas.height)
    actors = [
        Actor(
            color_name=colors[i],
            shape=shapes[int(rng.integers(len(shapes)))],
            radius_px=max(4.0, side * float(rng.uniform(0.10, 0.16))),
        )
        for i in chosen
    ]
    if not any(scene.instances for scene in scenes):
        return actors
    replaced = [i for i in range(num_actors) if rng.integers(2)]
    for i, cutout in zip(replaced, choose_cutouts(rng, scenes, len(replaced)), strict=False):
        actors[i] = replace(actors[i], cutout=cutout, radius_px=cutout_radius_px(actors[i].radius_px, side))
    return actors


def torus_path(
    start_xy: npt.NDArray[np.float64], step_xy_T2: npt.NDArray[np.float64], canvas: Canvas
) -> npt.NDArray[np.float64]:
    """Return the positions on a frame whose edges are joined: (T, 2) px from (T-1, 2) px steps.

    With a uniform start, the position in every single frame is uniform too, whatever the motion is. So one frame does
    not tell where the shape goes.
    """
    path = start_xy + np.concatenate([np.zeros((1, 2)), np.cumsum(step_xy_T2, axis=0)])
    return np.asarray(np.mod(path, np.array([canvas.width, canvas.height], dtype=np.float64)))


def straight_steps(angle_deg: float, step_px_T: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (T-1, 2) px steps in one direction; 0 degrees is right and 90 is down, because y grows downwards."""
    angle = np.deg2rad(angle_deg)
    return np.asarray(step_px_T[:, None] * np.array([np.cos(angle), np.sin(angle)]))


def choose_place(rng: np.random.Generator, canvas: Canvas) -> npt.NDArray[np.float64]:
    """Choose a place anywhere in the frame, (2,) px."""
    return rng.uniform((0.0, 0.0), (canvas.width, canvas.height))


def choose_way(rng: np.random.Generator, actor: Actor, step_xy_T2: npt.NDArray[np.float64], canvas: Canvas) -> Track:
    """Let an actor start anywhere and go by these (T-1, 2) px steps on a frame whose edges are joined."""
    return to_track(actor, torus_path(choose_place(rng, canvas), step_xy_T2, canvas), wraps=True)


def to_track(actor: Actor, xy_T2: npt.NDArray[np.float64], *, wraps: bool) -> Track:
    """Return the actor's track along these places, visible in every frame."""
    track = shape_track(actor.name, actor.shape, COLORS[actor.color_name], actor.radius_px, xy_T2)
    return replace(track, wraps=wraps, cutout=actor.cutout)


@functools.lru_cache(maxsize=256)
def frames_of_gaps(canvas: Canvas, num_gaps: float) -> int:
    """Return the least length from which on clips last for this many of the longest gaps between shown frames.

    Raises:
        UserError: a model is never shown that many frames.
    """
    least, high = canvas.num_frames
    spread = high - least
    while least < MOST_FRAMES:
        gap = max(canvas.longest_gap(num_frames) for num_frames in range(least, least + spread + 1))
        if (needed := ceil(num_gaps * gap) + 1) <= least:
            return least
        least = needed
    raise UserError(
        f"canvas.sampling.max_frames is {canvas.sampling.max_frames}; this question needs {ceil(num_gaps) + 2} frames"
    )


def can_be_followed(track: Track, frames: Sequence[int], plan: ScenePlan) -> bool:
    """Return whether the steps from each of these frames to the next say how the shape moved and turned between them.

    A step over the joined edges must be below half of the frame, or of the shape's window, and a turn below half a
    turn. Where the shape is hidden, nothing has to be followed.
    """
    shown = list(frames)
    seen_T = track.visible_T[shown[1:]] & track.visible_T[shown[:-1]]
    if track.wraps:
        left, top, right, bottom = track.window_px or (0, 0, plan.width, plan.height)
        size = np.array([right - left, bottom - top], dtype=np.float64)
        jumps_T2 = _between(track.xy_T2, shown, size) / size
        if (np.abs(jumps_T2[seen_T]) > MAX_JUMP).any():
            return False
    if track.angle_deg_T is None:
        return True
    turns_deg_T = _between(track.angle_deg_T, shown, 360.0)
    return not (np.abs(turns_deg_T[seen_T]) > MAX_TURN_DEG).any()


def _between(
    value_T: npt.NDArray[np.float64], shown: Sequence[int], period: float | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how far something on a joined axis gets between shown frames, by its steps from frame to frame."""
    steps_T = np.mod(np.diff(value_T, axis=0) + period / 2, period) - period / 2
    gone_T = np.concatenate([np.zeros_like(value_T[:1]), steps_T.cumsum(axis=0)])
    return np.asarray(np.diff(gone_T[list(shown)], axis=0))


def square_track(name: str, color: tuple[int, int, int], side_px: float, xy_T2: npt.NDArray[np.float64]) -> Track:
    """Return the track of an upright square: a wall, a frame, a cell."""
    return shape_track(name, "square", color, side_px / 2 / SQUARE_SIDE, xy_T2)


def still_track(actor: Actor, center_xy: npt.NDArray[np.float64], num_frames: int) -> Track:
    """Return the track of an actor that keeps its place."""
    return to_track(actor, np.tile(center_xy, (num_frames, 1)), wraps=False)


def followed(frames_THWC: Frames, name: str) -> npt.NDArray[np.float64]:
    """Follow a shape by the color in its name: (T, 3) of x, y in px and area in px².

    Raises:
        Doubt: it is a cut-out, or it is not seen in every frame.
    """
    seen_T3 = follow(frames_THWC, color_of(name))
    if np.isnan(seen_T3).any():
        raise Doubt
    return seen_T3


def followed_steps(frames_THWC: Frames, name: str) -> npt.NDArray[np.float64]:
    """Return the (T-1, 2) px steps of a shape around the joined edges. Raises as ``followed`` does."""
    return steps(followed(frames_THWC, name), frames_THWC.shape[2], frames_THWC.shape[1])
