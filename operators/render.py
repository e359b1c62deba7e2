"""ScenePlan → frames: shots first, then tracks in order, each over what was there (painter's algorithm)."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from operators.records import Frames, Scene, ScenePlan, Shot, Track
from operators.sources.shapes import paint

ImageLoader = Callable[[Scene], Frames]  # Scene → (H, W, 3) uint8 RGB


def render(plan: ScenePlan, load_image: ImageLoader | None = None) -> Frames:
    """Draws every frame of a plan.

    Args:
        load_image: needed when the plan has shots; gives an image's pixels at any size.

    Returns:
        frames_THWC, uint8 RGB.
    """
    canvas_HWC = np.empty((plan.height, plan.width, 3), np.uint8)
    canvas_HWC[:] = plan.background
    frames_THWC = np.repeat(canvas_HWC[None], plan.num_frames, axis=0)
    for shot in plan.shots:
        if load_image is None:
            raise ValueError("this plan shows images, but no image loader was given")
        _show(frames_THWC, shot, load_image(shot.scene))
    for track in plan.tracks:
        _draw(frames_THWC, track)
    return frames_THWC


def fit(image_HWC: Frames, width: int, height: int) -> Frames:
    """Scales an image to lie inside the frame, centred on black, its aspect ratio kept."""
    scale = min(width / image_HWC.shape[1], height / image_HWC.shape[0])
    size = (max(1, round(image_HWC.shape[1] * scale)), max(1, round(image_HWC.shape[0] * scale)))
    small = cv2.resize(image_HWC, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = small
    return out


def _show(frames_THWC: Frames, shot: Shot, image_HWC: Frames) -> None:
    height, width = frames_THWC.shape[1:3]
    fitted = fit(image_HWC, width, height)
    for offset, affine_23 in enumerate(shot.affine_T23):
        frames_THWC[shot.start_frame + offset] = cv2.warpAffine(fitted, affine_23, (width, height))


def _draw(frames_THWC: Frames, track: Track) -> None:
    height, width = frames_THWC.shape[1:3]
    shifts = [(dx, dy) for dx in (-width, 0, width) for dy in (-height, 0, height)] if track.wraps else [(0, 0)]
    for frame_HWC, (x, y), visible in zip(frames_THWC, track.xy_T2, track.visible_T, strict=True):
        if not visible:
            continue
        for dx, dy in shifts:
            if (
                -track.radius_px < x + dx < width + track.radius_px
                and -track.radius_px < y + dy < height + track.radius_px
            ):
                paint(frame_HWC, track.shape, track.color, (x + dx, y + dy), track.radius_px)
