"""Frames at chosen places of a video: sought, decoded once in one thread, scaled, turned upright."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from temporay.operators.errors import SampleRejected
from temporay.operators.records import Frames
from temporay.operators.videos.colors import decoder_of, rgb_of
from temporay.operators.videos.faults import UNDECODABLE, blamed_on
from temporay.operators.videos.header import VideoHeader, is_usable
from temporay.operators.videos.interlacing import of_one_moment
from temporay.operators.videos.orientation import same_shape
from temporay.operators.videos.reading import TakenFrames

MIN_SOUGHT = 12  # frames; so few are decoded and passed over as fast as a seek takes


def frames_of(path: Path, header: VideoHeader, taken: TakenFrames) -> Frames:
    """Decode the frames of a video that are taken: frames_THWC uint8 RGB, upright, with square pixels.

    Raises:
        SampleRejected: ``video_undecodable`` or ``video_changes_shape``.
    """
    frames_THWC: Frames = np.empty((len(taken.places), taken.height, taken.width, 3), np.uint8)
    stored_size = header.orientation.size(taken.width, taken.height)
    with Player(path, header) as player:
        for t, place in enumerate(taken.places):
            frame = player.frame_at(place)
            _check_shape(path, header, frame, taken.times_s[t])
            with blamed_on(path):
                frame_HWC = rgb_of(frame, stored_size)
            frames_THWC[t] = header.orientation.upright(frame_HWC)
    return frames_THWC


def _check_shape(path: Path, header: VideoHeader, frame: Any, time_s: float) -> None:
    """Refuse a frame that would have to be squeezed, because its video changes its shape."""
    size = (frame.width, frame.height)
    if header.stored_size is not None and not same_shape(size, header.stored_size):
        begun = f"begins with {header.stored_size[0]} x {header.stored_size[1]} px and has {size[0]} x {size[1]}"
        raise SampleRejected("video_changes_shape", f"{path} {begun} at {time_s:.1f} s; cut it there")


class Player:
    """An open video that is watched forward, with leaps to key frames where that saves decoding."""

    _on_screen: tuple[int, Any]  # place and frame
    _ahead: tuple[int, Any] | None  # what comes next on screen; None: nothing does

    def __init__(self, path: Path, header: VideoHeader) -> None:
        self._path, self._header = path, header
        self._may_seek = bool(len(header.key_index_K))
        self._last = -1  # the place of the frame that was returned last
        self._weaves = False  # whether frames of two moments are made into ones of one
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def frame_at(self, place: int) -> Any:
        """Return the frame that is on screen at the time of a place, which must be after the last one.

        A packet may bring no picture of its own, such as a hidden frame of VP8 or the second field of an interlaced
        frame. The one before it is on screen then.

        Raises:
            SampleRejected: the video cannot be decoded there.
        """
        found, frame = self._shown_at(place)
        if found < place - 1 or found <= self._last:
            time_s = self._header.times_s[place]
            raise SampleRejected(UNDECODABLE, f"{self._path}: no frame can be decoded at {time_s:.3f} s")
        self._last = found
        return frame

    def _shown_at(self, place: int) -> tuple[int, Any]:
        """Return the frame on screen at a place, and its own place."""
        key = self._key_to_leap_to(place)
        if key is not None and not self._leap(key, place):
            self._may_seek = False
            self._open_again()
        while self._ahead is not None and self._ahead[0] <= place:
            self._on_screen, self._ahead = self._ahead, next(self._frames, None)
        frame = self._on_screen[1]
        if frame is not None and frame.interlaced_frame and not self._weaves:
            self._weaves = True
            self._open_again()
            return self._shown_at(place)
        return self._on_screen

    def _open_again(self) -> None:
        self._container.close()
        self._open()

    def _open(self) -> None:
        with blamed_on(self._path):
            self._container: Any = av.open(str(self._path))
            self._stream = self._container.streams[self._header.stream]
            self._decoder = decoder_of(self._stream)
        self._watch()

    def _key_to_leap_to(self, place: int) -> int | None:
        """Return the last key frame before a place, unless decoding is about to come there anyway."""
        header = self._header
        place = max(0, place - 1) if self._weaves else place  # such a frame needs the one before it
        key = int(np.searchsorted(header.key_pts_K, header.pts_N[place], side="right")) - 1
        if not self._may_seek or self._ahead is None or key < 0:
            return None
        leap = int(np.searchsorted(header.pts_N, header.key_pts_K[key])) - self._ahead[0]
        return key if leap >= MIN_SOUGHT else None

    def _leap(self, key: int, place: int) -> bool:
        """Decode from a key frame on; return whether that led before the place and not behind it."""
        with blamed_on(self._path):
            self._container.seek(int(self._header.key_index_K[key]), stream=self._stream, backward=True)
            self._decoder.flush_buffers()
        self._watch()
        return self._ahead is not None and self._ahead[0] <= place

    def _watch(self) -> None:
        self._frames = self._decoded()
        self._on_screen = (-1, None)
        self._ahead = next(self._frames, None)

    def _decoded(self) -> Iterator[tuple[int, Any]]:
        """Yield the frames from here on, each with its place."""
        pts_N, last = self._header.pts_N, None
        frames = self._frames_in(self._container.demux(self._stream))
        for n, frame in enumerate(self._of_one_moment(frames) if self._weaves else frames):
            if self._header.clock != "frames":
                yield n, frame
            elif frame.pts is not None:
                if last is not None and frame.pts < last:
                    raise SampleRejected(UNDECODABLE, f"{self._path}: the times of its frames go back")
                last = frame.pts
                yield int(np.searchsorted(pts_N, last, side="right")) - 1, frame

    def _frames_in(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Yield the frames of all packets but damaged ones, such as the last of a file that was cut off."""
        while True:
            with blamed_on(self._path):
                packet = next(packets, None)
                is_end = packet is not None and packet.dts is None and not packet.size  # asks for what is left
                wanted = packet is not None and (is_end or is_usable(packet))
                frames = self._decoder.decode(packet) if wanted else []
            yield from frames
            if packet is None:
                return

    def _of_one_moment(self, frames: Iterator[Any]) -> Iterator[Any]:
        """Yield frames without the second moment of each; what the filter cannot take is the file's fault."""
        woven = of_one_moment(frames)
        while True:
            with blamed_on(self._path):
                frame = next(woven, None)
            if frame is None:
                return
            yield frame
