"""Rollouts on disk come back equal to the last bit, or the file is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from temporay.operators.errors import UserError
from temporay.operators.records import FinishReason, Group, Outcome, Rollout, Score, ScoredGroup, ScoreStatus
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in, write_step


def scored(position: int, outcome: Outcome = Outcome.TRAINED) -> ScoredGroup:
    rollouts = tuple(
        Rollout(
            completion_ids=(5, 6 + g),
            logprobs=(-math.pi, -1.0 / 3.0 - g),
            text="<answer>left ✓</answer>",
            finish_reason=FinishReason.STOP,
            weight_versions=(3, 4),
        )
        for g in range(2)
    )
    scores = (
        Score(reward=0.1 + 0.2, breakdown={"accuracy": 1.0}, status=ScoreStatus.OK),
        Score(reward=None, breakdown={}, status=ScoreStatus.CRASHED, detail="ValueError: no"),
    )
    return ScoredGroup(
        position=position,
        row=7,
        step=12,
        static=position % 2 == 1,
        group=Group(
            key=f"p{position}", prompt_ids=(1, 2, 3), rollouts=rollouts, weight_checksums={12: 2**32 - 1, 0: None}
        ),
        scores=scores,
        advantages=(1.0 / 7.0, None),
        outcome=outcome,
    )


def test_a_step_is_read_as_it_was_written(tmp_path: Path) -> None:
    groups = (scored(0), scored(1, Outcome.FLAT))
    path = path_of(tmp_path, 12)
    write_step(path, groups, {"next": 2, "scales": {"a": [0.1, 1.0 / 3.0]}})
    found = read_step(path)
    assert found.groups == groups
    assert found.state == {"next": 2, "scales": {"a": [0.1, 1.0 / 3.0]}}
    assert steps_in(tmp_path) == [12]
    assert [p.name for p in path.parent.iterdir()] == ["step-00000012.parquet"]  # nothing half-written beside it


def test_an_empty_step_keeps_its_state(tmp_path: Path) -> None:
    write_step(path_of(tmp_path, 0), (), {"next": 9})
    assert read_step(path_of(tmp_path, 0)).state == {"next": 9}


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = path_of(tmp_path, 1)
    with pytest.raises(UserError, match="does not hold the rollouts"):
        read_step(path)
    write_step(path, (scored(0),), {})
    data = bytearray(path.read_bytes())
    path.write_bytes(bytes(data[: len(data) // 2]))
    with pytest.raises(UserError, match="does not hold the rollouts"):
        read_step(path)
