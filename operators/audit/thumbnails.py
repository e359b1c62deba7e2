"""The few small frames of a clip that tier C sees: enough for layout and color, small enough to keep thousands."""

from dataclasses import dataclass

import cv2
import numpy as np
from temporay.operators.records import Frames
from temporay.operators.seeding import rng_at

SIDE = 24  # px; a shape of 8 px in a frame of 96 px is 4 px wide
NUM_EVEN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnails:
    """Frames of one clip, each SIDE x SIDE, uint8 RGB."""

    even_THWC: Frames  # NUM_EVEN frames, evenly spaced, the first and the last among them
    start_THWC: Frames  # the first two
    end_THWC: Frames  # the last two
    random_HWC: Frames  # one, chosen by the row's id
    mean_HWC: Frames  # the mean of all frames


def thumbnails_of(frames_THWC: Frames, row_id: str) -> Thumbnails:
    """Shrink a clip to what the probes see.

    Args:
        frames_THWC: decoded, uint8 RGB.
        row_id: decides which frame the random one is.
    """
    num_frames = len(frames_THWC)
    even = np.linspace(0, num_frames - 1, NUM_EVEN).round().astype(int)
    small_THWC = np.stack([cv2.resize(f, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for f in frames_THWC])
    mean_HWC = small_THWC.mean(axis=0).round().astype(np.uint8)
    return Thumbnails(
        even_THWC=small_THWC[even],
        start_THWC=small_THWC[[0, min(1, num_frames - 1)]],
        end_THWC=small_THWC[[max(0, num_frames - 2), num_frames - 1]],
        random_HWC=small_THWC[int(rng_at("audit_frame", row_id).integers(num_frames))],
        mean_HWC=mean_HWC,
    )
