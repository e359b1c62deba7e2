"""Read operations back from frames: which two places take part in each, frame by frame."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.primitives.states._course import Operation
from temporay.operators.records import Frames

FULL = 0.5  # share of the middle of a place from which on something stands there


def nearest(places_xy: npt.NDArray[np.float64], xy: tuple[float, float]) -> int:
    """Return the place that is nearest to a point."""
    return int(np.argmin(np.hypot(*(places_xy - xy).T)))


def pairs_seen(
    frames_THWC: Frames, colors: Iterable[tuple[int, int, int]], places_xy: npt.NDArray[np.float64], half_px: float
) -> list[tuple[str, str] | None]:
    """Return the numbers, from 1, of the two places that things of these colors have left; None for another number.

    Args:
        half_px: half the side of the square that is looked at in each place.
    """
    covered_TN = np.max([coverage(frames_THWC, color, places_xy, half_px) for color in colors], axis=0)
    left = [np.flatnonzero(covered_N < FULL) for covered_N in covered_TN]
    return [(str(places[0] + 1), str(places[1] + 1)) if len(places) == 2 else None for places in left]


def in_turn(seen: Iterable[Operation | None]) -> list[Operation]:
    """Return the operations that frames show, each once, however many frames show it in a row."""
    return [operation for operation, _ in groupby(operation for operation in seen if operation is not None)]
