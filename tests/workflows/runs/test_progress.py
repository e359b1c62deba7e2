"""What a run says of its workers, which have no terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporay.workflows.runs.progress import CHECKPOINT_STAGE, CheckpointNews
from temporay.workflows.runs.run_dir import RunDir


def test_the_first_checkpoint_that_a_step_waited_for_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = RunDir(path=tmp_path, resumed=True)

    def note(step: int, *, is_copied: bool) -> None:
        row = {"stage": CHECKPOINT_STAGE, "step": step, "seconds_write": 21.4, "bytes": 6.2e9, "is_copied": is_copied}
        run_dir.log(row)

    note(1, is_copied=False)  # of a call before
    news = CheckpointNews(tmp_path, "sft")
    note(2, is_copied=True)
    news.tell()
    assert capsys.readouterr().out == ""
    for step in (3, 4):
        note(step, is_copied=False)
        news.tell()
    told = capsys.readouterr().out
    assert told.startswith("sft: step 3 waited 21 s for its checkpoint, and so will others: ")
    assert "no room for its part of a copy of 6.2 GB" in told and told.count("\n") == 1
