"""Read a game back from frames: which face lies where, when something moves, and which two places trade."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives.states._slots import arc_px, around, middle_shares, num_reveal_frames
from temporay.operators.records import Frames

MIN_FACE_SHARE = 0.25  # share of the square around a place that has a face's color, where that face lies


def faces_seen(
    frames_THWC: Frames, faces: Mapping[str, str], places_xy: npt.NDArray[np.float64], radius_px: float, empty: str
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]] | None:
    """Find the frames, (T,), in which all faces are seen, and the face at each place or ``empty``.

    Args:
        faces: name of a face -> name of its color.
        radius_px: of a face.

    Returns:
        None where no frame shows all faces, or where two seem to lie at one place.
    """
    seen_NTP = np.stack([coverage(frames_THWC, COLORS[color], places_xy, 0.7 * radius_px) for color in faces.values()])
    revealed_T = seen_NTP.max(axis=2).min(axis=0) > MIN_FACE_SHARE
    if not revealed_T.any():
        return None
    face_at = dict(zip(seen_NTP[:, revealed_T].mean(axis=1).argmax(axis=1).tolist(), faces, strict=True))
    shown = tuple(face_at.get(place, empty) for place in range(len(places_xy)))
    return (np.asarray(revealed_T), shown) if len(face_at) == len(faces) else None


def nearest(places_xy: npt.NDArray[np.float64], xy: tuple[float, float]) -> int:
    """Return the place that is nearest to a point."""
    return int(np.argmin(np.hypot(*(places_xy - xy).T)))


def seen_pair(
    frames_THWC: Frames,
    color: tuple[int, int, int],
    slots_xy: npt.NDArray[np.float64],
    radius_px: float,
    half_px: float,
) -> tuple[int, int]:
    """Return the two slots between which things of this color fly ``around``, in all frames of one operation.

    Args:
        half_px: half the side of the square that is looked at, at the center of a thing.
    """
    shares = middle_shares(len(frames_THWC))

    def seen(pair: tuple[int, int]) -> float:
        paths = around(slots_xy, *pair, shares, arc_px(radius_px))
        found = [coverage(frames_THWC[t : t + 1], color, paths[:, t], half_px) for t in range(len(shares))]
        return float(np.mean(found))

    return max(combinations(range(len(slots_xy)), 2), key=seen)


def split_active(active_T: npt.NDArray[np.bool_], num_operations: int) -> list[slice] | None:
    """Cut a clip into its operations, given the frames in which something was seen to move.

    A slow start or end may have passed for rest, so the operations are laid around the middle of what was seen.
    """
    frames, num_frames = np.nonzero(active_T)[0], len(active_T)
    per_op = (num_frames - num_reveal_frames(num_frames)) // num_operations
    if not len(frames):
        return None
    first = int(np.floor((frames[0] + frames[-1] + 1 - num_operations * per_op) / 2))
    if first < 0 or first + num_operations * per_op > num_frames:
        return None
    return [slice(first + i * per_op, first + (i + 1) * per_op) for i in range(num_operations)]
