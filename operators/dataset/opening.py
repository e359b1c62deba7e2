"""Everything that gives samples, opened alike: a folder made by generate, or a file of a user's own lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.video_qa import DroppedLine, VideoQa, VideoQaSettings, named
from temporay.operators.errors import SampleRejected, UserError, refusal
from temporay.operators.media import Clips
from temporay.operators.own_data.lines import SUFFIXES
from temporay.operators.records import Address, Sample
from temporay.operators.videos.reading import VideoReading


class Samples(Protocol):
    """Samples and what a model is shown of their clips, in any order."""

    @property
    def path(self) -> Path:
        """Where they are."""

    @property
    def fingerprint(self) -> str:
        """A hash of what is asked and answered, in its order."""

    @property
    def style(self) -> str:
        """How their reasoning is worded, where they have any."""

    @property
    def dropped(self) -> Sequence[DroppedLine]:
        """Lines that give no sample."""

    def __len__(self) -> int: ...

    def address(self, i: int) -> Address:
        """Return the address of one sample, without reading the rest of it."""

    def sample(self, i: int) -> Sample: ...

    def frames_shown(self, i: int) -> Clips:
        """Return the frames that a model is shown of every medium, frames_THWC uint8 RGB each.

        Raises:
            SampleRejected: the clip or video cannot be decoded.
        """


def are_own_lines(path: Path) -> bool:
    """Return whether a path is of a user's lines, there or not, and of no dataset."""
    return path.suffix.lower() in SUFFIXES or path.is_file()


def open_samples(path: Path, videos: VideoReading) -> Samples:
    """Open a folder made by generate, or a file of lines in any form of ``own_data.forms``.

    Args:
        videos: how the videos of a user's lines are read.

    Raises:
        UserError: it is neither, it cannot be read, or no line can be used.
    """
    if are_own_lines(path):
        return VideoQa.open(VideoQaSettings(file=path, **dict(videos)))
    return Dataset.open(path)


def frames_needed(samples: Samples, i: int) -> Clips:
    """Return the frames of one sample that a model is shown, where no other sample can take its place.

    Raises:
        UserError: the clip or video cannot be decoded.
    """
    try:
        return samples.frames_shown(i)
    except SampleRejected as error:
        raise refusal(error, "`temporay lint` lists every fault of a dataset; restore it, or leave it out") from error


def check_dropped(path: Path, num_samples: int, dropped: Sequence[DroppedLine], max_dropped_share: float) -> None:
    """Refuse own data of which too much cannot be used.

    Raises:
        UserError: more lines than ``max_dropped_share`` of all give no sample.
    """
    num_lines = num_samples + len(dropped)
    if len(dropped) > max_dropped_share * num_lines:
        raise UserError(
            f"{len(dropped)} of {num_lines} lines of {path} cannot be used, and max_dropped_share is "
            f"{max_dropped_share:g} ({named(dropped)}); repair them, or raise the share"
        )
