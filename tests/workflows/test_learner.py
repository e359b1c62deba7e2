"""Order of samples, logs that survive a kill, and errors behind errors."""

from __future__ import annotations

import json
from pathlib import Path

from operators.errors import UserError
from workflows.learner import StageLog, epoch_rows, worker_user_error


def test_every_row_once_an_epoch_from_any_position() -> None:
    whole = epoch_rows("sft", 3, num_rows=10, first=0, count=30)
    for epoch in range(3):
        assert sorted(whole[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert whole[:10] != whole[10:20] != whole[20:]
    assert epoch_rows("sft", 3, num_rows=10, first=7, count=9) == whole[7:16]
    assert epoch_rows("sft", 4, num_rows=10, first=0, count=30) != whole


def test_steps_taken_again_are_logged_once(tmp_path: Path) -> None:
    log = StageLog(tmp_path, "sft", 0)
    for step in range(4):
        log.write({"step": step, "loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "grpo", "step": 3}\n{"stage": "sft", "step": 4, "lo')  # a kill
    resumed = StageLog(tmp_path, "sft", 2)
    resumed.write({"step": 2, "loss": 2.0})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["step"], row.get("loss")) for row in rows] == [
        ("sft", 0, 1.0),
        ("sft", 1, 1.0),
        ("grpo", 3, None),
        ("sft", 2, 2.0),
    ]


def test_a_log_that_is_shared_is_only_added_to(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"stage": "grpo", "step": 3}\n')
    with path.open("a") as driver:
        StageLog(tmp_path, "grpo_worker", None).write({"step": 2})
        driver.write('{"stage": "grpo", "step": 4}\n')
    steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
    assert steps == [3, 2, 4]


class GroupFailed(Exception):
    def __init__(self, worker_failures: dict[int, Exception]) -> None:
        super().__init__("a worker failed")
        self.worker_failures = worker_failures


def test_user_error_of_a_worker_is_found() -> None:
    cause = UserError("sample 3 cannot be read")
    task_error = RuntimeError("ray")
    task_error.cause = cause  # type: ignore[attr-defined]
    outer = RuntimeError("fit")
    outer.__cause__ = GroupFailed({1: task_error})
    assert worker_user_error(outer) is cause
    assert worker_user_error(GroupFailed({0: RuntimeError("ours")})) is None
