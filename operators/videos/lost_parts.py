"""What a video lacks: its end, which the file promises; its beginning, which cannot be decoded; times that go on.

A cut or joined file plays without an error, and shows something else than what its questions are about.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from temporay.operators.errors import SampleRejected

# What a format promises of its end: how long a stream lasts, how many frames it has, or when the last stream ends.
PROMISES = {"mov,mp4,m4a,3gp,3g2,mj2": "stream", "avi": "frames", "matroska,webm": "file", "flv": "file"}
MAX_LEAD_S = (
    1.0  # of a recording that begins between two key frames; players wait for the first one, and so is done here
)
MAX_STEP_BACK_S = 0.5  # from one packet to the next; more is the begin of another recording
MAX_GAP_S = 600.0  # that one frame stays on screen, if that is most of the video


def promised_s(container: Any, stream: Any) -> float:
    """Return how long a file says that the stream lasts, or the whole file, by what its format tells; else 0."""
    match PROMISES.get(container.format.name):
        case "stream":
            return float((stream.duration or 0) * stream.time_base)
        case "frames":
            return float(stream.frames / stream.average_rate) if stream.average_rate else 0.0
        case "file":
            return float((container.duration or 0) / av.time_base)
        case _:
            return 0.0


def lost_s(kind: str, promised: float, stream_s: float, file_s: float, longest_gap_s: float) -> float:
    """Return how much is missing of the end that a file promises, in seconds.

    So little that no frame need be missing is nothing.

    Args:
        kind: the name of the format.
        promised: what ``promised_s`` gave.
        stream_s: how long the packets of the stream last.
        file_s: when the last packet of all streams ends.
        longest_gap_s: between two frames.
    """
    lost = promised - (stream_s if PROMISES.get(kind) == "stream" else file_s)
    return lost if lost > 2 * longest_gap_s else 0.0


def check_order(path: Path, decoded_at: Sequence[int], time_base: Fraction) -> None:
    """Refuse files that were joined byte by byte: the times of the second one cover those of the first.

    Args:
        decoded_at: when each packet is decoded, in the order of the file.

    Raises:
        SampleRejected: ``video_joined``.
    """
    for before, after in pairwise(decoded_at):
        if (before - after) * time_base > MAX_STEP_BACK_S:
            raise SampleRejected(
                "video_joined",
                f"{path}: after {float((before - decoded_at[0]) * time_base):.1f} s its times begin again, as in files "
                "that were joined byte by byte; join them with ffmpeg -f concat",
            )


def check_lead(path: Path, lead_s: float) -> None:
    """Refuse a file of which much cannot be decoded before the first frame that can.

    Raises:
        SampleRejected: ``video_without_start``.
    """
    if lead_s > MAX_LEAD_S:
        raise SampleRejected(
            "video_without_start",
            f"{path}: its first {lead_s:.1f} s cannot be decoded, because it does not begin with a key frame; cut it "
            "at one, or encode it again",
        )


def check_gap(path: Path, longest_gap_s: float, duration_s: float) -> None:
    """Refuse a file whose clock jumps, as in recordings of broadcasts: one frame would fill most of it.

    Raises:
        SampleRejected: ``video_with_a_jump``.
    """
    if longest_gap_s > max(MAX_GAP_S, duration_s / 2):
        raise SampleRejected(
            "video_with_a_jump",
            f"{path}: {longest_gap_s:.0f} of its {duration_s:.0f} s lie between two frames; its clock seems to jump, "
            "so that times are unknown; encode it again",
        )
