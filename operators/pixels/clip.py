"""Frames <-> mp4 bytes (h264). The same frames and codec give the same bytes in any process.

One thread: x264 output depends on the number of threads. No macroblock tree: at small widths its vectorized code reads
memory that was never written, and one clip gives other bytes now and then (seen from 32 to 96 px, presets veryfast to
medium; the two fastest presets do not use it). x264's code for SSSE3, AVX and AVX2 writes the same bytes; AVX-512 and
other architectures were not compared. Colors are converted here, by OpenCV on both ways, which
costs a fraction of swscale's time and keeps the round trip symmetric.
"""

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
from temporay.operators.errors import SampleRejected
from temporay.operators.records import Clip, Frames

MAX_FRAMES = 4096  # a clip that is read may have; a broken header must not fill the memory
FREE_BOX_HEADER = 8  # bytes: size and type
# Frames jittered one by one predict each other badly: B-frames, look-ahead, arithmetic coding and weighted prediction
# took a third of the time for 7 % of the bytes (four COCO scenes, superfast, crf 20, same PSNR).
X264 = "mbtree=0:bframes=0:rc-lookahead=0:scenecut=0:weightp=0:cabac=0"
BT601, LIMITED_RANGE = 6, 1  # what cv2's I420 conversions mean, as ffmpeg numbers them


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Settings of x264. Small shapes keep their color to within 15 levels at crf 20 and below."""

    crf: int = 20  # 0 lossless .. 51
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "medium"] = "superfast"
    keyframe_interval: int = 8  # frames
    pad_bytes: int = 16384  # a clip's size is rounded up to a multiple, so that it does not tell the motion


def encode(frames: Frames, fps: float, codec: Codec) -> Clip:
    """Encode a clip.

    Args:
        frames: uint8, (T, H, W, 3) RGB or (T, 3 H / 2, W) planes of I420; both sides even, because chroma has half
            the resolution.

    Raises:
        ValueError: a side is odd, or there is no frame.
    """
    is_planar = frames.ndim == 3
    num_frames, height, width = frames.shape[:3]
    height = height * 2 // 3 if is_planar else height
    if height % 2 or width % 2 or num_frames == 0:
        raise ValueError(f"cannot encode {num_frames} frames of {width} x {height} px: sides must be even")
    file = io.BytesIO()
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {
            "crf": str(codec.crf),
            "preset": codec.preset,
            "g": str(codec.keyframe_interval),
            "x264-params": X264,
        }
        context = stream.codec_context
        context.thread_count = 1
        context.colorspace, context.color_range = BT601, LIMITED_RANGE
        for frame in frames:
            planes = frame if is_planar else cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
    data = padded(file.getvalue(), codec.pad_bytes)
    return Clip(data=data, num_frames=num_frames, fps=fps, width=width, height=height)


def padded(mp4: bytes, multiple: int) -> bytes:
    """Fill a file up to a round size by a ``free`` box at its end, which players skip (ISO/IEC 14496-12, 8.1.2)."""
    if multiple <= 1:
        return mp4
    missing = -len(mp4) % multiple
    if 0 < missing < FREE_BOX_HEADER:  # the box itself would not fit
        missing += multiple
    return mp4 + (missing.to_bytes(4, "big") + b"free").ljust(missing, b"\0") if missing else mp4


def decode(data: bytes) -> Frames:
    """Read all frames of a clip, frames_THWC uint8 RGB.

    Raises:
        SampleRejected: ``clip_undecodable`` or ``clip_too_long``.
    """
    frames: list[Frames] = []
    try:
        with av.open(io.BytesIO(data)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                frames.append(_to_rgb(frame))
                if len(frames) > MAX_FRAMES:
                    raise SampleRejected("clip_too_long", f"over {MAX_FRAMES} frames")
    except SampleRejected:
        raise
    except Exception as error:  # of many kinds, whatever is damaged
        if isinstance(error, MemoryError) and not isinstance(error, av.error.FFmpegError):
            raise  # this process has too little; FFmpeg's own comes of sizes that no clip has
        raise SampleRejected("clip_undecodable", f"{type(error).__name__} after {len(frames)} frames") from error
    if not frames:
        raise SampleRejected("clip_undecodable", "no frame")
    return np.stack(frames)


def _to_rgb(frame: av.VideoFrame) -> Frames:
    if frame.format.name == "yuv420p" and frame.width % 2 == 0 and frame.height % 2 == 0:
        frame_HWC: Frames = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420)
    else:
        frame_HWC = frame.to_ndarray(format="rgb24")
    return frame_HWC
