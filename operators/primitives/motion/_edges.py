"""How often something comes to an edge of the frame: of what is drawn, of what is shown, of what is seen."""

from itertools import groupby

import numpy as np
import numpy.typing as npt

# Parts of the frame: surely nearer to an edge than a turn before it, and farther than a bounce that is shown.
NEAR = 0.05625


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
