from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from temporay.operators.dataset.video_qa import VideoHeader, VideoQa, VideoQaSettings, taken_frames
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.clip import Codec, encode

NUM_FRAMES, FPS = 20, 10.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a video whose n-th frame has gray level 10 n."""
    levels_T = np.arange(NUM_FRAMES, dtype=np.uint8) * 10
    frames_THWC = np.broadcast_to(levels_T[:, None, None, None], (NUM_FRAMES, 48, 64, 3)).copy()
    (tmp_path / "a.mp4").write_bytes(encode(frames_THWC, FPS, Codec(crf=8)).data)
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    return tmp_path


def plain(**changes: object) -> dict[str, object]:
    return {"video": "a.mp4", "question": "Brighter?", "options": ["yes", "no"], "answer": "A", **changes}


def opened(folder: Path, *lines: object, **settings: object) -> VideoQa:
    file = folder / "qa.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return VideoQa.open(VideoQaSettings(file=file, **settings))  # type: ignore[arg-type]


def test_a_file_without_a_usable_line_is_a_user_error(folder: Path) -> None:
    with pytest.raises(UserError, match=r"no usable line \(line 1: bad_answer"):
        opened(folder, plain(answer="Z"))
    with pytest.raises(UserError, match="it is empty"):
        opened(folder)
    with pytest.raises(UserError, match="cannot read"):
        VideoQa.open(VideoQaSettings(file=folder / "none.jsonl"))


def test_frames_are_spread_over_the_whole_video(folder: Path) -> None:
    data = opened(folder, plain(), fps=2.0)
    frames_THWC = data.frames_shown(0)
    assert frames_THWC.shape == (4, 48, 64, 3) and data.sample(0).num_frames == 4 and data.sample(0).fps == 2.0
    assert np.abs(frames_THWC.mean(axis=(1, 2, 3)) - 10 * np.array([2, 7, 12, 17])).max() < 4


def test_long_videos_give_the_most_frames_and_large_ones_are_scaled(folder: Path) -> None:
    data = opened(folder, plain(), fps=10.0, max_frames=5, max_side=32)
    sample, frames_THWC = data.sample(0), data.frames_shown(0)
    assert frames_THWC.shape == (5, 24, 32, 3) == (sample.num_frames, sample.height, sample.width, 3)
    assert sample.num_frames / sample.fps == pytest.approx(
        NUM_FRAMES / FPS
    )  # as long as the video, whatever is left out


def test_more_frames_than_there_are_repeat_some() -> None:
    stream = VideoHeader(num_frames=3, fps=10.0, width=8, height=8)
    assert taken_frames(stream, 6) == [0, 0, 1, 1, 2, 2]
    assert taken_frames(stream, 1) == [1]


def test_a_missing_video_is_named(folder: Path) -> None:
    data = opened(folder, plain(video=str(folder / "a.mp4")), max_frames=6)
    (folder / "a.mp4").write_bytes(b"")
    with pytest.raises(SampleRejected, match="video_undecodable"):
        data.frames_shown(0)
