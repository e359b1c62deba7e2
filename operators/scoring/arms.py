"""Arms of an evaluation: what a model is shown, the clip or less.

A gain in ``ordered`` alone is a gain in reasoning about time. ``shuffled`` keeps the frames but not their order,
``single_frame`` keeps one frame, ``blind`` keeps none (arXiv 2506.06928 and 2603.17693 report the first two).
"""

from typing import Literal, get_args

import numpy as np
from temporay.operators.records import Address, Frames
from temporay.operators.seeding import rng_at

Arm = Literal["ordered", "shuffled", "single_frame", "blind"]
ARMS: tuple[Arm, ...] = get_args(Arm)


def apply_arm(arm: Arm, frames_THWC: Frames, address: Address) -> Frames | None:
    """Return the frames of one arm, which depend on the address alone; None for ``blind``.

    Raises:
        ValueError: a clip of one frame cannot be shuffled.
    """
    num_frames = len(frames_THWC)
    if arm == "ordered":
        return frames_THWC
    if arm == "shuffled":
        shuffled_THWC: Frames = frames_THWC[_permutation(num_frames, address)]
        return shuffled_THWC
    if arm == "single_frame":
        frame = int(rng_at(*address.parts(), "single_frame").integers(num_frames))
        return np.repeat(frames_THWC[frame : frame + 1], num_frames, axis=0)
    return None


def _permutation(num_frames: int, address: Address) -> np.ndarray:
    if num_frames < 2:
        raise ValueError(f"a clip of {num_frames} frame has no other order")
    rng = rng_at(*address.parts(), "shuffle")
    while True:
        order = rng.permutation(num_frames)
        if not np.array_equal(order, np.arange(num_frames)):
            return order
