"""Shapes that have a name, in colors that have a name, and how one is painted.

Every name picks out one shape of one color, so "the red circle" is never ambiguous inside a clip that draws each
name at most once.
"""

import cv2
import numpy as np
from temporay.operators.records import Frames

COLORS: dict[str, tuple[int, int, int]] = {  # RGB, far apart in hue so that video coding cannot merge them
    "red": (230, 40, 40),
    "green": (40, 200, 60),
    "blue": (50, 90, 240),
    "yellow": (240, 220, 40),
    "white": (245, 245, 245),
    "pink": (240, 80, 220),
    "orange": (250, 130, 20),
    "cyan": (40, 220, 230),
    "purple": (150, 60, 230),
}
EASY_COLORS: tuple[str, ...] = tuple(COLORS)[:6]  # colors of the first levels, none of them near another
SHAPES: tuple[str, ...] = ("circle", "square", "cross", "triangle", "star")
EASY_SHAPES: tuple[str, ...] = SHAPES[:3]
TURNED_SHAPES: tuple[str, ...] = ("arrow", "L shape", "T shape")  # no turn but a full one maps them onto themselves
LABEL_FONT = cv2.FONT_HERSHEY_SIMPLEX
LABEL_SHARE = {"card": 0.5}  # of the radius, as room for a text; all of it in other shapes
SHIFT = 4  # fractional bits of cv2 coordinates: a shape moves by sixteenths of a pixel
BACKGROUND_LEVELS = (0, 60)  # gray levels of a background, [low, high)


def outline(shape: str, radius_px: float) -> np.ndarray:
    """Return the vertices of a polygon around the origin, (N, 2) float64 px. A circle has none and is painted as one.

    Raises:
        ValueError: no shape has this name.
    """
    if shape not in OUTLINES:
        raise ValueError(f"no outline for shape {shape!r}; shapes are circle, {', '.join(OUTLINES)}")
    return radius_px * OUTLINES[shape]


def _star() -> np.ndarray:
    angles = -np.pi / 2 + np.pi / 5 * np.arange(10)
    radii = np.where(np.arange(10) % 2, 0.45, 1.0)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _points(*xy: tuple[float, float]) -> np.ndarray:
    return np.array(xy, dtype=np.float64)


OUTLINES: dict[str, np.ndarray] = {  # vertices in a circle of radius 1; y grows downwards
    "square": _points((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "cross": _points(
        *((-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35)),
        *((0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35)),
    ),
    "triangle": _points((0, -1), (0.95, 0.75), (-0.95, 0.75)),
    "star": _star(),
    "arrow": _points((0, -1), (0.8, 0), (0.3, 0), (0.3, 1), (-0.3, 1), (-0.3, 0), (-0.8, 0)),
    "L shape": _points((-0.7, -1), (-0.15, -1), (-0.15, 0.45), (0.7, 0.45), (0.7, 1), (-0.7, 1)),
    "T shape": _points(
        (-0.8, -0.9), (0.8, -0.9), (0.8, -0.35), (0.28, -0.35), (0.28, 1), (-0.28, 1), (-0.28, -0.35), (-0.8, -0.35)
    ),
    "cup": _points((-0.6, -1), (0.6, -1), (1, 1), (-1, 1)),  # upside down, wide at the bottom
    "box": _points((-0.8, -1), (0.8, -1), (0.8, 1), (-0.8, 1)),
    "card": _points((-1, -0.4), (1, -0.4), (1, 0.4), (-1, 0.4)),  # lies flat, seen from the side
    "folder": _points((-1, -0.8), (-0.3, -0.8), (-0.1, -0.55), (1, -0.55), (1, 0.8), (-1, 0.8)),
    "bin": _points((-1, -1), (1, -1), (1, -0.75), (0.85, -0.75), (0.65, 1), (-0.65, 1), (-0.85, -0.75), (-1, -0.75)),
}


def paint(
    frame_HWC: Frames,
    shape: str,
    color: tuple[int, int, int],
    xy: tuple[float, float],
    radius_px: float,
    angle_deg: float = 0.0,
) -> None:
    """Paint one anti-aliased shape in place, turned clockwise on the screen; parts outside the frame are cut off."""
    scale = 1 << SHIFT
    if shape == "circle":
        center = (round(xy[0] * scale), round(xy[1] * scale))
        cv2.circle(frame_HWC, center, round(radius_px * scale), color, -1, cv2.LINE_AA, SHIFT)
        return
    vertices = outline(shape, radius_px)
    if angle_deg:
        angle = np.deg2rad(angle_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        vertices = vertices @ np.array([[cos, sin], [-sin, cos]])
    points = np.rint((vertices + np.asarray(xy)) * scale).astype(np.int32)
    cv2.fillPoly(frame_HWC, [points], color, cv2.LINE_AA, SHIFT)


def write_label(
    frame_HWC: Frames, text: str, xy: tuple[float, float], radius_px: float, on: tuple[int, int, int]
) -> None:
    """Write a text centered at ``xy``, as large as fits in the radius, in black or white, whichever stands out more."""
    (width, height), _ = cv2.getTextSize(text, LABEL_FONT, 1.0, 1)
    scale = min(1.7 * radius_px / max(1, width), 1.2 * radius_px / max(1, height))
    thickness = max(1, round(1.6 * scale))
    (width, height), _ = cv2.getTextSize(text, LABEL_FONT, scale, thickness)
    ink = (0, 0, 0) if 0.299 * on[0] + 0.587 * on[1] + 0.114 * on[2] > 110 else (255, 255, 255)
    origin = (round(xy[0] - width / 2), round(xy[1] + height / 2))
    cv2.putText(frame_HWC, text, origin, LABEL_FONT, scale, ink, thickness, cv2.LINE_AA)
