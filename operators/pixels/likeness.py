"""Pictures that look alike have hashes that differ in few bits.

Each bit says whether a small gray picture gets lighter from one pixel to the next one on its right ("dHash", Krawetz
2013, https://www.hackerfactor.com/blog/?/archives/529-Kind-of-Like-That.html).
"""

import cv2
import numpy as np
from temporay.operators.records import Frames

HASH_SIDE = 8  # a hash has as many bits as this squared
MAX_BITS = 6  # that may differ between near-equal pictures: a re-encoded or scaled one changes fewer
MIN_SPREAD = 8.0  # standard deviation of gray levels; a flatter picture looks like any other flat one


def hash_of(picture_HWC: Frames) -> int | None:
    """Hash a picture, uint8 RGB, to 64 bits. Flat ones have no hash."""
    gray_HW = cv2.cvtColor(picture_HWC, cv2.COLOR_RGB2GRAY)
    if gray_HW.std() < MIN_SPREAD:
        return None
    small_HW = cv2.resize(gray_HW, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA).astype(int)
    bits = np.packbits(small_HW[:, 1:] > small_HW[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")
