"""Which way a frame is turned before it is shown, by the display matrix of its file.

ISO/IEC 14496-12, 6.2.2: the matrix (a, b, u, c, d, v, x, y, w) shows what is stored at (p, q) at the place
(a p + c q + x, b p + d q + y).
"""

import struct
from dataclasses import dataclass

from temporay.operators.records import Frames

MATRIX = struct.Struct("=9i")  # 16.16 fixed point, in the machine's own byte order, as FFmpeg keeps it


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """One of the eight ways to lay a frame on its sides: transposed first, then mirrored."""

    transposed: bool = False  # rows become columns
    mirrored_x: bool = False  # left and right change places
    mirrored_y: bool = False  # top and bottom change places

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of an upright frame by those of the stored one. The way back is the same."""
        return (height, width) if self.transposed else (width, height)

    def upright(self, frame_HWC: Frames) -> Frames:
        """Return a stored frame as it is shown."""
        if self.transposed:
            frame_HWC = frame_HWC.swapaxes(0, 1)
        return frame_HWC[:: -1 if self.mirrored_y else 1, :: -1 if self.mirrored_x else 1]


AS_STORED = Orientation()


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two sizes, width and height in px, have one shape but for rounding."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def orientation_of(display_matrix: bytes) -> Orientation:
    """Return the orientation that a display matrix asks for. Any other angle is taken as the nearest of these."""
    a, b, _, c, d, *_ = MATRIX.unpack(display_matrix)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)
    return Orientation(mirrored_x=a < 0, mirrored_y=d < 0)
