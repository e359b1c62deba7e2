"""What a sample shows: videos and pictures, with and without their pixels, and where they stand in its text.

    Medium (of a sample) + its frames -> ShownMedium (of a prompt)

A text has a marker wherever a medium stands in it. Media without a marker stand before the first text, in their order.
So a question about one video has no marker. Shape suffixes: T frames, H height, W width, C channels.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.markup import without_markers
from temporay.operators.sampling import ShownFrames

Frames = npt.NDArray[np.uint8]  # (T, H, W, 3), RGB
Clips = tuple[Frames, ...]  # the frames of every medium, in order; (): a blind prompt
MediumKind = Literal["video", "image"]
MARKERS: dict[MediumKind, str] = {"video": "<video>", "image": "<image>"}
KIND_OF: dict[str, MediumKind] = {marker: kind for kind, marker in MARKERS.items()}
_MARKER = re.compile("(" + "|".join(KIND_OF) + ")")


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """A video or picture of a sample, without its pixels. A picture is a video of one frame that knows no time."""

    kind: MediumKind = "video"
    width: int  # px
    height: int
    fps: float
    num_frames: int
    shown: ShownFrames | None = None  # what a model is shown of it; None: every frame

    @property
    def num_shown(self) -> int:
        """How many frames a model is shown."""
        return self.num_frames if self.shown is None else len(self.shown.indices)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape of the frames that a model is shown, (T, H, W, C)."""
        return self.num_shown, self.height, self.width, 3

    def with_frames(self, frames_THWC: Frames) -> "ShownMedium":
        """Return what a model is shown."""
        return ShownMedium(kind=self.kind, frames_THWC=frames_THWC, fps=self.fps, shown=self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMedium:
    """A video or picture as a prompt shows it."""

    kind: MediumKind = "video"
    frames_THWC: Frames
    fps: float  # of the whole video
    shown: ShownFrames | None = None  # which of its frames these are; None: all of them

    def fingerprint(self) -> str:
        """Hash everything that a model sees of it, pixels and times, to 128 bits, as hexadecimal."""
        told = (self.kind, self.frames_THWC.shape, self.fps, self.shown)
        digest = hashlib.blake2b(repr(told).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.frames_THWC).data)
        return digest.hexdigest()


def harmless(text: str) -> str:
    """Write the special tokens in a text with round brackets, but for the markers of media."""
    return "".join(part if part in KIND_OF else without_markers(part) for part in _MARKER.split(text))


def kinds_in(text: str) -> list[MediumKind]:
    """Return the kinds of the media that a text has markers of, in order."""
    return [KIND_OF[marker] for marker in _MARKER.findall(text)]


def split_at_markers(text: str) -> list[str | MediumKind]:
    """Return words and markers of a text in order: every second entry is the kind of a medium."""
    return [KIND_OF.get(part, part) for part in _MARKER.split(text)]


def without_media(text: str) -> str:
    """Return the words of a text alone."""
    return _MARKER.sub("", text)


def kinds_in_front(media: Sequence[Medium | ShownMedium], texts: Sequence[str]) -> list[MediumKind]:
    """Return the kinds of the media that stand before the first of the texts.

    Args:
        media: all that the texts show, in order.
        texts: all that is said, in order.
    """
    num_marked = sum(len(kinds_in(text)) for text in texts)
    return [medium.kind for medium in media[: len(media) - num_marked]]
