"""What the frames alone tell: where colors are, how fast they move, when they turn. No plan is used.

Primitives recover answers from decoded frames by these functions. ``dataset.label_check`` compares them with the event
log, so a fault of the renderer, the codec or a question cannot pass as truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.records import Frames

# Sum of the differences of red, green and blue: what differs by less has a color of the palette. Colors lie 120 or more
# apart, pixels of cut-outs 80 or more from each (``cutouts.mute``), and coded shapes keep their color within 15 levels.
NEAR_COLOR = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """All that recovering an answer may use: the frames, the question as asked, and pictures of the captions."""

    frames_THWC: Frames  # decoded
    fps: float
    question: str
    options: tuple[str, ...]
    facts: Mapping[str, Any]  # what the question is about; the same for a sample and its twin, so never the truth
    images: Mapping[str, Frames]  # caption -> (H, W, 3) picture, for pseudo-videos


def near_color(frame_HWC: Frames, color: tuple[int, int, int]) -> Frames:
    """Find a color in one frame, or in frames below each other: (H, W) uint8, 1 where a pixel is near it, else 0."""
    far_HWC = cv2.absdiff(frame_HWC, np.array((*color, 0), np.float64))
    distance_HW = cv2.transform(far_HWC, np.ones((1, 3), np.float32))  # stops at 255
    _, near_HW = cv2.threshold(distance_HW, NEAR_COLOR - 1, 1, cv2.THRESH_BINARY_INV)
    near: Frames = near_HW
    return near


def color_masks(frames_THWC: Frames, color: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Return (T, H, W): where each frame is near the color."""
    num_frames, height, width = frames_THWC.shape[:3]
    below_HWC = np.ascontiguousarray(frames_THWC).reshape(num_frames * height, width, 3)
    return near_color(below_HWC, color).reshape(num_frames, height, width).astype(np.bool_)


def mask_centers(masks_THW: npt.NDArray[np.bool_], min_area_px: float = 1.0) -> npt.NDArray[np.float64]:
    """Return the (T, 2) px centers x, y of masks; NaN where a mask has less than ``min_area_px``."""
    return np.array(
        [
            np.argwhere(mask_HW).mean(axis=0)[::-1] if mask_HW.sum() >= max(1.0, min_area_px) else (np.nan, np.nan)
            for mask_HW in masks_THW
        ],
        dtype=np.float64,
    )


def coverage(
    frames_THWC: Frames, color: tuple[int, int, int], centers_xy: npt.NDArray[np.float64], half_px: float
) -> npt.NDArray[np.float64]:
    """Return (T, N): the share of the square around each center that is near the color.

    Args:
        centers_xy: (N, 2) px.
        half_px: half the side of the squares. They end at the edges of the frame.
    """
    seen = []
    for x, y in centers_xy:
        rows = slice(max(0, round(y - half_px)), max(1, round(y + half_px) + 1))
        columns = slice(max(0, round(x - half_px)), max(1, round(x + half_px) + 1))
        seen.append(color_masks(frames_THWC[:, rows, columns], color).mean(axis=(1, 2)))
    return np.stack(seen, axis=1)


def follow(frames_THWC: Frames, color: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """Measure where a color is, and how much of it, in every frame.

    A shape that leaves at one edge enters at the opposite one. Its center lies on the joined frame (circular mean).

    Returns:
        (T, 3) of x, y in px and area in px². Rows are NaN, NaN, 0 where nothing is near the color.
    """
    height, width = frames_THWC.shape[1:3]
    seen_T3 = np.full((len(frames_THWC), 3), np.nan)
    for t, frame_HWC in enumerate(frames_THWC):
        near_HW = near_color(frame_HWC, color)
        columns = cv2.reduce(near_HW, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        rows = cv2.reduce(near_HW, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        area = int(columns.sum())
        seen_T3[t] = (
            (_circular_mean(columns, width), _circular_mean(rows, height), area) if area else (np.nan, np.nan, 0)
        )
    return seen_T3


def steps(seen_T3: npt.NDArray[np.float64], width: int, height: int) -> npt.NDArray[np.float64]:
    """Return (T-1, 2) px from each frame to the next, the shorter way around joined edges; NaN where it is not seen."""
    size = np.array([width, height], dtype=np.float64)
    return np.mod(np.diff(seen_T3[:, :2], axis=0) + size / 2, size) - size / 2


def _circular_mean(counts: npt.NDArray[np.int32], size: int) -> float:
    """Return the mean place on a joined axis; ``counts[i]`` things are at place i."""
    angles = 2 * np.pi * (np.arange(size) + 0.5) / size
    angle = np.arctan2(counts @ np.sin(angles), counts @ np.cos(angles))
    return float(np.mod(angle, 2 * np.pi) * size / (2 * np.pi) - 0.5)
