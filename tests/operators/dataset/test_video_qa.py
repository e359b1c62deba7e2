from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from temporay.operators.dataset.video_qa import VideoQa, VideoQaSettings
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.clip import Codec, encode

from tests.odd_videos import write_video

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
    clip, (frames_THWC,) = data.sample(0).clip, data.frames_shown(0)
    assert frames_THWC.shape == (4, 48, 64, 3) == clip.shape
    assert clip.shown is not None and clip.shown.indices == (200, 700, 1200, 1700) and clip.fps == 1000.0
    assert clip.num_frames == 2000  # ms
    assert np.abs(frames_THWC.mean(axis=(1, 2, 3)) - 10 * np.array([2, 7, 12, 17])).max() < 4


def test_long_videos_give_the_most_frames_and_large_ones_are_scaled(folder: Path) -> None:
    data = opened(folder, plain(), fps=10.0, max_frames=5, max_side=32)
    clip, (frames_THWC,) = data.sample(0).clip, data.frames_shown(0)
    assert frames_THWC.shape == (5, 24, 32, 3) == clip.shape
    assert clip.num_frames == 2000  # as long as the video, whatever is left out


def test_a_line_may_be_about_a_part_of_its_video(folder: Path) -> None:
    data = opened(folder, plain(start_s=1.0), plain(start_s=0, end_s=1), plain(), fps=4.0)
    starts = [data.sample(i).clip.shown.indices[0] for i in range(3)]  # type: ignore[union-attr]
    assert starts == [1100, 100, 100] and [data.sample(i).clip.num_shown for i in range(3)] == [4, 4, 8]
    assert data.frames_shown(0)[0][0].mean() > data.frames_shown(1)[0][-1].mean()


@pytest.mark.parametrize(
    "window",
    [
        {"start_s": -1},
        {"end_s": 0},
        {"start_s": 1, "end_s": 1},
        {"start_s": "1"},
        {"start_s": 2.5},
        {"end_s": True},
        {"start_s": 1, "end_s": 2.2},  # of a video of 2 s
        {"start": 0.5, "end": 1},  # of seconds or of frames
    ],
)
def test_a_part_that_a_video_does_not_have_is_no_line(folder: Path, window: dict[str, object]) -> None:
    (dropped,) = opened(folder, plain(), plain(**window)).dropped
    assert dropped.reason == "bad_window"


def test_a_part_may_end_one_frame_after_its_video(folder: Path) -> None:
    data = opened(folder, plain(start_s=1.0, end_s=2.1), fps=4.0)
    assert not data.dropped and data.sample(0).clip.shown.indices == (1100, 1300, 1600, 1800)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("span", "taken"), [([0.5, 1.5], True), ([0.5, 2.9], True), ([1, 30], False), ([10, 70], False)]
)
def test_a_span_must_be_in_its_video(folder: Path, span: list[float], taken: bool) -> None:
    line = {"video": plain()["video"], "question": "When does it get light?", "answer": span}
    data = opened(folder, plain(), line)
    assert (len(data) == 2) == taken and [one.reason for one in data.dropped] == ([] if taken else ["bad_answer"])


def test_a_video_that_is_exchanged_is_not_taken_for_the_old_one(folder: Path) -> None:
    data = opened(folder, plain())
    frames_THWC = np.zeros((60, 48, 64, 3), np.uint8)
    (folder / "a.mp4").write_bytes(encode(frames_THWC, FPS, Codec()).data)
    with pytest.raises(SampleRejected, match=r"video_changed: .*a\.mp4"):
        data.frames_shown(0)


def test_a_shape_that_no_processor_takes_is_no_line(folder: Path) -> None:
    write_video(folder / "strip.mp4", size=(900, 4))
    write_video(folder / "flat.mp4", size=(400, 4))
    data = opened(folder, plain(video="strip.mp4"), plain(video="flat.mp4"))
    assert [(line.line, line.reason) for line in data.dropped] == [(1, "video_too_narrow")]
    assert "strip.mp4: 900 x 4 px" in data.dropped[0].detail and data.frames_shown(0)[0].shape == (4, 4, 400, 3)


@pytest.mark.parametrize("video", ["videos\\a.mp4", "file://{folder}/videos/a%20b.mp4", ".\\videos\\a b.mp4"])
def test_paths_of_windows_and_of_addresses_lead_to_their_files(folder: Path, video: str) -> None:
    (folder / "videos").mkdir()
    for name in ("a.mp4", "a b.mp4"):
        (folder / "videos" / name).write_bytes((folder / "a.mp4").read_bytes())
    assert len(opened(folder, plain(video=video.format(folder=folder)))) == 1
    kept = folder / "videos\\a.mp4"  # which is a name of a file here
    kept.write_bytes(b"")
    data = opened(folder, plain(), plain(video="videos\\a.mp4"))
    assert [one.reason for one in data.dropped] == ["video_undecodable"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": 10**400, "options": None}, "bad_answer"),
        ({"start_s": 10**400}, "bad_window"),
        ({"end_s": 1e300}, "bad_window"),
        ({"video": "a" * 300 + ".mp4"}, "bad_video"),
        ({"video": "a\0.mp4"}, "bad_video"),
        ({"answer": None, "answer_index": 0.5}, "bad_answer"),
        ({"answer": None, "answer_index": 1.0}, ""),  # as tables with gaps keep whole numbers
    ],
)
def test_numbers_and_names_that_nothing_can_have_are_no_line(
    folder: Path, changes: dict[str, object], reason: str
) -> None:
    line = {name: value for name, value in plain(**changes).items() if value is not None}
    data = opened(folder, plain(question="First?"), line)
    assert [one.reason for one in data.dropped] == ([reason] if reason else [])
    if not reason:
        assert data.sample(1).question.answer_index == 1


@pytest.mark.parametrize("video", [{"bytes": b"xx", "path": "a.mp4"}, b"xx"])
def test_bytes_in_a_line_are_not_taken_for_a_file_of_that_name(folder: Path, video: object) -> None:
    columns = {name: [value] for name, value in plain(video=video).items()}
    pq.write_table(pa.table(columns), folder / "a.parquet")
    with pytest.raises(UserError, match=r"video_in_line, .* write them to a file and give its path"):
        VideoQa.open(VideoQaSettings(file=folder / "a.parquet"))


def test_a_missing_video_is_named(folder: Path) -> None:
    data = opened(folder, plain(video=str(folder / "a.mp4")), max_frames=6)
    (folder / "a.mp4").write_bytes(b"")
    with pytest.raises(SampleRejected, match="video_undecodable"):
        data.frames_shown(0)
