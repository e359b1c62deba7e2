"""Shapes that stand still and change in color, size, form or place: what they are at first, and how they change.

Colors, sizes, forms and places before and after a change are chosen alike. So a frame shows either state with the same
chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, SHAPES
from temporay.operators.primitives._plan import event_in, shape_track
from temporay.operators.primitives.motion._drawn_motion import Setting
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, place_apart
from temporay.operators.primitives.motion._stage import EASY_LEVEL
from temporay.operators.records import Event, Track
from temporay.operators.seeding import shuffled

ATTRIBUTES = ("color", "size", "form", "place")
NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 4)  # fewer than there are forms, so that a new form is one that nothing had
RADIUS = 0.16  # parts of the frame's shorter side, or what a cell leaves
SMALL = 0.55  # parts of the radius


@dataclass(frozen=True, slots=True)
class Change:
    """What one shape changes, to and fro: in the last of its frames for good."""

    shape: int
    attribute: str
    frames: Sequence[int]  # in which it changes, an odd number
    new_color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSet:
    """The shapes as they are at first, and what none of them has yet."""

    num_shapes: int
    colors: tuple[str, ...]  # the first ones are the shapes'
    forms: tuple[str, ...]  # the first ones are the shapes'
    large: tuple[bool, ...]
    centers: tuple[npt.NDArray[np.float64], ...]  # px; the last one is free
    radius_px: float  # radius of a large shape

    @property
    def new_colors(self) -> tuple[str, ...]:
        return self.colors[self.num_shapes :]

    def name(self, i: int, attribute: str) -> str:
        """Return what a shape is called when it changes this attribute: by its color if it changes its form."""
        return f"{self.colors[i]} shape" if attribute == "form" else self.forms[i]


def choose_shapes(setting: Setting) -> ShapeSet:
    rng, canvas, num_shapes = setting.rng, setting.canvas, NUM_SHAPES_BY_LEVEL[setting.level]
    palette = EASY_COLORS if setting.level <= EASY_LEVEL else tuple(COLORS)
    radius_px = min(RADIUS * setting.side_px, cell_room_px(canvas, num_shapes + 1) / CORNER)
    return ShapeSet(
        num_shapes=num_shapes,
        colors=tuple(shuffled(rng, palette)),
        forms=tuple(shuffled(rng, SHAPES)),
        large=tuple(bool(rng.integers(2)) for _ in range(num_shapes)),
        centers=tuple(place_apart(rng, canvas, [CORNER * radius_px] * (num_shapes + 1))),
        radius_px=radius_px,
    )


def tracks_of(shapes: ShapeSet, i: int, change: Change | None, num_frames: int) -> list[Track]:
    """Return the track of a shape; one that changes its form has two, the second from the change on."""
    attribute, turns = ("", []) if change is None else (change.attribute, change.frames)
    changed_T = np.searchsorted(turns, np.arange(num_frames), side="right") % 2 == 1
    sizes = (1.0, SMALL) if shapes.large[i] else (SMALL, 1.0)
    away_T = changed_T & (attribute == "place")
    color_name, form = shapes.colors[i], shapes.forms[i]
    xy_T2 = np.where(away_T[:, None], shapes.centers[-1], shapes.centers[i])
    track = shape_track(f"{color_name} {form}", form, COLORS[color_name], shapes.radius_px, xy_T2)
    track = replace(track, scale_T=np.where(changed_T & (attribute == "size"), sizes[1], sizes[0]))
    if change is None or attribute in ("size", "place"):
        return [track]
    if attribute == "form":
        new_form = shapes.forms[shapes.num_shapes]
        return [replace(track, visible_T=~changed_T), replace(track, shape=new_form, visible_T=changed_T)]
    colors_23 = np.array([track.color, COLORS[change.new_color]], np.uint8)
    return [replace(track, color_T3=colors_23[changed_T.astype(int)])]


def events_of(shapes: ShapeSet, change: Change, canvas: Canvas) -> list[Event]:
    """Log a change with what was and what is, "color red blue", each time."""
    i = change.shape
    sizes = ("large", "small") if shapes.large[i] else ("small", "large")
    across, down = shapes.centers[-1] - shapes.centers[i]
    sides, forward = (("left", "right"), across > 0) if abs(across) > abs(down) else (("top", "bottom"), down > 0)
    states = {
        "color": (shapes.colors[i], change.new_color),
        "size": sizes,
        "form": (shapes.forms[i], shapes.forms[shapes.num_shapes]),
        "place": sides if forward else sides[::-1],
    }[change.attribute]
    details = [" ".join((change.attribute, *states)), " ".join((change.attribute, *states[::-1]))]
    name = shapes.name(i, change.attribute)
    return [event_in(canvas, "change", name, at, at + 1, details[n % 2]) for n, at in enumerate(change.frames)]
