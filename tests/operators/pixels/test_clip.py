from __future__ import annotations

import hashlib
import io
import multiprocessing

import av
import numpy as np
import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.shapes import COLORS, paint
from temporay.operators.records import Frames


def moving_circle(num_frames: int = 12, width: int = 64, height: int = 48) -> Frames:
    frames_THWC = np.zeros((num_frames, height, width, 3), np.uint8)
    for t, frame_HWC in enumerate(frames_THWC):
        paint(frame_HWC, "circle", COLORS["red"], (12.0 + 3 * t, 24.0), 10.0)
    return frames_THWC


def digest_of_clip() -> str:
    return hashlib.sha256(encode(moving_circle(), 8.0, Codec()).data).hexdigest()


def test_colors_and_positions_survive() -> None:
    frames_THWC = moving_circle()
    clip = encode(frames_THWC, 8.0, Codec(crf=18, preset="veryfast"))
    decoded = decode(clip.data)
    assert decoded.shape == frames_THWC.shape and decoded.dtype == np.uint8
    for t, frame_HWC in enumerate(decoded):
        assert np.abs(frame_HWC[24, 12 + 3 * t].astype(int) - COLORS["red"]).max() <= 15
    assert (clip.num_frames, clip.width, clip.height, clip.fps) == (12, 64, 48, 8.0)


def test_the_same_frames_give_the_same_bytes_in_another_process() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(digest_of_clip) == digest_of_clip()


def dirty_the_heap(rng: np.random.Generator) -> None:
    """Leave freed blocks with other contents, so that memory which an encoder does not initialize differs."""
    blocks = [np.full(int(rng.integers(100, 60_000)), int(rng.integers(256)), np.uint8) for _ in range(30)]
    assert len(blocks) == 30


@pytest.mark.parametrize("side", [32, 48, 80])
def test_small_clips_are_the_same_bytes_whatever_memory_holds(side: int) -> None:
    rng = np.random.default_rng(0)
    for color in COLORS.values():
        frames_THWC = np.zeros((8, side, side, 3), np.uint8)
        xy, step = rng.uniform(0, side, 2), rng.uniform(-4, 4, 2)
        for t, frame_HWC in enumerate(frames_THWC):
            x, y = (xy + t * step) % side
            paint(frame_HWC, "circle", color, (float(x), float(y)), side / 8)
        clips = set()
        for _ in range(12):
            dirty_the_heap(rng)
            clips.add(encode(frames_THWC, 8.0, Codec(crf=10, preset="veryfast")).data)
        assert len(clips) == 1


def test_the_codec_matters() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    assert len(encode(noise, 8.0, Codec(crf=10, pad_bytes=1)).data) > len(
        encode(noise, 8.0, Codec(crf=40, pad_bytes=1)).data
    )


def test_a_fractional_rate_and_a_single_frame_are_kept() -> None:
    assert decode(encode(moving_circle(1), 29.97, Codec()).data).shape[0] == 1


@pytest.mark.parametrize("shape", [(3, 47, 64, 3), (3, 48, 63, 3), (0, 48, 64, 3)])
def test_what_cannot_be_encoded_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="even"):
        encode(np.zeros(shape, np.uint8), 8.0, Codec())


def test_sizes_are_round_whatever_moves() -> None:
    """And what fills them up is skipped: the frames are those of the bare file."""
    clips = [encode(moving_circle(num_frames), 8.0, Codec(pad_bytes=8192)).data for num_frames in (3, 12)]
    assert [len(clip) % 8192 for clip in clips] == [0, 0]
    assert np.array_equal(decode(clips[1]), decode(encode(moving_circle(12), 8.0, Codec(pad_bytes=1)).data))


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"abc", lambda d: d[: len(d) // 2]])
def test_broken_clips_are_rejected(damage: object) -> None:
    data = encode(moving_circle(), 8.0, Codec(pad_bytes=1)).data
    with pytest.raises(SampleRejected) as caught:
        decode(damage(data))  # type: ignore[operator]
    assert caught.value.reason == "clip_undecodable"


def test_colors_survive_in_videos_of_another_pixel_format() -> None:
    """Users' own videos need not be yuv420p."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for frame_HWC in moving_circle(num_frames=3):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24").reformat(format="yuv444p"))
            )
        container.mux(stream.encode())
    for t, frame_HWC in enumerate(decode(file.getvalue())):
        assert np.abs(frame_HWC[24, 12 + 3 * t].astype(int) - COLORS["red"]).max() <= 15
