"""Two evaluations of the same questions are compared by question, ours and those of lmms-eval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporay.operators.errors import UserError
from temporay.operators.scoring.evaluation import EvaluationRow, write_rows
from temporay.operators.scoring.lmms_eval import LoggedSample, LoggedTask, write_log
from temporay.workflows.compare import CompareConfig, Compared, run, tell

NUM_QUESTIONS = 40


def row(n: int, task: str, *, right: bool, arm: str = "ordered") -> EvaluationRow:
    return EvaluationRow(key=f"{task}-{n}", task=task, arm=arm, score=float(right), parsed="A", text="A", chance=0.5)  # type: ignore[arg-type]


def write_run(folder: Path, right_of_two: int) -> Path:
    """Write a run whose first task is right every ``right_of_two`` questions, and whose second always."""
    folder.mkdir()
    rows = [row(n, "count", right=n % right_of_two == 0) for n in range(NUM_QUESTIONS)]
    rows += [row(n, "order", right=True) for n in range(NUM_QUESTIONS)]
    write_rows(folder / "samples.jsonl", rows)
    return folder


def compared(first: Path, second: Path, **settings: str) -> list[Compared]:
    return run(CompareConfig(first=first, second=second, **settings))


def test_runs_are_compared_by_task_and_over_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(write_run(tmp_path / "a", 1), write_run(tmp_path / "b", 2))
    count, everything, order = (next(one for one in found if one.task == task) for task in ("count", "all", "order"))
    assert (count.first, count.second, count.result.wins, count.result.losses) == (1.0, 0.5, 20, 0)
    assert count.result.test == "mcnemar" and count.result.p_value < 1e-5
    assert order.result.p_value == 1.0 and everything.result.difference.value == 0.25
    tell(found)
    said = capsys.readouterr().out
    assert "count, ordered: 100.0% and 50.0% on 40 common questions, difference +50.0% (" in said
    assert "better on 20, worse on 0" in said and "would be seen with" in said


def test_only_common_questions_are_compared(tmp_path: Path) -> None:
    first, second = write_run(tmp_path / "a", 1), tmp_path / "b"
    second.mkdir()
    write_rows(second / "samples.jsonl", [row(n, "count", right=False) for n in range(30, 60)])
    (count,) = compared(first, second)
    assert count.result.difference.n == 10 and count.first == 1.0 and count.second == 0.0
    write_rows(second / "samples.jsonl", [row(n, "other", right=False) for n in range(3)])
    with pytest.raises(UserError, match="have no question in common"):
        compared(first, second)


def log(folder: Path, task: str, scores: list[float], metric: str = "acc") -> Path:
    samples = tuple(
        LoggedSample(doc_id=n, target="A", input="?", response="A", scores={metric: score}, doc={})
        for n, score in enumerate(scores)
    )
    told = LoggedTask(task=task, metrics={metric: sum(scores) / len(scores)}, samples=samples, original=len(scores))
    now = datetime(2026, 11, 30, tzinfo=UTC)
    write_log(folder, "org/model", [told], {}, started=now, ended=now)
    return folder


def test_a_run_is_compared_with_a_log_of_lmms_eval(tmp_path: Path) -> None:
    ours = write_run(tmp_path / "ours", 1)
    log(ours / "lmms_eval", "tvbench", [1.0, 0.0, 1.0, 1.0])
    theirs = log(tmp_path / "theirs", "tvbench_all", [0.0, 0.0, 1.0])
    (found,) = compared(ours, theirs)
    assert (found.first, found.second, found.result.wins) == (2 / 3, 1 / 3, 1)
    assert found.result.only_first == 1
    with pytest.raises(UserError, match=r"has no scores called 'exact' \(it has: acc\)"):
        compared(ours, theirs, metric="exact")
    with pytest.raises(UserError, match=r"nothing does not exist; give a run of `temporay evaluate`"):
        compared(ours, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no results of lmms-eval"):
        compared(ours, tmp_path / "empty")


def test_several_answers_to_a_question_are_compared_by_their_mean(tmp_path: Path) -> None:
    for name, right in (("a", 3), ("b", 1)):
        (tmp_path / name).mkdir()
        rows = [replace(row(n, "t", right=k < right), answer=k) for n in range(8) for k in range(4)]
        write_rows(tmp_path / name / "samples.jsonl", rows)
    (found,) = compared(tmp_path / "a", tmp_path / "b")
    assert found.result.difference.value == 0.5 and found.result.wins == 8 and found.result.test == "sign_flip"
