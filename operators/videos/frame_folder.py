"""A folder of pictures as a video: its files in the order of their names, at a stated rate."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from temporay.operators.errors import SampleRejected
from temporay.operators.records import Frames
from temporay.operators.videos.faults import UNDECODABLE
from temporay.operators.videos.header import VideoHeader
from temporay.operators.videos.orientation import AS_STORED
from temporay.operators.videos.reading import TakenFrames

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


def probe_folder(folder: Path, fps: float) -> VideoHeader:
    """Read how many pictures a folder has, and the size of the first one.

    Raises:
        SampleRejected: ``video_missing``, or ``video_undecodable``: it has none, or the first one cannot be read.
    """
    pictures = pictures_in(folder)
    height, width, _ = _read(pictures[0]).shape
    return VideoHeader(
        width=width,
        height=height,
        pts_N=np.arange(len(pictures), dtype=np.int64),
        time_base=1 / Fraction(fps).limit_denominator(1001),
        duration_s=len(pictures) / fps,
        clock="rate",
        stream=0,
        orientation=AS_STORED,
        key_pts_K=np.arange(len(pictures), dtype=np.int64),
        key_index_K=np.zeros(0, np.int64),
    )


def frames_in(folder: Path, taken: TakenFrames) -> Frames:
    """Read the pictures that are taken, all scaled to one size: frames_THWC uint8 RGB.

    Raises:
        SampleRejected: ``video_undecodable``: one cannot be read.
    """
    pictures, size = pictures_in(folder), (taken.width, taken.height)
    return np.stack([cv2.resize(_read(pictures[n]), size, interpolation=cv2.INTER_AREA) for n in taken.places])


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder, sorted by name.

    Raises:
        SampleRejected: ``video_missing``, or ``video_undecodable``: it has none.
    """
    if not folder.is_dir():
        raise SampleRejected("video_missing", f"{folder} is no folder of pictures")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise SampleRejected(UNDECODABLE, f"{folder} has no pictures ({', '.join(sorted(PICTURES))})")
    return pictures


def _read(picture: Path) -> Frames:
    frame_HWC = cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB)
    if frame_HWC is None:
        raise SampleRejected(UNDECODABLE, f"{picture} is no picture that can be read")
    return np.asarray(frame_HWC, np.uint8)
