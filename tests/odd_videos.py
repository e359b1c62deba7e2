"""Small videos of every kind that people have, drawn frame by frame, and boxes of their files patched.

The n-th frame is gray of level 5 n, with a white block in its top left corner, so that a frame tells which one it is
and which way up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

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


def write_video(
    path: Path,
    num_frames: int = 20,
    *,
    draw: Callable[[int, int, int], npt.NDArray[np.uint8]] = drawn,
    fps: int = 10,
    times_ms: Sequence[int] | None = None,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    kind: str | None = None,
    aspect: Fraction | None = None,
    audio_first: bool = False,
    cover: bool = False,
    picture_first: bool = False,
) -> Path:
    """Write a video.

    Args:
        draw: gives the n-th frame by its number, width and height, frame_HWC.
        times_ms: when each frame is shown; None: ``fps`` frames per second.
        options: of the encoder.
        container: options of the container.
        kind: of the container; None: what the name ends in.
        aspect: of a pixel, width by height.
        audio_first: whether a second of silence is the first stream.
        cover: whether there is cover art.
        picture_first: whether a still picture, larger than the video, is the first stream.
    """
    unit = Fraction(1, fps) if times_ms is None else Fraction(1, 1000)
    with av.open(str(path), "w", format=kind, options=container or {}) as file:
        sound = file.add_stream("aac", rate=16_000) if audio_first else None
        pictures = [_picture_stream(file, "mjpeg", "yuvj420p")] if picture_first else []
        stream: Any = file.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.options = {"crf": "8", **(options or {})} if codec == "libx264" else options or {}
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = unit
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if cover:
            pictures.append(_picture_stream(file, "png", "rgb24"))
            pictures[-1].disposition = av.stream.Disposition.attached_pic
        for picture in pictures:
            file.mux([*picture.encode(_frame(np.full((400, 400, 3), 90, np.uint8), 0, Fraction(1))), *picture.encode()])
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
            silence.rate = 16_000
            file.mux([*sound.encode(silence), *sound.encode()])
        for n in range(num_frames):
            file.mux(stream.encode(_frame(draw(n, *size), n if times_ms is None else times_ms[n], unit)))
        file.mux(stream.encode())
    return path


def _frame(frame_HWC: npt.NDArray[np.uint8], time: int, unit: Fraction) -> Any:
    frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")
    frame.pts, frame.time_base = time, unit
    return frame


def _picture_stream(file: Any, codec: str, pixels: str) -> Any:
    stream = file.add_stream(codec, rate=1)
    stream.width, stream.height, stream.pix_fmt = 400, 400, pixels
    return stream


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
