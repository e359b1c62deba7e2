"""Kept frames: the same as decoded ones, of the same file only, within a size, shared by processes."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import Frames
from temporay.operators.videos import sampled_video
from temporay.operators.videos.frame_cache import ABANDONED_S, FrameCache
from temporay.operators.videos.reading import VideoReading, Window
from temporay.operators.videos.sampled_video import SampledVideo

from tests.odd_videos import write_video


def clip(level: int) -> Frames:
    return np.full((2, 10, 10, 3), level, np.uint8)


def kept(cache: FrameCache, video: Path, level: int) -> int:
    """Return the level of the frames that a cache gives for a video, which would be decoded as ``level``."""
    return int(cache.frames(video, (), lambda: clip(level))[0, 0, 0, 0])


@pytest.fixture
def video(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").write_bytes(b"a")
    return tmp_path / "a.mp4"


def test_frames_are_decoded_once_and_again_when_the_file_or_the_sampling_changes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    reading = VideoReading(cache=tmp_path / "cache")
    with patch.object(sampled_video, "frames_of", side_effect=sampled_video.frames_of) as decoded:
        for changed in ({}, {"fps": 4.0}, {"max_side": 32}, {"cache": None}):
            one = SampledVideo(path=path, reading=reading.model_copy(update=changed))
            first, again = one.frames(one.taken().shown), one.frames(one.taken().shown)
            assert np.array_equal(first, again)
        assert decoded.call_count == 5
        part = SampledVideo(path=path, reading=reading, window=Window(end_s=1.0))
        assert len(part.frames(part.taken().shown)) == 2 and decoded.call_count == 6
        write_video(path, 40)
        longer = SampledVideo(path=path, reading=reading)
        assert len(longer.frames(longer.taken().shown)) == 8 and decoded.call_count == 7
    path.unlink()
    with pytest.raises(SampleRejected, match="video_missing"):
        longer.frames(part.taken().shown)


def test_what_was_read_longest_ago_goes_first(tmp_path: Path, video: Path) -> None:
    cache = FrameCache.open(tmp_path / "cache", 3 * 800)
    others = [tmp_path / f"{n}.mp4" for n in range(4)]
    for n, other in enumerate(others):
        other.write_bytes(b"x")
        if n < 3:
            kept(cache, other, n)
    for age, file in enumerate(
        sorted(cache.folder.iterdir(), key=lambda file: np.load(file)[0, 0, 0, 0], reverse=True)
    ):
        os.utime(file, (1000 - age, 1000 - age))  # the first was kept first
    assert kept(cache, others[0], 9) == 0  # and is read now
    assert kept(cache, others[3], 3) == 3
    assert [kept(cache, other, 9) for other in (others[0], others[2], others[3])] == [0, 2, 3]
    assert kept(cache, others[1], 9) == 9


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path, video: Path) -> None:
    cache = FrameCache.open(tmp_path / "cache", 500)
    assert kept(cache, video, 1) == 1 and kept(cache, video, 2) == 2


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text", "cut"])
def test_a_damaged_file_is_decoded_again(tmp_path: Path, video: Path, content: bytes | str) -> None:
    cache = FrameCache.open(tmp_path / "cache", 10_000)
    kept(cache, video, 1)
    (file,) = cache.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-1] if isinstance(content, str) else content)
    assert kept(cache, video, 2) == 2 and kept(cache, video, 3) == 2


def test_what_a_killed_process_leaves_is_removed(tmp_path: Path, video: Path) -> None:
    cache = FrameCache.open(tmp_path / "cache", 10_000)
    old, new = cache.folder / "old.tmp", cache.folder / "new.tmp"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (new.stat().st_mtime - 2 * ABANDONED_S,) * 2)
    kept(cache, video, 1)
    assert not old.exists() and new.exists()


def test_a_full_disk_is_said_and_ends_nothing(tmp_path: Path, video: Path) -> None:
    cache = FrameCache.open(tmp_path / "cache", 10_000)
    with (
        patch.object(np, "save", side_effect=OSError(28, "No space left on device")),
        pytest.warns(RuntimeWarning, match=r"cannot be kept in .*No space left"),
    ):
        assert kept(cache, video, 1) == 1
    assert not list(cache.folder.iterdir())


def test_a_folder_that_cannot_be_made_is_named(video: Path) -> None:
    with pytest.raises(UserError, match="cannot make the cache"):
        FrameCache.open(video / "cache", 1)


def read_many(folder: Path, videos: list[Path]) -> int:
    cache = FrameCache.open(folder, 3 * 800)
    return sum(kept(cache, video, n) == n for _ in range(20) for n, video in enumerate(videos))


def test_several_processes_share_a_cache_that_is_too_small(tmp_path: Path) -> None:
    videos = [tmp_path / f"{n}.mp4" for n in range(6)]
    for video in videos:
        video.write_bytes(b"x")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert list(processes.map(read_many, [tmp_path / "cache"] * 2, [videos] * 2)) == [120, 120]
    assert sum(file.stat().st_size for file in (tmp_path / "cache").iterdir()) <= 3 * 800
