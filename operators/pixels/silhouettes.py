"""Which outline is seen, and how far it is turned: masks from decoded frames compared with painted templates.

frames, color -> mask -> scaled to a template's area about its centroid -> the most similar shape and angle
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.shapes import COLORS, SHAPES, paint
from temporay.operators.records import Frames

Mask = npt.NDArray[np.bool_]  # (H, W)

BRIGHT = 150  # the largest channel of every color of the palette is above it, that of every backdrop below
MIN_AREA_PX = 12  # anything smaller is a trace of the video coding
PATCH_PX = 48
TEMPLATE_RADIUS_PX = 16.0
ANGLE_STEP_DEG = 5
MIN_RADIUS_RATIO = 1.35  # between two sizes
CHANGE = 0.5  # of the largest step of a place from frame to frame; a smaller one is a trace of the video coding
MIN_FORM_RADIUS_PX = 3.5  # forms that are smaller are too alike
MIN_FORM_MARGIN = 0.025  # measured: coded forms of 5 px and less are mistaken, nearly all by less than this


@dataclass(frozen=True, slots=True)
class Likeness:
    """The template most like a mask. ``score`` is their correlation, 1 when they are the same."""

    shape: str
    angle_deg: float  # clockwise on the screen
    radius_px: float
    score: float
    margin: float  # score above that of the best other shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What stands at one place at first, and which attribute differs at the end."""

    color: str
    form: str
    changed: Literal["", "color", "size", "form", "place"]  # "place": something has come or gone
    frame: int  # frame of its last change


def places_seen(frames_THWC: Frames) -> list[Place] | None:
    """Describe every place where a shape is ever seen, by the first and the last frame; None if one is unclear."""
    bright_THW = frames_THWC.max(axis=3) > BRIGHT
    places = []
    for region_HW in _regions(bright_THW.any(axis=0)):
        ends = [_state(frames_THWC[t], bright_THW[t] & region_HW) for t in (0, -1)]
        present = [end for end in ends if end is not None]
        if not present or any(
            like.radius_px < MIN_FORM_RADIUS_PX or like.margin < MIN_FORM_MARGIN for _, like in present
        ):
            return None
        (color, like), (end_color, end_like) = present[0], present[-1]
        ratio = like.radius_px / end_like.radius_px
        changed: Literal["", "color", "size", "form", "place"] = ""
        if len(present) == 1:
            changed = "place"
        elif color != end_color:
            changed = "color"
        elif like.shape != end_like.shape:
            changed = "form"
        elif max(ratio, 1 / ratio) > MIN_RADIUS_RATIO:
            changed = "size"
        steps_TPC = np.diff(frames_THWC[:, region_HW].astype(np.int16), axis=0)
        steps_T = np.abs(steps_TPC).sum(axis=(1, 2))
        frame = 1 + int(np.flatnonzero(steps_T >= CHANGE * steps_T.max())[-1])
        places.append(Place(color=color, form=like.shape, changed=changed, frame=frame))
    return places


def _regions(ever_HW: Mask) -> list[Mask]:
    """Return the parts of a mask that do not touch each other."""
    count, labels_HW, stats, _ = cv2.connectedComponentsWithStats(ever_HW.astype(np.uint8), connectivity=8)
    return [labels_HW == i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= MIN_AREA_PX]


def _state(frame_HWC: Frames, mask_HW: Mask) -> tuple[str, Likeness] | None:
    """Return the color, and the form and size, of what is in the mask; None if it is too small."""
    like = most_like(mask_HW, SHAPES, turned=False)
    if like is None:
        return None
    seen = np.median(frame_HWC[mask_HW], axis=0)
    return min(COLORS, key=lambda name: float(np.abs(seen - COLORS[name]).sum())), like


def most_like(mask_HW: Mask, shapes: Sequence[str], *, turned: bool) -> Likeness | None:
    """Find which of the shapes the mask shows, and at what angle; None if the mask is too small.

    Args:
        turned: try every angle, not only upright shapes.
    """
    rows, columns = np.nonzero(mask_HW)
    if len(rows) < MIN_AREA_PX:
        return None
    best, second_score = None, 0.0
    for shape in shapes:
        area_px, templates_AP = _templates(shape, turned)
        scale = float(np.sqrt(area_px / len(rows)))
        middle = (PATCH_PX - 1) / 2
        affine = np.array([[scale, 0, middle - scale * columns.mean()], [0, scale, middle - scale * rows.mean()]])
        patch = cv2.warpAffine(mask_HW.astype(np.float32), affine, (PATCH_PX, PATCH_PX)).ravel()
        scores_A = templates_AP @ patch / max(1e-6, float(np.linalg.norm(patch)))
        i = int(scores_A.argmax())
        score, angle_deg = float(scores_A[i]), float(ANGLE_STEP_DEG * i)
        if best is None or score > best.score:
            second_score = best.score if best else 0.0
            best = Likeness(shape, angle_deg, radius_px=TEMPLATE_RADIUS_PX / scale, score=score, margin=0.0)
        else:
            second_score = max(second_score, score)
    return None if best is None else replace(best, margin=best.score - second_score)


@functools.lru_cache(maxsize=32)
def _templates(shape: str, turned: bool) -> tuple[float, npt.NDArray[np.float32]]:
    """Return the area in px and unit vectors (A, P) of the shape at every angle, its centroid in the patch's middle."""
    patches, middle, area_px = [], (PATCH_PX - 1) / 2, 0.0
    for angle_deg in range(0, 360, ANGLE_STEP_DEG) if turned else (0,):
        painted = np.zeros((PATCH_PX, PATCH_PX, 3), np.uint8)
        paint(painted, shape, (255, 255, 255), (middle, middle), TEMPLATE_RADIUS_PX, angle_deg)
        patch = painted[..., 0].astype(np.float32) / 255
        area_px = float(patch.sum())
        x, y = (float((patch.sum(axis=axis) * np.arange(PATCH_PX)).sum()) / area_px for axis in (0, 1))
        shift = np.array([[1, 0, middle - x], [0, 1, middle - y]])
        moved = cv2.warpAffine(patch, shift, (PATCH_PX, PATCH_PX)).ravel()
        patches.append(moved / np.linalg.norm(moved))
    return area_px, np.stack(patches).astype(np.float32)
