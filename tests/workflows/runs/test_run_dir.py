"""metrics.jsonl after a SIGKILL: the torn line is dropped, every whole one stays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from temporay.operators.errors import UserError
from temporay.operators.settings import Settings
from temporay.workflows.runs.run_dir import TIME, RunDir, check_writable, finished_summary, shortly

TORN = (b'{"stage": "grpo", "st', b'{"stage": "grpo", "step": 3', b'{"stage": "gr\xc3', b"1")


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    made = RunDir(path=tmp_path, resumed=False)
    for step in range(3):
        made.log({"stage": "grpo", "step": step})
        made.log({"stage": "grpo_worker", "step": step})
    return made


def steps(run_dir: RunDir, stage: str) -> list[int]:
    return [row["step"] for row in run_dir.rows(stage)]


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_line_is_left_out_and_does_not_swallow_the_next(run_dir: RunDir, torn: bytes) -> None:
    with run_dir.metrics_path.open("ab") as file:
        file.write(torn)
    assert steps(run_dir, "grpo") == [0, 1, 2]
    run_dir.log({"stage": "grpo", "step": 3})
    assert steps(run_dir, "grpo") == [0, 1, 2, 3]
    run_dir.drop_from("grpo", 2)
    assert steps(run_dir, "grpo") == [0, 1]
    assert steps(run_dir, "grpo_worker") == [0, 1, 2]
    assert all(json.loads(line) for line in run_dir.metrics_path.read_text().splitlines())  # the torn one is gone


def test_what_workers_said_when_they_started_stays(run_dir: RunDir) -> None:
    run_dir.log({"stage": "grpo", "step": 2, "pid": 7})
    run_dir.drop_from("grpo", 1)
    assert [(row["step"], row.get("pid")) for row in run_dir.rows("grpo")] == [(0, None), (2, 7)]


def test_lines_hold_no_number_that_json_has_not(run_dir: RunDir) -> None:
    inner = {"a": math.nan, "b": [1.0, -math.inf, (math.nan,)]}
    run_dir.log({"stage": "grpo", "step": 3, "loss": math.inf, "reward": 0.5, "exact": inner})
    last = run_dir.metrics_path.read_text().splitlines()[-1]
    assert last == '{"stage": "grpo", "step": 3, "reward": 0.5, "exact": {"b": [1.0, null, [null]]}}'


def test_a_line_of_another_process_does_not_cut_one(run_dir: RunDir) -> None:
    with run_dir.metrics_path.open("a") as worker:
        run_dir.log({"stage": "grpo", "step": 3})
        worker.write('{"stage": "grpo_worker", "step": 3}\n')
    assert steps(run_dir, "grpo")[-1] == steps(run_dir, "grpo_worker")[-1] == 3


def test_a_whole_line_whose_end_is_missing_counts(run_dir: RunDir) -> None:
    with run_dir.metrics_path.open("ab") as file:
        file.write(b'{"stage": "grpo", "step": 3}')
    run_dir.log({"stage": "grpo", "step": 4})
    assert steps(run_dir, "grpo") == [0, 1, 2, 3, 4]


def test_time_counts_whatever_ends_a_stage_and_stays_when_steps_go(tmp_path: Path) -> None:
    run_dir = reopened(tmp_path, Config())
    with pytest.raises(KeyboardInterrupt), run_dir.stage("grpo"):
        raise KeyboardInterrupt
    assert reopened(tmp_path, Config()).seconds.keys() == {"grpo"}
    with run_dir.timed("export"):
        pass
    run_dir.log_seconds("export", 2.5004)
    run_dir.drop_from("grpo", 0)
    assert [row["part"] for row in run_dir.rows(TIME)] == ["export", "export"]
    assert run_dir.rows(TIME)[1]["seconds"] == 2.5


def test_a_run_that_logged_nothing_has_no_rows(tmp_path: Path) -> None:
    run_dir = RunDir(path=tmp_path, resumed=True)
    assert run_dir.rows("grpo") == []
    run_dir.drop_from("grpo", 0)
    assert run_dir.rows("grpo") == []


class Rewards(Settings):
    """Settings below a name."""

    weight: float = 1.0
    deadline_s: float = 10.0


class Config(Settings):
    """Settings of a run."""

    num_steps: int = 4
    seed: int = 0
    pool: Mapping[str, int] = Field(default={})
    rewards: Rewards = Rewards()


def reopened(path: Path, config: Config) -> RunDir:
    return RunDir.open(path, config, kind="grpo", may_change=("num_steps", "pool", "rewards.deadline_s"))


def test_what_says_how_may_change_and_what_says_what_may_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reopened(tmp_path, Config())
    other = {"pool": {"num_engines": 2}, "rewards": Rewards(deadline_s=20.0)}
    assert reopened(tmp_path, Config.model_validate(other)).resumed
    said = "goes on with other settings: pool.num_engines: null → 2; rewards.deadline_s: 10.0 → 20.0"
    assert said in capsys.readouterr().out
    assert json.loads((tmp_path / "config.json").read_text())["rewards"] == {"weight": 1.0, "deadline_s": 20.0}
    with pytest.raises(UserError, match=r"Different: rewards.weight: 1.0 → 2.0; seed: 0 → 1$"):
        reopened(tmp_path, Config(seed=1, rewards=Rewards(weight=2.0, deadline_s=5.0)))


def test_a_finished_run_goes_on_with_more_steps(tmp_path: Path) -> None:
    run_dir = reopened(tmp_path, Config())
    run_dir.summary_path.write_text("{}")
    assert reopened(tmp_path, Config(pool={"num_engines": 2})).summary() == {}
    with pytest.raises(UserError, match="has finished 4 steps, and num_steps is now 3"):
        reopened(tmp_path, Config(num_steps=3))
    assert reopened(tmp_path, Config(num_steps=6)).summary() is None


def test_a_run_is_compared_and_its_result_found_without_opening_it(tmp_path: Path) -> None:
    """Nothing that takes minutes needs to start for a run that is finished or has other settings."""

    def found(config: Config) -> dict[str, Any] | None:
        return finished_summary(tmp_path, config, kind="grpo", may_change=("num_steps",))

    assert found(Config()) is None and list(tmp_path.iterdir()) == []
    run_dir = reopened(tmp_path, Config())
    with pytest.raises(UserError, match=r"Different: seed: 0 → 1$"):
        found(Config(seed=1))
    assert found(Config()) is None
    run_dir.summary_path.write_text('{"steps": 4}')
    assert found(Config()) == {"steps": 4}
    assert found(Config(num_steps=6)) is None and run_dir.summary_path.exists()
    with pytest.raises(UserError, match="has finished 4 steps, and num_steps is now 3"):
        found(Config(num_steps=3))


def test_a_run_of_another_command_is_told_as_such(tmp_path: Path) -> None:
    reopened(tmp_path, Config())
    with pytest.raises(UserError, match=r"holds a run of grpo, not of sft; give another --out$"):
        RunDir.open(tmp_path, Config(seed=1), kind="sft")


def test_ten_differences_are_shown() -> None:
    assert shortly(["a", "b"]) == "a; b"
    assert shortly([*"abcdefghijkl"]) == "a; b; c; d; e; f; g; h; i; j; and 2 more"


def test_a_folder_is_left_as_it_was_by_a_look_at_it(tmp_path: Path) -> None:
    check_writable(tmp_path / "runs" / "one")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for path in (Path("/proc/x"), tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match=f"cannot write to {path}: .*; give --out a folder"):
            check_writable(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class Moved(Settings):
    out: Path
    seed: int = 0


def test_a_run_whose_folder_was_moved_goes_on(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    RunDir.open(before, Moved(out=before), kind="sft")
    before.rename(after)
    assert RunDir.open(after, Moved(out=after), kind="sft").resumed
    with pytest.raises(UserError, match=r"Different: seed: 0 → 1$"):
        RunDir.open(after, Moved(out=after, seed=1), kind="sft")
