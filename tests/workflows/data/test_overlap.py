"""Training data that holds a benchmark is told: by names, questions and frames."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from temporay.operators.errors import UserError
from temporay.operators.records import Frames
from temporay.workflows.data.overlap import OverlapConfig, run

from tests.odd_videos import noisy, write_video
from tests.operators.benchmarks import layouts
from tests.own_lines import LINE, write_lines
from tests.small_data import write_dataset


def later_noise(clip: int, n: int, width: int, height: int) -> Frames:
    return noisy(n + 40 * clip, width, height)


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """TVBench with three videos of noise in one task; those of the others are missing."""
    folder = tmp_path / "tvbench"
    layouts.tvbench(folder)
    for n in range(3):
        video = folder / f"video/object_count/v{n}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        write_video(video, num_frames=10, draw=partial(later_noise, n))
    return folder


def test_a_benchmark_in_own_data_is_found_by_all_three(
    benchmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = {"video": "v1.mp4", "question": "Which ball?", "options": ["a", "b"], "answer": "A"}
    asked = {**LINE, "question": "where does ball 2 go", "options": ["To the right.", "to the left"], "answer": "A"}
    file = write_lines(tmp_path / "train" / "qa.jsonl", copied, asked)
    (tmp_path / "train" / "v1.mp4").write_bytes((benchmark / "video/object_count/v1.mp4").read_bytes())
    out = tmp_path / "overlap.jsonl"
    found = run(OverlapConfig(data=file, tested=benchmark, benchmark="tvbench", out=out))
    by_kind: dict[str, set[str]] = {}
    for one in found:
        by_kind.setdefault(one.kind, set()).add(one.tested)
    assert {len(by_kind[kind]) for kind in ("video name", "question")} == {10}  # v1 and ball 2 of every task
    assert len(by_kind["frames"]) == 1 and "object_count" in next(iter(by_kind["frames"]))
    assert len(out.read_text().splitlines()) == len(found)
    assert json.loads(out.read_text().splitlines()[0]).keys() == {"tested", "trained", "kind"}
    printed = capsys.readouterr().out
    assert "frames: 1 of 30 tested questions (" in printed and "27 videos were not compared: video_missing" in printed


def test_two_splits_of_a_dataset_share_no_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = write_dataset(tmp_path / "train", num_samples=6)
    test = write_dataset(tmp_path / "test", num_samples=6, split="test")
    found = run(OverlapConfig(data=train, tested=test, frames=False))
    assert {one.kind for one in found} <= {"question"}
    assert "frames: 0 of 6" in capsys.readouterr().out
    assert {one.tested for one in run(OverlapConfig(data=train, tested=train, frames=False))} == {
        one.trained for one in run(OverlapConfig(data=train, tested=train, frames=False))
    }


def test_what_cannot_be_read_is_said(tmp_path: Path, benchmark: Path) -> None:
    with pytest.raises(UserError, match="nowhere is not a dataset"):
        run(OverlapConfig(data=tmp_path / "nowhere", tested=benchmark, benchmark="tvbench"))
    train = write_dataset(tmp_path / "train", num_samples=2)
    with pytest.raises(UserError, match="unknown benchmark 'tvbank'; did you mean 'tvbench'"):
        run(OverlapConfig(data=train, tested=benchmark, benchmark="tvbank"))
