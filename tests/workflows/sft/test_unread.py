"""A run meets a clip or a video that cannot be read: it goes on without it, says so, and ends if there are too many."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.errors import UserError
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.sft.loop import run, tell
from temporay.workflows.sft.mixture import Mixture, parts_of
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.unread import UnreadSample, UnreadSamples, logged_unread, unread_summary

from tests.odd_videos import write_video
from tests.small_data import damage_clip

NUM_STEPS = 20


def write_questions(folder: Path, num_videos: int) -> Path:
    """Write questions about videos of losslessly coded frames, where a damaged frame is noticed."""
    lines = []
    for n in range(num_videos):
        write_video(folder / f"{n}.mov", 20, codec="png", pixels="rgb24", size=(32, 32))
        answer = {"question": f"Is it brighter after {n}?", "options": ["yes", "no"], "answer": "A"}
        lines.append(json.dumps({"video": f"{n}.mov", **answer}))
    (folder / "qa.jsonl").write_text("\n".join(lines))
    return folder / "qa.jsonl"


def damage_late_frames(video: Path) -> None:
    """Damage all frames but the first, and leave the header as it is."""
    data = video.read_bytes()
    first = data.index(b"IDAT")
    video.write_bytes(data[: first + 4] + data[first + 4 :].replace(b"IDAT", b"IDOT"))


def test_a_run_goes_on_without_a_clip_and_a_video_that_cannot_be_decoded(
    ray_cluster: None, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten clips once and five videos twice, one in each step."""
    broken, questions = tmp_path / "broken", write_questions(tmp_path, 5)
    shutil.copytree(data, broken)
    clip = damage_clip(broken, 3)
    damage_late_frames(tmp_path / "2.mov")
    settings = {
        "data": broken,
        "mixture": [f"{questions}=0.5"],
        "video_reading": {"fps": 4.0, "max_side": 32, "cache": tmp_path / "cache"},
        "model": model,
        "out": tmp_path / "run",
        "num_steps": NUM_STEPS,
        "batch_size": 1,
        "threads": 1,
        "max_dropped_share": 0.14,  # two of 15
    }
    summary = run(SftConfig.model_validate(settings))
    assert summary["num_steps"] == NUM_STEPS and summary["unread"] == 2
    clips, videos = (account["unread_samples"] for account in summary["data"])
    assert set(clips["clip_undecodable"]["samples"]) == {clip} and len(clips) == 1
    ((_, detail),) = videos["video_undecodable"]["samples"].items()
    assert "2.mov" in detail and len(videos) == 1
    steps = [row for row in rows_of(tmp_path / "run") if "rows" in row]
    left_out = [row for row in steps if "unread" in row]
    assert len(steps) == NUM_STEPS and len(left_out) == 3  # the clip once, the video twice
    assert all(row["tokens"] == 0 and "loss" not in row for row in left_out)  # nothing was learned there
    assert all(row["tokens"] > 0 and "loss" in row for row in steps if row not in left_out)
    said = capsys.readouterr().out
    assert said.count("is left out (") == 2 and "is left out (video_undecodable: " in said  # each once
    tell(summary)
    assert "2 samples could not be read and were left out" in capsys.readouterr().out
    assert len(list((tmp_path / "cache").iterdir())) == 4


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


class OneOf:
    """The first of two ranks."""

    rank = 0

    def from_rank_0(self, value: Any) -> Any:
        return value

    def gathered(self, value: Sequence[UnreadSample]) -> list[Sequence[UnreadSample]]:
        return [value, value[:1]]  # of a pass that is blank there


def test_what_was_left_out_before_a_restart_counts(data: Path, tmp_path: Path) -> None:
    mixture = Mixture.open(parts_of(data, (), VideoReading()))
    learner: Any = type("", (), {"policy": type("", (), {"parallel": OneOf()}), "stage": "sft"})
    learner.config = type("", (), {"out": tmp_path})
    lines = [{"stage": "sft", "step": step, "unread": [{"row": step, "reason": "r", "key": "k"}]} for step in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    unread = UnreadSamples(learner, mixture, num_dropped=1, largest_share=0.4)
    assert unread.of_step([], are_any=False) == {}
    again = unread.of_step([UnreadSample(row=1, reason="r", detail="d")], are_any=True)
    assert [entry["key"] for entry in again["unread"]] == [mixture.sample(1).key]
    unread.of_step([UnreadSample(row=3, reason="r", detail="d")], are_any=True)
    with pytest.raises(UserError, match=r"5 of 10 samples are left out, and max_dropped_share is 0\.4"):
        unread.of_step([UnreadSample(row=4, reason="r", detail="d")], are_any=True)


def test_a_sample_that_comes_again_is_counted_once() -> None:
    entry = {"row": 3, "key": "k", "path": "p", "reason": "r", "detail": "d"}
    found = logged_unread([{"unread": [entry]}, {}, {"unread": [entry, {**entry, "row": 4, "key": "l"}]}])
    assert [one["row"] for one in found] == [3, 4]
    assert unread_summary(found) == {"r": {"count": 2, "samples": {"k": "d", "l": "d"}}}
