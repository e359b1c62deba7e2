"""A user's own questions are attacked like a dataset's: by their words, and by frames of their videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.errors import UserError
from temporay.workflows.data.audit import AuditConfig, run

from tests.odd_videos import write_video
from tests.own_lines import write_lines

NUM_LINES = 80
READING = {"rule": "count", "count": 4, "max_side": 48}


def fair(n: int) -> dict[str, Any]:
    """Ask in a way that says nothing of the answer, which is drawn by a rule that no attack knows."""
    digit = (n * 2654435761 >> 7) % 2
    return {"video": f"v{n}.mp4", "question": "Which comes first?", "options": ["red", "blue"], "answer": "AB"[digit]}


def write(folder: Path, *lines: dict[str, Any]) -> Path:
    file = write_lines(folder / "qa.jsonl", *lines)
    write_video(folder / "one.mp4", num_frames=8, fps=4, size=(48, 32))
    for n in range(NUM_LINES):
        (folder / f"v{n}.mp4").hardlink_to(folder / "one.mp4")
    return file


def audited(file: Path, **changes: Any) -> dict[str, Any]:
    return run(AuditConfig.model_validate({"data": file, "video_reading": READING, **changes}))


def test_fair_questions_pass_and_the_rest_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = [{"video": "v0.mp4", "question": "How many?", "answer": 3}, {"text": "no line"}]
    file = write(tmp_path, *map(fair, range(NUM_LINES)), *broken)
    (tmp_path / "v3.mp4").unlink()
    (tmp_path / "v3.mp4").write_bytes(b"no video")
    result = audited(file)
    assert result["passed"], result["failures"]
    assert json.loads((tmp_path / "qa.jsonl.audit.json").read_text()) == result
    (task,) = result["tasks"]
    assert task["num_samples"] == task["num_stills"] == NUM_LINES - 1
    printed = capsys.readouterr().out
    assert "79 questions of" in printed and "1 without options, 1 video_undecodable, 1 unknown_form" in printed


def test_words_that_tell_the_answer_are_found(tmp_path: Path) -> None:
    lines = [{**fair(n), "options": ["it is so", "it is not"], "answer": "A"} for n in range(NUM_LINES)]
    result = audited(write(tmp_path, *lines), num_clips=0)
    assert not result["passed"] and any("majority_letter" in failure for failure in result["failures"])


def test_what_has_nothing_to_guess_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, {"video": "v0.mp4", "question": "How many?", "answer": 3})
    with pytest.raises(UserError, match="has no question with options"):
        audited(file)
    with pytest.raises(UserError, match="has videos; leave out --ideal"):
        audited(file, ideal=True)


def test_any_file_is_taken_for_lines_and_not_for_a_dataset(tmp_path: Path) -> None:
    file = write(tmp_path, *map(fair, range(NUM_LINES)))
    file = file.rename(tmp_path / "QA.JSONL")
    assert audited(file, num_clips=0)["tasks"][0]["num_samples"] == NUM_LINES
    with pytest.raises(UserError, match=r"qa\.jsonl\.gz has none of the endings of own data"):
        audited(file.rename(tmp_path / "qa.jsonl.gz"))
