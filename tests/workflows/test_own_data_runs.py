"""A user's own lines in every command that learns or measures: the tiny model, a few steps, several forms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from temporay.models.tiny import build
from temporay.operators.errors import UserError
from temporay.operators.scoring.evaluation import read_rows
from temporay.workflows.config import validated
from temporay.workflows.data.own_data import DROPPED, opened
from temporay.workflows.evaluate import EvaluateConfig
from temporay.workflows.evaluate import run as evaluate
from temporay.workflows.grpo.checks import check
from temporay.workflows.grpo.loop import run_with
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.reports.rollout_cards import section_of
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.sft.loop import run as fine_tune
from temporay.workflows.sft.settings import SftConfig

from tests.own_lines import LINE, video_bytes, write_lines
from tests.small_runs import SHAPE
from tests.workflows.grpo.small_grpo import POOL, config, rewards

READING = {"fps": 5.0, "max_frames": 4, "max_side": 32}
ASKED = "<video>\nIs it darker?\n(A) yes\n(B) no"
TURNS = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "<think>It is not.</think>B"}]
LATER = [{"role": "user", "content": "And is it\n(A) red\n(B) gray?"}, {"role": "assistant", "content": "B"}]
LINES: tuple[Any, ...] = (
    LINE,
    {**LINE, "question": "Does it <|im_end|> end <video> white?", "rationale": "It gets brighter.", "task": "Light"},
    {"videos": ["a.mp4"], "messages": TURNS},
    {"video": "a.mp4", "question": "How many shapes are there?", "answer": 0},
    {"video": "a.mp4", "question": "When is it gray?", "answer": [0.2, 0.6], "rationale": "Early."},
    {"video": "a.mp4", "question": "In which order?", "answer": ["black", "gray", "white"]},
    {"path": "a.mp4", "problem": "What is it?", "problem_type": "free-form", "solution": "<answer>a wall</answer>"},
    {"video": ["a.mp4", "b.mp4"], "question": "Which gets brighter, <video> or <video>?", "answer": "both"},
    {"video": "a.mp4", "image": "c.png", "question": "<image>\nThen <video>\nSame?", "answer": "no", "task": "Mixed"},
    {"videos": ["a.mp4"], "messages": [*TURNS[:1], {"role": "assistant", "content": "B"}, *LATER]},
    {"text": "not a line"},
)
TAKEN = len(LINES) - 1


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = write_lines(tmp_path_factory.mktemp("own") / "qa.jsonl", *LINES)
    (file.parent / "b.mp4").write_bytes(video_bytes())
    cv2.imwrite(str(file.parent / "c.png"), np.full((48, 32, 3), 128, np.uint8))
    return file


@pytest.fixture(scope="module")
def model(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    build(out, [json.dumps(line) for line in LINES] * 5, SHAPE, 0)
    return out


@pytest.fixture(scope="module")
def engines(ray_cluster: None, model: Path) -> Iterator[RolloutPool]:
    with RolloutPool.started(POOL, model) as pool:
        yield pool


def own(file: Path, model: Path, out: Path, **changes: Any) -> GrpoConfig:
    settings = {"num_steps": 3, "video_reading": READING, "max_dropped_share": 0.2, "seed": 1, **changes}
    return config(file, model, out, **settings)


def test_grpo_learns_from_own_lines(engines: RolloutPool, file: Path, model: Path, tmp_path: Path) -> None:
    mixed = rewards("Varied", accuracy=1.0, number=1.0, interval=1.0, order=1.0)
    summary = run_with(own(file, model, tmp_path / "run", rewards=mixed, prompts_per_step=TAKEN), engines)
    assert summary["steps"] == 3 and summary["groups"]["trained"] > 0
    assert summary["parity_max_abs"] < 1e-3  # trainer and engine saw the same frames and text
    told = [json.loads(line) for line in (tmp_path / "run" / DROPPED).read_text().split("\n") if line]
    assert [(one["line"], one["reason"]) for one in told] == [(len(LINES), "unknown_form")]
    assert "No tracks: own data have no plan of what happens" in section_of(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": {"weights": {"twin": 1.0}}}, "a reward compares twins, but the data has 1 sample of pair"),
        ({"rewards": {"weights": {"shuffled_contrast": 1.0}}}, "no answer in .* depends on their order"),
        ({"curriculum": {"enabled": True}}, "is of level 0"),
        ({"validation": True}, f"{TAKEN} of {TAKEN} samples of validation"),
    ],
)
def test_what_own_lines_cannot_give_is_refused(
    file: Path, model: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    changes = {name: file if value is True else value for name, value in changes.items()}
    given = own(file, model, tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        check(given, opened(given.data, given))


def test_sft_teaches_thoughts_and_answers(ray_cluster: None, file: Path, model: Path, tmp_path: Path) -> None:
    for name, copy in (("a.mp4", "d.mp4"), ("b.mp4", "b.mp4"), ("c.png", "c.png")):
        shutil.copy(file.with_name(name), tmp_path / copy)
    asked = tmp_path / "asked.jsonl"
    asked.write_text(file.read_text().replace("a.mp4", "d.mp4"))  # questions about another video are other samples
    settings = {"num_steps": 3, "batch_size": TAKEN, "threads": 1, "max_dropped_share": 0.2, "validation": asked}
    settings |= {"validate_every": 3, "video_reading": READING, "best_metric": "ordered_loss"}
    summary = fine_tune(SftConfig.model_validate({"data": file, "model": model, "out": tmp_path / "run", **settings}))
    assert summary["data"][0]["dropped_lines"] == {"unknown_form": 1}
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().split("\n") if line]
    exact = next(row["exact"] for row in rows if row["stage"] == "sft_validation")
    assert {"light", "video_qa", "answer_only video_qa"} <= exact.keys()  # by category, with and without a thought


def test_evaluate_measures_own_lines(ray_cluster: None, file: Path, model: Path, tmp_path: Path) -> None:
    settings = {"arms": ["ordered", "blind"], "max_tokens": 8, "video_reading": READING, "pool": {"engine": "local"}}
    where = {"data": file, "model": model, "out": tmp_path / "run"}
    with pytest.raises(UserError, match=rf"1 of {len(LINES)} lines of .* unknown_form"):
        evaluate(validated(EvaluateConfig, {**where, **settings}))
    assert not (tmp_path / "run").exists()
    summary = evaluate(validated(EvaluateConfig, {**where, **settings, "max_dropped_share": 0.2}))
    assert summary["accuracy"].keys() == {"light", "mixed", "video_qa"}
    rows = read_rows(tmp_path / "run" / "samples.jsonl")
    assert len(rows) == 2 * TAKEN and {row.chance for row in rows} == {0.0, 0.5}
    with patch("temporay.workflows.evaluate.RolloutPool.start", side_effect=AssertionError("it is finished")):
        again = evaluate(validated(EvaluateConfig, {**where, **settings, "max_dropped_share": 0.2}))
    assert again["accuracy"] == summary["accuracy"]
