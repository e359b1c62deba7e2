"""A folder of pictures is a video at the rate that is said of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.videos.reading import WHOLE, VideoReading, Window
from temporay.operators.videos.sampled_video import SampledVideo

from tests.odd_videos import drawn, numbers


def write_pictures(folder: Path, num_pictures: int = 12) -> Path:
    folder.mkdir()
    for n in range(num_pictures):
        cv2.imwrite(str(folder / f"{n:05d}.png"), drawn(n, 64, 48))
    (folder / "notes.txt").write_text("no picture")
    return folder


def video(folder: Path, window: Window = WHOLE, fps: float = 3.0, **reading: object) -> SampledVideo:
    return SampledVideo(path=folder, reading=VideoReading.model_validate(reading), window=window, folder_fps=fps)


def test_pictures_are_frames_at_the_stated_rate(tmp_path: Path) -> None:
    shown = video(write_pictures(tmp_path / "frames"), fps=3.0, rule="count", count=4)
    taken = shown.taken()
    assert (taken.width, taken.height) == (64, 48) and shown.header().duration_s == 4.0
    assert numbers(shown.frames(taken.shown)) == [1, 4, 7, 10]
    assert taken.shown.indices == (333, 1333, 2333, 3333)


def test_a_window_and_a_size_hold_for_pictures_too(tmp_path: Path) -> None:
    shown = video(
        write_pictures(tmp_path / "frames"), Window(start_s=2.0, end_s=3.0), rule="count", count=3, max_side=32
    )
    frames_THWC = shown.frames(shown.taken().shown)
    assert frames_THWC.shape == (3, 24, 32, 3)
    assert numbers(frames_THWC) == [6, 7, 8]


def test_colors_are_red_green_blue(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", 2)
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 200  # OpenCV writes blue, green, red
    for n in range(2):
        cv2.imwrite(str(folder / f"{n:05d}.png"), red)
    shown = video(folder)
    assert shown.frames(shown.taken().shown)[0, 30, 30].tolist() == [200, 0, 0]


def test_what_is_no_folder_of_pictures_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SampleRejected, match=r"video_undecodable: .*empty has no pictures \("):
        video(tmp_path / "empty").taken()
    with pytest.raises(SampleRejected, match=r"video_missing: .*nowhere is no folder"):
        video(tmp_path / "nowhere").taken()
    broken = write_pictures(tmp_path / "broken")
    shown = video(broken)
    taken = shown.taken()
    for picture in broken.glob("*.png"):
        picture.write_bytes(b"no picture")
    with pytest.raises(SampleRejected, match=r"00000\.png is no picture"):
        shown.frames(taken.shown)
