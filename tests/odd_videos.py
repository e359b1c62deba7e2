"""Small videos of every kind that people have, drawn frame by frame, and boxes of their files patched.

The n-th frame is gray of level 5 n, with a white block in its top left corner, so that a frame tells which one it is
and which way up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, ColorTrc

LEVEL = 5  # from one frame to the next
BLOCK = 16  # px of the white block


def drawn(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw the n-th frame."""
    frame_HWC = np.full((height, width, 3), LEVEL * n % 250, np.uint8)
    frame_HWC[:BLOCK, :BLOCK] = 255
    return frame_HWC


def numbers(frames_THWC: npt.NDArray[np.uint8]) -> list[int]:
    """Return which frame each one is, by the level of its middle."""
    _, height, width, _ = frames_THWC.shape
    middle = frames_THWC[:, height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    return [round(float(level) / LEVEL) for level in middle.mean(axis=(1, 2, 3))]


def noisy(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw the n-th frame of a noise that moves, of which every frame is decoded with the help of others."""
    coarse = np.random.default_rng(7).integers(0, 255, (12, 16, 3), np.uint8)
    scene_HWC = np.kron(np.roll(coarse, n // 3, axis=1), np.ones((height // 12, width // 16, 1), np.uint8))
    return np.roll(scene_HWC, n % 3, axis=0)


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """What a video shows, how it is encoded, and what else is in its file."""

    draw: Callable[[int, int, int], npt.NDArray[np.uint8]] = drawn  # number, width, height → frame_HWC, RGB or RGBA
    fps: int = 10
    times_ms: Sequence[int] | None = None  # when each frame is shown; None: ``fps`` frames per second
    size: tuple[int, int] = (64, 48)
    codec: str = "libx264"
    pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)  # of the encoder
    container: Mapping[str, str] = field(default_factory=dict)  # of the container
    kind: str | None = None  # of the container; None: what the name ends in
    aspect: Fraction | None = None  # of a pixel, width by height
    light: ColorTrc | None = None  # how codes mean light; None: the file does not say
    beside: Sequence[Literal["sound", "cover", "picture"]] = ()  # before the video, but cover art, which is after it


def write_video(path: Path, num_frames: int = 20, **options: Any) -> Path:
    """Write a video; return its path. ``options`` are fields of ``VideoOptions``."""
    given = VideoOptions(**options)
    unit = Fraction(1, given.fps) if given.times_ms is None else Fraction(1, 1000)
    with av.open(str(path), "w", format=given.kind, options=dict(given.container)) as file:
        beside: list[Any] = [_stream_beside(file, name) for name in ("sound", "picture") if name in given.beside]
        stream = _video_stream(file, given, unit)
        beside += [_stream_beside(file, "cover")] if "cover" in given.beside else []
        for other in beside:
            file.mux([*other.encode(_silence() if other.type == "audio" else _picture()), *other.encode()])
        for n in range(num_frames):
            time = n if given.times_ms is None else given.times_ms[n]
            file.mux(stream.encode(_frame(given.draw(n, *given.size), time, unit)))
        file.mux(stream.encode())
    return path


def _video_stream(file: Any, given: VideoOptions, unit: Fraction) -> Any:
    stream = file.add_stream(given.codec, rate=given.fps)
    stream.width, stream.height, stream.pix_fmt = *given.size, given.pixels
    stream.options = {**({"crf": "8"} if given.codec == "libx264" else {}), **given.options}
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = unit
    if given.aspect is not None:
        stream.codec_context.sample_aspect_ratio = given.aspect
    if given.light is not None:
        stream.codec_context.color_trc = given.light
        stream.codec_context.color_primaries = ColorPrimaries.BT2020
    return stream


def _stream_beside(file: Any, name: str) -> Any:
    if name == "sound":
        return file.add_stream("aac", rate=16_000)
    stream = file.add_stream("png" if name == "cover" else "mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 400, 400, "rgb24" if name == "cover" else "yuvj420p"
    if name == "cover":
        stream.disposition = av.stream.Disposition.attached_pic
    return stream


def _frame(frame_HWC: npt.NDArray[np.uint8], time: int, unit: Fraction) -> Any:
    frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24" if frame_HWC.shape[-1] == 3 else "rgba")
    frame.pts, frame.time_base = time, unit
    return frame


def _picture() -> Any:
    """Return a still picture that is larger than the video."""
    return _frame(np.full((400, 400, 3), 90, np.uint8), 0, Fraction(1))


def _silence() -> Any:
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
    sound.rate = 16_000
    return sound


def turn(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Patch the display matrix: 36 bytes in the box ``tkhd``, from byte 40 of its payload on."""
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    return _patch(path, b"tkhd", 4 + 40, struct.pack(">9i", *matrix))


def trim(path: Path, start_s: float, seconds: float) -> Path:
    """Patch the only entry of the edit list, as a lossless trim does: which part of the video is shown."""
    data = path.read_bytes()
    movie = data.index(b"mvhd") + 4 + 12
    media = data.index(b"mdhd") + 4 + 12
    (movie_scale,), (media_scale,) = struct.unpack_from(">I", data, movie), struct.unpack_from(">I", data, media)
    _, old = struct.unpack_from(">Ii", data, data.index(b"elst") + 4 + 8)  # B-frames begin after 0
    entry = struct.pack(">Ii", round(seconds * movie_scale), old + round(start_s * media_scale))
    return _patch(path, b"elst", 4 + 8, entry)


def _patch(path: Path, box: bytes, offset: int, content: bytes) -> Path:
    data = bytearray(path.read_bytes())
    start = data.index(box) + offset
    data[start : start + len(content)] = content
    path.write_bytes(data)
    return path
