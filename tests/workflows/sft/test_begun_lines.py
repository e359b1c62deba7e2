"""A run that goes on takes the JSON lines that it began with, whatever became of their videos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.sft.begun_lines import FILE, as_begun
from temporay.workflows.sft.mixture import Mixture, Part, parts_of

from tests.odd_videos import write_video


def write_lines(folder: Path, *, answers: str = "AAAA", missing: int | None = None) -> tuple[Part, ...]:
    """Write a question for each answer, and videos that are not there yet; return the parts as they are now."""
    lines = []
    for n, answer in enumerate(answers):
        video = folder / f"{n}.mp4"
        if n == missing:
            video.unlink(missing_ok=True)
        elif not video.exists():
            write_video(video)
        question = {"question": f"Is it brighter after {n}?", "options": ["yes", "no"], "answer": answer}
        lines.append(json.dumps({"video": video.name, "end_s": 1.5, **question}))
    (folder / "qa.jsonl").write_text("\n".join(lines))
    return parts_of(folder / "qa.jsonl", (), VideoReading())


def identities(parts: tuple[Part, ...]) -> list[list[object]]:
    return [part.identity() for part in parts]


def test_a_video_that_was_lost_keeps_its_row_and_is_met_in_its_turn(tmp_path: Path) -> None:
    begun = as_begun(write_lines(tmp_path), tmp_path)
    now = write_lines(tmp_path, missing=1)
    assert len(Mixture.open(now)) == 3
    again = as_begun(now, tmp_path)
    assert identities(again) == identities(begun) and again[0].lines == begun[0].lines
    mixture = Mixture.open(again)
    assert len(mixture.frames_shown(0)[0]) == len(mixture.frames_shown(3)[0]) == 3
    with pytest.raises(SampleRejected, match="video_missing"):
        mixture.frames_shown(1)


def test_a_video_that_comes_back_does_not_move_the_others(tmp_path: Path) -> None:
    begun = as_begun(write_lines(tmp_path, missing=1), tmp_path)
    assert identities(as_begun(write_lines(tmp_path), tmp_path)) == identities(begun)


@pytest.mark.parametrize("answers", ["AABA", "AAA", "AAAAA"])
def test_other_lines_are_other_data(tmp_path: Path, answers: str) -> None:
    begun = as_begun(write_lines(tmp_path), tmp_path)
    assert identities(as_begun(write_lines(tmp_path, answers=answers), tmp_path)) != identities(begun)


def test_what_is_kept_and_damaged_is_named(tmp_path: Path) -> None:
    parts = write_lines(tmp_path, answers="A")
    as_begun(parts, tmp_path)
    (tmp_path / FILE).write_text("[{}]")
    with pytest.raises(UserError, match=r"json_lines\.json cannot be read \(.*begin again"):
        as_begun(parts, tmp_path)
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(UserError, match="holds 0 datasets, and the run has 1"):
        as_begun(parts, tmp_path)
