"""What every export provides: a dataset written for another trainer. Its file is its registration.

ExportedSample -> rows in the trainer's own form -> files beside the folder of clips
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from temporay.operators.dataset.rows import plain_messages
from temporay.operators.records import Sample
from temporay.operators.sampling import FrameSampling

Purpose = Literal["sft", "rl"]
CLIPS_FOLDER = "clips"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSample:
    """A sample whose clip is a file."""

    sample: Sample
    clip: str  # path of the mp4, relative to the export's folder
    instruction: str  # how to answer, from the dataset's recipe
    sampling: FrameSampling  # how a model is to be shown the clips, from the dataset's recipe

    @property
    def rate(self) -> float:
        """How many frames a second a model is shown."""
        return float(min(self.sample.clip.fps, self.sampling.fps or self.sample.clip.fps))

    @property
    def most_frames(self) -> int:
        """The most frames of the clip that a model is shown."""
        return min(self.sample.clip.num_frames, self.sampling.max_frames)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The user's turn, which begins with ``<video>``, and the assistant's."""
        return plain_messages(self.sample, instruction=self.instruction)


def rate_and_most(exported: Sequence[ExportedSample]) -> tuple[float, int]:
    """Return one rate and one number of frames for all samples, for trainers that do not take them row by row."""
    return max((one.rate for one in exported), default=1.0), max((one.most_frames for one in exported), default=1)


class ExportFormat(ABC):
    """A dataset in the form of one trainer. Stateless."""

    purposes: ClassVar[tuple[Purpose, ...]]  # what the trainer can use it for; the first is the default

    @abstractmethod
    def write(self, exported: Sequence[ExportedSample], folder: Path, *, purpose: Purpose, root: Path) -> list[Path]:
        """Write all rows.

        Args:
            folder: where the files are written, beside ``CLIPS_FOLDER``.
            root: where ``folder`` lies when it is read; absolute paths begin with it.

        Returns:
            the files; a trainer is given the first one.
        """
