"""A user's video as a sample shows it: path, settings, window → the frames taken and when they are shown → pixels."""

from dataclasses import dataclass
from pathlib import Path

from temporay.operators.errors import SampleRejected
from temporay.operators.media import Medium
from temporay.operators.records import Frames
from temporay.operators.sampling import ShownFrames
from temporay.operators.videos.decoding import frames_of
from temporay.operators.videos.frame_cache import FrameCache
from temporay.operators.videos.frame_folder import frames_in, probe_folder
from temporay.operators.videos.header import VideoHeader, probe
from temporay.operators.videos.reading import WHOLE, TakenFrames, VideoReading, Window, taken_frames

BYTES_PER_GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledVideo:
    """A file, how densely it is read, and the part of it that is shown."""

    path: Path
    reading: VideoReading
    window: Window = WHOLE
    folder_fps: float | None = None  # of a folder of pictures; None: it is a file

    def header(self) -> VideoHeader:
        """Return when which frame is shown, and its size.

        Raises:
            SampleRejected: the file is missing or cannot be decoded.
        """
        return probe(self.path) if self.folder_fps is None else probe_folder(self.path, self.folder_fps)

    def taken(self) -> TakenFrames:
        """Choose the frames by the file's header.

        Raises:
            SampleRejected: the file is missing, cannot be decoded, or is of a shape that no model takes.
        """
        try:
            return taken_frames(self.header(), self.reading, self.window)
        except SampleRejected as error:
            if str(self.path) in error.detail:
                raise
            raise SampleRejected(error.reason, f"{self.path}: {error.detail}") from error

    def frames_of(self, medium: Medium) -> Frames:
        """Return the frames of what ``taken`` gave when the sample was made. Raises as ``frames`` does."""
        assert medium.shown is not None
        return self.frames(medium.shown)

    def frames(self, told: ShownFrames) -> Frames:
        """Return the frames, decoded or from the cache: frames_THWC uint8 RGB.

        Args:
            told: the times of the frames, as they were when the sample was made.

        Raises:
            SampleRejected: the video cannot be decoded, or is another one than it was.
        """
        if self.reading.cache is None or self.folder_fps is not None:
            return self._decoded(told)
        cache = FrameCache.open(self.reading.cache, round(self.reading.cache_gb * BYTES_PER_GB))
        how = (*told.indices, self.reading.max_side)
        return cache.frames(self.path, how, lambda: self._decoded(told))

    def _decoded(self, told: ShownFrames) -> Frames:
        taken = self.taken()
        if taken.shown != told:
            raise SampleRejected("video_changed", f"{self.path} gives other frames than when it was first read")
        if self.folder_fps is not None:
            return frames_in(self.path, taken)
        return frames_of(self.path, self.header(), taken)
