"""What motion primitives share: who is on the stage, how long the clip is, how a path is laid and how it is told.

A told path gives positions as digits, tenths of the frame: "x 3 5 7 9 y 4 4 4 4". Each listed position is an ``at``
event of the log ("3 4"), so every digit of an explanation can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.pixels.cutouts import choose_cutouts, cutout_radius_px
from temporay.operators.pixels.shapes import BACKGROUND_LEVELS, COLORS, EASY_COLORS, EASY_SHAPES, SHAPES
from temporay.operators.primitives._claims import Claim
from temporay.operators.records import Address, Backdrop, Cutout, Event, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

NUM_LISTED_POSITIONS = 4
MIN_FRAMES = 6
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
OPPOSITE = {
    "left": "right",
    "up": "down",
    "up and to the left": "down and to the right",
    "up and to the right": "down and to the left",
}
OPPOSITE |= {there: here for here, there in OPPOSITE.items()}


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


def color_of(name: str) -> tuple[int, int, int] | None:
    """RGB of what is called this; None for cut-outs, which cannot be followed by a colour."""
    color_name, _, shape = name.partition(" ")
    return COLORS.get(color_name) if shape else None


def choose_actors(
    rng: np.random.Generator, canvas: Canvas, num_actors: int, level: int = 0, scenes: tuple[Scene, ...] = ()
) -> list[Actor]:
    """Actors of different colours, each of which can so be followed by its colour alone.

    Sizes go from 10 to 16 % of the frame's shorter side and are never under 4 px.

    Args:
        level: up to ``EASY_LEVEL`` of the easy colours and shapes alone.
        scenes: where any of them has instances, each actor is as likely a cut-out as a shape, unless categories run
            out; no category comes twice.
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


def choose_num_frames(address: Address, canvas: Canvas) -> int:
    """Clip length by a generator of its own, so that nothing about the answer can reach it.

    Raises:
        UserError: the canvas allows clips too short to show any motion.
    """
    low, high = canvas.num_frames
    if low < MIN_FRAMES:
        raise UserError(
            f"canvas.num_frames={canvas.num_frames} allows clips of {low} frames, but motion needs {MIN_FRAMES}; raise "
            f"its first number to {MIN_FRAMES} or more"
        )
    return int(rng_at(*address.parts(), "num_frames").integers(low, high + 1))


def choose_backdrop(address: Address) -> Backdrop:
    """A dark grey; ``backdrops.dress`` puts another in its place where the recipe asks for one."""
    level = int(rng_at(*address.parts(), "background").integers(*BACKGROUND_LEVELS))
    return Backdrop(color=(level, level, level))


def drawn_plan(
    address: Address,
    canvas: Canvas,
    num_frames: int,
    *,
    tracks: tuple[Track, ...],
    events: tuple[Event, ...],
    facts: Mapping[str, Any],
) -> ScenePlan:
    """A plan of drawn motion on the whole canvas, before a dark grey."""
    return ScenePlan(
        address=address,
        width=canvas.width,
        height=canvas.height,
        fps=canvas.fps,
        num_frames=num_frames,
        backdrop=choose_backdrop(address),
        tracks=tracks,
        events=events,
        facts=facts,
    )


def torus_path(
    start_xy: npt.NDArray[np.float64], step_xy_T2: npt.NDArray[np.float64], canvas: Canvas
) -> npt.NDArray[np.float64]:
    """Positions after each step on a frame whose edges are joined: (T, 2) px from (T-1, 2) steps.

    With a uniform start, the position in every single frame is uniform too, whatever the motion: one frame tells
    nothing about where the shape is going.
    """
    path = start_xy + np.concatenate([np.zeros((1, 2)), np.cumsum(step_xy_T2, axis=0)])
    wrapped_T2: npt.NDArray[np.float64] = np.mod(path, np.array([canvas.width, canvas.height], dtype=np.float64))
    return wrapped_T2


def straight_steps(angle_deg: float, step_px_T: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(T-1, 2) px steps in one direction; 0 degrees is right, 90 is down, because y grows downwards."""
    angle = np.deg2rad(angle_deg)
    step_xy_T2: npt.NDArray[np.float64] = step_px_T[:, None] * np.array([np.cos(angle), np.sin(angle)])
    return step_xy_T2


def frame_ms(frame: int, canvas: Canvas) -> float:
    """When a frame starts."""
    return 1000.0 * frame / canvas.fps


def spread_frames(num_frames: int) -> list[int]:
    """Evenly spaced frames whose positions an explanation lists, the first and the last among them."""
    return [int(f) for f in np.rint(np.linspace(0, num_frames - 1, NUM_LISTED_POSITIONS))]


def at_events(name: str, xy_T2: npt.NDArray[np.float64], canvas: Canvas, frames: Iterable[int]) -> tuple[Event, ...]:
    """One ``at`` event per listed frame; ``detail`` is the position in tenths of the frame, "x y"."""
    size = np.array([canvas.width, canvas.height])
    events = []
    for frame in frames:
        x, y = np.clip(10 * xy_T2[frame] / size, 0, 9).astype(int)
        start_ms, end_ms = frame_ms(frame, canvas), frame_ms(frame + 1, canvas)
        events.append(Event(kind="at", subject=name, start_ms=start_ms, end_ms=end_ms, detail=f"{x} {y}"))
    return tuple(events)


PATH = re.compile(r"x (?P<x>\d(?: \d)*) y (?P<y>\d(?: \d)*)")
AT_PHRASES = (  # of the detailed telling of ``at`` events
    "At {start} s the {subject} is at x {d1}, y {d2}.",
    "{start} s: the {subject} has reached x {d1}, y {d2}.",
    "The {subject} stands at x {d1}, y {d2} after {start} s.",
)


def tell_path(plan: ScenePlan, name: str) -> str:
    """The listed positions of one shape, in their order: "x 3 5 7 9 y 4 4 4 4"."""
    digits = [event.detail.split() for event in plan.events if event.kind == "at" and event.subject == name]
    return f"x {' '.join(x for x, _ in digits)} y {' '.join(y for _, y in digits)}"


def read_path(text: str) -> list[Claim]:
    """The positions that a sentence in the manner of ``tell_path`` claims, without their times."""
    found = PATH.search(text)
    if found is None:
        return []
    places = zip(found["x"].split(), found["y"].split(), strict=False)
    return [Claim(kind="at", text=found[0], detail=f"{x} {y}") for x, y in places]


def to_track(actor: Actor, xy_T2: npt.NDArray[np.float64], *, wraps: bool) -> Track:
    return Track(
        name=actor.name,
        shape=actor.shape,
        color=COLORS[actor.color_name],
        radius_px=actor.radius_px,
        xy_T2=xy_T2,
        visible_T=np.ones(len(xy_T2), np.bool_),
        wraps=wraps,
        cutout=actor.cutout,
    )
