"""What every form of a line provides; its file is its registration.

A line is an object with names. A form says whether a line is one of its own, what it asks, and which files it shows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from temporay.operators.own_data.asked import Asked
from temporay.operators.own_data.media import MediumFile, files_of

Line = Mapping[str, Any]


class Form(ABC):
    """One way to write a line. Stateless."""

    expects: ClassVar[str]  # a line of this form, as an error shows it

    @abstractmethod
    def matches(self, line: Line) -> bool:
        """Return whether a line is of this form, by its names alone. No line may be of two forms."""

    @abstractmethod
    def ask(self, line: Line) -> Asked:
        """Return what a line of this form asks, with the markers of media as the line has them.

        Raises:
            SampleRejected: a part is missing or cannot be read.
        """

    def files(self, line: Line) -> list[MediumFile]:
        """Return the videos and pictures that it shows, each kind in the order of its markers.

        Raises:
            SampleRejected: one is no local file's path, or there is sound.
        """
        return files_of(line)
