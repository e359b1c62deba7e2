"""How a world is painted: the surface of its shapes, and whether it is dark or light.

A generator of its own chooses it after the plan, so it cannot depend on the truth. A surface moves colors by less than
recovery tells apart. A light world is a dark one with the lightness of every pixel turned round: hues stay, so colors
keep their names, and turning it round once more gives the dark one back.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.shapes import COLORS, paint
from temporay.operators.records import Frames, Lighting, Look, ScenePlan, Surface
from temporay.operators.seeding import rng_at

RELIEF = 18  # levels by which a surface is lighter or darker; over three channels below ``colors_seen.NEAR_COLOR``
STRIPES = 2.5  # of a texture, in a radius
RIM_SHARE = 0.2  # of the radius
WHITE_LEVEL = 200  # what is this bright in all channels is white; in a light world it would be black
NAMED_COLORS = frozenset(COLORS.values())


def choose_look(
    plan: ScenePlan, surfaces: Sequence[Surface], lightings: Sequence[Lighting], *, may_be_light: bool
) -> ScenePlan:
    """Give a plan one of these looks. Plans that show images stay as they are.

    Args:
        may_be_light: False for a question that speaks of light and darkness.
    """
    if plan.shots or ({*surfaces} == {"plain"} and {*lightings} == {"dark"}):
        return plan
    rng = rng_at(*plan.address.parts(), "look")
    surface, lighting = surfaces[int(rng.integers(len(surfaces)))], lightings[int(rng.integers(len(lightings)))]
    if not may_be_light or plan.backdrop.kind == "photo" or _shows_white_or_photographs(plan):
        lighting = "dark"
    return replace(plan, look=Look(surface=surface, lighting=lighting))


def _shows_white_or_photographs(plan: ScenePlan) -> bool:
    return any(
        track.cutout is not None
        or min(track.color) > WHITE_LEVEL
        or (track.color_T3 is not None and bool((track.color_T3.min(axis=1) > WHITE_LEVEL).any()))
        for track in plan.tracks
    )


def turn_lightness(frames_THWC: Frames) -> Frames:
    """Turn the lightness of every pixel round and keep its hue; done twice, it changes nothing."""
    shift = 255 - frames_THWC.max(axis=-1, keepdims=True).astype(np.int16) - frames_THWC.min(axis=-1, keepdims=True)
    turned: Frames = (frames_THWC + shift).astype(np.uint8)
    return turned


def paint_with_surface(
    frame_HWC: Frames,
    shape: str,
    color: tuple[int, int, int],
    xy: tuple[float, float],
    radius_px: float,
    angle_deg: float,
    surface: Surface,
) -> None:
    """Paint one shape in place, with a relief of the surface if its color has a name. Walls and the like have none."""
    paint(frame_HWC, shape, color, xy, radius_px, angle_deg)
    if surface == "plain" or color not in NAMED_COLORS:
        return
    height, width = frame_HWC.shape[:2]
    reach = radius_px * 1.5 + 2  # a corner is at most 1.3 radii away
    left, top = max(0, int(xy[0] - reach)), max(0, int(xy[1] - reach))
    right, bottom = min(width, int(xy[0] + reach) + 1), min(height, int(xy[1] + reach) + 1)
    if left >= right or top >= bottom:
        return
    mask = np.zeros((bottom - top, right - left, 3), np.uint8)
    paint(mask, shape, (255, 255, 255), (xy[0] - left, xy[1] - top), radius_px, angle_deg)
    place_2HW = (
        np.mgrid[top:bottom, left:right].astype(np.float32) - np.array([xy[1], xy[0]], np.float32)[:, None, None]
    )
    relief_HW = _relief(surface, place_2HW / radius_px, mask[..., 0], radius_px) * (mask[..., 0] == 255)
    part = frame_HWC[top:bottom, left:right]
    part[:] = np.clip(np.rint(part + RELIEF * relief_HW[..., None]), 0, 255).astype(np.uint8)


def _relief(
    surface: Surface, place_2HW: npt.NDArray[np.float32], mask_HW: Frames, radius_px: float
) -> npt.NDArray[np.float32]:
    """Return how much lighter each pixel is, from -1 to 1.

    Args:
        place_2HW: y and x from the shape's center, in radii.
    """
    diagonal_HW = place_2HW.sum(axis=0)
    if surface == "shaded":  # lit from above and the left
        shade_HW: npt.NDArray[np.float32] = np.clip(-diagonal_HW / np.float32(1.4), -1, 1)
        return shade_HW
    if surface == "textured":
        return np.where(np.floor(diagonal_HW * STRIPES) % 2 == 0, 1, -1).astype(np.float32)
    size = 2 * max(1, round(RIM_SHARE * radius_px)) + 1
    inner_HW = cv2.erode(mask_HW, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), borderValue=0)
    return np.where(inner_HW > 127, 0, -1).astype(np.float32)
