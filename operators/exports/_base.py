"""What every export format provides; its file is its registration.

Exported -> rows in the trainer's own form -> files beside the folder of clips
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from temporay.operators.dataset.rows import plain_messages
from temporay.operators.records import Sample

Stage = Literal["sft", "rl"]
CLIPS_FOLDER = "clips"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A sample whose clip is a file."""

    sample: Sample
    clip: str  # path of the mp4, relative to the export's folder
    instruction: str  # how to answer, as the dataset's recipe has it

    @property
    def messages(self) -> list[dict[str, str]]:
        """The user's turn, which begins with ``<video>``, and the assistant's."""
        return plain_messages(self.sample, instruction=self.instruction)


class ExportFormat(ABC):
    """One trainer's form of a dataset. Stateless."""

    stages: ClassVar[tuple[Stage, ...]]  # what the trainer can do with it; the first is the default

    @abstractmethod
    def write(self, exported: Sequence[Exported], folder: Path, *, stage: Stage, root: Path) -> list[Path]:
        """Writes all rows.

        Args:
            folder: where the files go and ``CLIPS_FOLDER`` lies.
            root: where ``folder`` lies when it is read; formats that know only absolute paths begin them with it.

        Returns:
            the files, the one that a trainer is given first.
        """
