"""Drawn shapes: the palette of nameable things, and how one is painted.

Every name picks out one shape of one colour, so "the red circle" is never ambiguous inside a clip that draws each
name at most once.
"""

from __future__ import annotations

import cv2
import numpy as np

from operators.records import Frames

COLORS: dict[str, tuple[int, int, int]] = {  # RGB, far apart in hue so that video coding cannot merge them
    "red": (230, 40, 40),
    "green": (40, 200, 60),
    "blue": (50, 90, 240),
    "yellow": (240, 220, 40),
    "white": (245, 245, 245),
    "pink": (240, 80, 220),
}
SHAPES: tuple[str, ...] = ("circle", "square", "cross")
CONTAINERS: tuple[str, ...] = ("cup",)  # drawn by shell_game, never an actor of its own
SHIFT = 4  # fractional bits of cv2 coordinates: a shape moves by sixteenths of a pixel
BACKGROUND_LEVELS = (0, 60)  # grey levels of a background, [low, high)


def outline(shape: str, radius_px: float) -> np.ndarray:
    """Vertices of a polygon around the origin, (N, 2) float64 px. A circle has none and is painted as one."""
    if shape == "square":
        a = 0.9 * radius_px
        return np.array([(-a, -a), (a, -a), (a, a), (-a, a)])
    if shape == "cross":
        a, b = radius_px, 0.35 * radius_px
        return np.array(
            [(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b), (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b)]
        )
    if shape == "cup":  # upside down, wide at the bottom
        a, b = radius_px, 0.6 * radius_px
        return np.array([(-b, -a), (b, -a), (a, a), (-a, a)])
    raise ValueError(f"no outline for shape {shape!r}; shapes are {SHAPES + CONTAINERS}")


def paint(
    frame_HWC: Frames, shape: str, color: tuple[int, int, int], xy: tuple[float, float], radius_px: float
) -> None:
    """Paints one anti-aliased shape in place; parts outside the frame are cut off."""
    scale = 1 << SHIFT
    if shape == "circle":
        center = (round(xy[0] * scale), round(xy[1] * scale))
        cv2.circle(frame_HWC, center, round(radius_px * scale), color, -1, cv2.LINE_AA, SHIFT)
        return
    points = np.rint((outline(shape, radius_px) + np.asarray(xy)) * scale).astype(np.int32)
    cv2.fillPoly(frame_HWC, [points], color, cv2.LINE_AA, SHIFT)
