"""Read operations back from frames: when something moves, and which two places trade."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.primitives.states._course import middle_shares, num_reveal_frames
from temporay.operators.primitives.states._slots import arc_px, around
from temporay.operators.records import Frames


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
