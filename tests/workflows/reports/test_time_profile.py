"""The time profile of run folders that are written here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.files import write_json
from temporay.workflows.reports.time_profile import OVERLAP, OVERLAP_WORDS, StageTime, time_profile, time_table
from temporay.workflows.runs.run_dir import RunDir

SFT_ROWS: list[dict[str, Any]] = [
    {"stage": "time", "part": "counting tokens", "seconds": 1.0},
    {"stage": "time", "part": "launch", "time": 100.0},
    {"stage": "sft", "step": 0, "pid": 1, "time": 104.0},
    {"stage": "sft", "step": 0, "loss": 1.0, "seconds": 2.0, "wait": 0.25},
    {"stage": "sft", "step": 0, "pid": 2, "time": 150.0},  # Ray Train started the workers again
    {"stage": "sft", "step": 1, "loss": 1.0, "seconds": 4.0, "wait": 0.0},
    {"stage": "time", "part": "checkpoints", "seconds": 0.5},
    {"stage": "time", "part": "checkpoints", "seconds": 0.5},
    {"stage": "time", "part": "export", "seconds": 0.25},
]
SPENT = {"seconds_prompts": 1.0, "seconds_generate": 4.0, "seconds_reward": 0.5, "seconds_train": 3.0}
GRPO_ROWS: list[dict[str, Any]] = [
    {"stage": "time", "part": "launch", "time": 10.0},
    {"stage": "grpo_worker", "step": 0, "pid": 1, "time": 12.5},
    {"stage": "grpo", "step": 0, **SPENT, "seconds_sync": 0.5},
    {"stage": "time", "part": "validation", "seconds": 2.0},
]


def write_run(run: Path, command: str, seconds: Mapping[str, float], rows: list[dict[str, Any]]) -> Path:
    run.mkdir()
    write_json(run / "config.json", {"command": command})
    write_json(run / "seconds.json", seconds)
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def only(run: Path) -> StageTime:
    (stage,) = time_profile(run)
    assert sum(stage.parts.values()) == pytest.approx(stage.seconds)
    return stage


def test_the_parts_of_sft_sum_up_to_its_seconds(tmp_path: Path) -> None:
    stage = only(write_run(tmp_path / "run", "sft", {"sft": 20.0}, SFT_ROWS))
    assert stage.name == "SFT" and stage.seconds == 20.0
    assert list(stage.parts)[:2] == ["forward, backward, update", "start of workers"]
    assert stage.parts == {
        "forward, backward, update": 5.5,
        "start of workers": 4.0,
        "counting tokens": 1.0,
        "checkpoints": 1.0,
        "waiting for data": 0.5,
        "export": 0.25,
        "other": 7.75,
    }


def test_a_call_that_was_killed_leaves_parts_without_a_stage(tmp_path: Path) -> None:
    stage = only(write_run(tmp_path / "run", "sft", {"sft": 3.0}, SFT_ROWS))
    assert stage.seconds == 12.25 and "other" not in stage.parts


def test_the_engines_of_grpo_count_and_parts_may_run_at_once(tmp_path: Path) -> None:
    rows = [{"stage": "time", "part": "start of engines", "seconds": 6.0}, *GRPO_ROWS]
    stage = only(write_run(tmp_path / "run", "grpo", {"grpo": 14.0}, rows))
    assert stage.seconds == 20.0 and stage.parts["start of engines"] == 6.0
    assert stage.parts["sampling"] == 4.0 and stage.parts["waiting and other"] == pytest.approx(0.5)
    (tmp_path / "run" / "seconds.json").write_text('{"grpo": 12.0}')
    overlapped = only(tmp_path / "run")
    assert overlapped.seconds == 18.0 and overlapped.parts[OVERLAP] == pytest.approx(-1.5)
    assert time_table([overlapped]).splitlines()[-1] == OVERLAP_WORDS and OVERLAP_WORDS not in time_table([stage])


def test_every_stage_of_a_run_has_its_time(tmp_path: Path) -> None:
    rows = [
        {"stage": "time", "part": "data/shards", "seconds": 5.0},
        {"stage": "time", "part": "data/shards", "seconds": 3.0},
        {"stage": "time", "part": "evaluate/weights", "seconds": 0.5},
        {"stage": "time", "part": "evaluate/grpo, answers", "seconds": 3.5},
        {"stage": "base_model", "step": 0, "loss": 1.0},
    ]
    seconds = {"data": 10.0, "audit": 5.0, "sft": 20.0, "engine": 6.0, "evaluate": 4.0, "grpo": 14.0}
    run = write_run(tmp_path / "run", "run", seconds, rows)
    write_run(run / "sft", "sft", {"sft": 19.0}, SFT_ROWS)
    write_run(run / "grpo", "grpo", {"grpo": 13.0}, GRPO_ROWS)
    profile = {stage.name: stage for stage in time_profile(run)}
    assert [(name, stage.seconds) for name, stage in profile.items()] == [
        ("generate", 10.0),
        ("audit", 5.0),
        ("SFT", 20.0),
        ("GRPO", 20.0),
        ("evaluation", 4.0),
    ]
    assert profile["generate"].parts == {"rendering and encoding": 8.0, "other": 2.0}
    assert profile["audit"].parts == {}
    assert profile["evaluation"].parts == {"grpo, answers": 3.5, "weights": 0.5}
    assert profile["GRPO"].parts["start of engines"] == 6.0
    lines = time_table(time_profile(run)).splitlines()
    assert lines[0].split() == ["where", "the", "time", "goes", "seconds", "of", "stage", "of", "run"]
    assert lines[1].split() == ["generate", "10.0", "16.9%"]
    assert lines[2].split() == ["rendering", "and", "encoding", "8.0", "80.0%", "13.6%"]
    assert lines[-1].split() == ["all", "59.0"] and len({len(line) for line in lines}) == 1


def test_an_evaluation_is_told_by_part(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "evaluate", {"engine": 5.0, "evaluate": 3.0}, [])
    RunDir(path=run, resumed=True).log_seconds("answers", 2.0)
    assert only(run).parts == {"start of engines": 5.0, "answers": 2.0, "other": 1.0}


def test_a_folder_without_seconds_has_no_profile(tmp_path: Path) -> None:
    assert time_profile(tmp_path) == []
    assert time_profile(write_run(tmp_path / "run", "sft", {}, SFT_ROWS)) == []
    assert time_profile(write_run(tmp_path / "other", "tune", {"tune": 3.0}, [])) == []
