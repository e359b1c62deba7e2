"""One damaged clip in a shard: commands that cannot do without it end with 2 and a sentence that names both."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from temporay.workflows.__main__ import main
from temporay.workflows.config import validated
from temporay.workflows.evaluate import EvaluateConfig
from temporay.workflows.evaluate import run as evaluate
from temporay.workflows.grpo.loop import run as reinforce
from temporay.workflows.sft.loop import run as fine_tune
from temporay.workflows.sft.settings import SftConfig

from tests.small_data import damage_clip, renamed_copy, write_dataset
from tests.small_runs import write_model
from tests.workflows.grpo.small_grpo import config as grpo_config

LOCAL = {"engine": "local"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("sound") / "data", num_samples=6)


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(data, tmp_path_factory.mktemp("model") / "model")


def run_evaluate(data: Path, damaged: Path, model: Path, out: Path) -> Any:
    settings = {"arms": ["ordered"], "max_tokens": 4, "pool": LOCAL}
    return evaluate(validated(EvaluateConfig, {"data": damaged, "model": model, "out": out, **settings}))


def run_grpo(data: Path, damaged: Path, model: Path, out: Path) -> Any:
    return reinforce(grpo_config(damaged, model, out, num_steps=3))


def run_sft(data: Path, damaged: Path, model: Path, out: Path) -> Any:
    settings = {"num_steps": 2, "batch_size": 2, "threads": 1, "validation": damaged, "validate_every": 2}
    return fine_tune(SftConfig.model_validate({"data": data, "model": model, "out": out, **settings}))


@pytest.mark.parametrize("command", [run_evaluate, run_grpo, run_sft])
def test_a_damaged_clip_ends_a_command_with_one_sentence(
    ray_cluster: None,
    command: Callable[[Path, Path, Path, Path], Any],
    data: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = renamed_copy(data, tmp_path / "damaged")
    name = damage_clip(damaged, 2)
    with patch("temporay.workflows.__main__.dispatch", lambda _: command(data, damaged, model, tmp_path / "run")):
        assert main([]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("temporay: ")]
    assert len(told) == 1
    assert re.search(rf"clip {name} of {damaged}/shard-000000\.tar: .*\(clip_undecodable\); ", told[0])
