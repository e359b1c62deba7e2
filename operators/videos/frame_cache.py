"""Decoded frames on disk, so that a video is decoded once and not in every epoch.

Several processes may share a folder: a file appears whole under its name, and what one removes another decodes again.
When the folder is full, what was not read for the longest time goes first.
"""

import os
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from temporay.operators.errors import UserError
from temporay.operators.records import Frames
from temporay.operators.seeding import digest

SUFFIX, UNFINISHED = ".npy", ".tmp"
ABANDONED_S = 3600.0  # after which an unfinished file is that of a process that was killed
READING_VERSION = 2  # changes whenever the same file and settings would give other frames


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCache:
    """A folder of decoded clips, and how many bytes it may hold."""

    folder: Path
    max_bytes: int

    @classmethod
    def open(cls, folder: Path, max_bytes: int) -> Self:
        """Make the folder if it is missing.

        Raises:
            UserError: it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot make the cache {folder} ({error.strerror}); give a folder you may write"
            ) from error
        return cls(folder=folder, max_bytes=max_bytes)

    def frames(self, video: Path, how: tuple[Any, ...], decode: Callable[[], Frames]) -> Frames:
        """Return the frames that were kept of a video, or decode and keep them. A changed file is another video.

        Args:
            how: all settings that decide which frames are read of a file, and their size.
        """
        try:
            stat = video.stat()
        except OSError:
            return decode()  # which says what is wrong with the file
        key = digest(READING_VERSION, str(video.absolute()), stat.st_mtime_ns, stat.st_size, *how)
        path = self.folder / f"{key:032x}{SUFFIX}"
        frames_THWC = _read(path)
        if frames_THWC is None:
            frames_THWC = decode()
            self._keep(path, frames_THWC)
        return frames_THWC

    def _keep(self, path: Path, frames_THWC: Frames) -> None:
        if frames_THWC.nbytes > self.max_bytes:
            return
        try:
            unfinished = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}{UNFINISHED}")
            try:
                with unfinished.open("wb") as file:
                    np.save(file, frames_THWC)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
            self._make_room()
        except OSError as error:
            warnings.warn(
                f"frames cannot be kept in {self.folder} ({error.strerror}); videos are decoded again each time",
                RuntimeWarning,
                stacklevel=2,
            )

    def _make_room(self) -> None:
        """Remove what was read longest ago until the rest fits, and what killed processes have left."""
        kept: list[tuple[float, int, Path]] = []
        for entry in os.scandir(self.folder):
            path = Path(entry.path)
            try:
                stat = entry.stat()
            except FileNotFoundError:  # another process has removed it
                continue
            if path.suffix == SUFFIX:
                kept.append((stat.st_mtime, stat.st_size, path))
            elif path.suffix == UNFINISHED and time.time() - stat.st_mtime > ABANDONED_S:
                path.unlink(missing_ok=True)
        num_bytes = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if num_bytes <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            num_bytes -= size


def _read(path: Path) -> Frames | None:
    """Return the frames of a file and mark it as just read. A file that is missing or damaged holds none."""
    try:
        frames_THWC: Frames = np.load(path)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None
    return frames_THWC if frames_THWC.ndim == 4 and frames_THWC.dtype == np.uint8 else None
