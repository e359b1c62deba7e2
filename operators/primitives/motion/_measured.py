"""What a question asks about and the audit reads too: how speed changes, and how often a shape comes near an edge."""

from itertools import groupby

import numpy as np
import numpy.typing as npt

COURSES = {  # of each option: speeds that follow each other, low (-1), medium (0) or high (1), in one or two ways
    "accelerating": ((-1, -1, 0, 0, 1, 1),),
    "decelerating": ((1, 1, 0, 0, -1, -1),),
    "moving at a constant speed": ((0,) * 6,),
    "speeding up, then slowing down": ((-1, 0, 1, 1, 0, -1),),
    "slowing down, then speeding up": ((1, 0, -1, -1, 0, 1),),
    "speeding up, slowing down, then speeding up again": ((-1, 1, 0, -1, 0, 1), (-1, 0, 1, 0, -1, 1)),
    "slowing down, speeding up, then slowing down again": ((1, -1, 0, 1, 0, -1), (1, 0, -1, 0, 1, -1)),
}
NEAR = 0.05625  # parts of the frame: nearer than a turn before an edge, farther than a bounce that is shown


def visits(
    xy_T2: npt.NDArray[np.float64], radius_px: float, size_px: npt.NDArray[np.int64], limit: float = NEAR
) -> int:
    """Count how often a circle comes near an edge of the frame.

    Args:
        xy_T2: its center, px.
        limit: how near, in parts of the frame.
    """
    away_T4 = np.concatenate([(xy_T2 - radius_px) / size_px, (size_px - radius_px - xy_T2) / size_px], axis=1)
    return sum(key for near_T in (away_T4 < limit).T for key, _ in groupby(near_T))
