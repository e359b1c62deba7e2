"""High dynamic range and transparency, as an ordinary screen shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import ColorTrc
from temporay.operators.records import Frames
from temporay.operators.videos.colors import hlg_light, pq_codes, pq_light
from temporay.operators.videos.decoding import frames_of
from temporay.operators.videos.header import probe
from temporay.operators.videos.reading import VideoReading, taken_frames

from tests.odd_videos import write_video

NITS = (0.0, 1.0, 10.0, 100.0, 203.0, 1000.0)
COLUMN = 16  # px


def shown(path: Path) -> Frames:
    header = probe(path)
    return frames_of(path, header, taken_frames(header, VideoReading()))


def pq_code(nits: float) -> float:
    """Return the code of a light, from 0 to 1 (SMPTE ST 2084)."""
    root = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375)


def hlg_code(nits: float) -> float:
    """Return the code of a gray light on a screen of 1,000 nits, from 0 to 1 (ARIB STD-B67, system gamma 1.2)."""
    scene = (nits / 1000) ** (1 / 1.2)
    return float(np.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


def columns(codes: list[float]) -> Any:
    def draw(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
        levels = np.repeat(np.round(255 * np.array(codes)), COLUMN).astype(np.uint8)
        return np.broadcast_to(levels[None, :, None], (height, width, 3)).copy()

    return draw


def test_codes_become_the_light_that_the_standards_say() -> None:
    """ITU-R BT.2408, table 1: the codes of gray and of white paper, at 26 and 203 nits."""
    assert pq_light(np.array([0.58, 0.38])) == pytest.approx([203, 26], rel=0.03)
    assert hlg_light(np.array([[0.75] * 3, [0.38] * 3])).mean(axis=-1) == pytest.approx([203, 26], rel=0.03)
    assert pq_codes(np.array(NITS[1:])) == pytest.approx([pq_code(one) for one in NITS[1:]])


@pytest.mark.parametrize(
    ("code", "light"), [(pq_code, ColorTrc.SMPTE2084), (hlg_code, ColorTrc.ARIB_STD_B67)], ids=["PQ", "HLG"]
)
def test_high_dynamic_range_is_toned_down(tmp_path: Path, code: Any, light: ColorTrc) -> None:
    given: Any = {"draw": columns([code(one) for one in NITS]), "size": (COLUMN * len(NITS), 48)}
    given |= {"codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": "log-level=none:qp=4"}}
    raw = shown(write_video(tmp_path / "raw.mp4", 10, **given))[0, 24, COLUMN // 2 :: COLUMN].mean(axis=-1)
    frame_HWC = shown(write_video(tmp_path / "toned.mp4", 10, light=light, **given))[0]
    toned = frame_HWC[24, COLUMN // 2 :: COLUMN].astype(int)
    assert np.ptp(toned, axis=-1).max() <= 3, "gray stays gray"
    levels = toned.mean(axis=-1)
    assert np.abs(levels[:4] - ordinary_codes(NITS[:4])).max() <= 4, "what an ordinary screen can show stays"
    assert 215 <= levels[4] <= 240 and levels[5] > 250, "white paper is nearly white, and what shines is white"
    assert raw[1] - levels[1] > 8 and 255 - raw[4] > 50, "which the codes themselves do not show"


def ordinary_codes(nits: tuple[float, ...]) -> Any:
    """Return the levels of light on a screen whose white has 203 nits (sRGB)."""
    light = np.array(nits) / 203
    return 255 * np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def half_hidden(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    frame_HWC = np.full((height, width, 4), 200, np.uint8)
    frame_HWC[:, : width // 2, 3] = 255
    frame_HWC[:, width // 2 :, 3] = 0
    frame_HWC[: height // 2, : width // 2, 3] = 128
    return frame_HWC


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "png", "rgba"),
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_what_is_transparent_is_black(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    path = write_video(tmp_path / name, 10, draw=half_hidden, codec=codec, pixels=pixels)
    frame_HWC = shown(path)[0].astype(int)
    assert np.abs(frame_HWC[36, 16] - 200).max() <= 3
    assert np.abs(frame_HWC[12, 16] - 100).max() <= 3
    assert frame_HWC[12, 48].max() <= 3 and frame_HWC[36, 48].max() <= 3


def test_frames_with_transparency_are_sought(tmp_path: Path) -> None:
    def fading(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
        return np.full((height, width, 4), (200, 200, 200, 4 * n), np.uint8)

    path = write_video(tmp_path / "a.webm", 60, draw=fading, codec="libvpx-vp9", pixels="yuva420p", options={"g": "10"})
    header = probe(path)
    taken = taken_frames(header, VideoReading(rule="count", count=3))
    levels = frames_of(path, header, taken).mean(axis=(1, 2, 3))
    assert np.abs(levels - [200 * 4 * n / 255 for n in taken.places]).max() < 3
