"""Any checkpoint of a run becomes the model that the run itself would have written at that step."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.checkpoint import save
from temporay.models.export import export
from temporay.models.families._base import family_of
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import group_of_one
from temporay.models.policy import Policy, PolicySettings
from temporay.operators.errors import UserError
from temporay.workflows.config import validated
from temporay.workflows.export_model import ExportModelConfig, run
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.runs.run_dir import RunDir

from tests.models.small_policies import batch_of, rows
from tests.small_data import write_dataset
from tests.small_runs import write_model

STEPS = (1, 3)
LORA = {"weights": "lora", "vision_tower": "frozen"}


@functools.cache
def bfloat16_model(folder: Path) -> Path:
    """Write a model whose frozen weights would be other bits in float32."""
    out = write_model(write_dataset(folder / "words"), folder / "model")
    loaded = family_of(out).load_model(out, torch.bfloat16)
    loaded.save_pretrained(out)  # type: ignore[operator]
    return out


@pytest.fixture(scope="module", params=[{}, LORA], ids=["all", "lora"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run of grpo with checkpoints of two steps of two updates, and what it would have exported after each."""
    folder = tmp_path_factory.mktemp("run")
    model, out = bfloat16_model(folder), folder / "run"
    given = {"data": folder, "model": model, "out": out, "trained": request.param, "mini_batches": 2, "num_steps": 3}
    config = validated(GrpoConfig, given)
    RunDir.open(out, config, kind="grpo")
    settings = PolicySettings(optimizer=config.optimizer, total_steps=6, trained=config.trained)
    batch = batch_of(model, [rows(0)[0]])
    with group_of_one() as parallel:
        policy = Policy.load(model, family_of(model), settings, parallel)
        for step in range(1, 4):
            for _ in range(config.updates_per_step):
                policy.forward_backward([batch], supervised)
                policy.step()
            if step in STEPS:
                save(policy, out / "checkpoints", keep=2)
                export(policy, model, folder / f"expected-{step}")
    return out


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("asked", "step"), [(None, 3), (1, 1), (3, 3)])
def test_the_bytes_are_those_that_the_run_would_have_written(
    finished: Path, asked: int | None, step: int, tmp_path: Path
) -> None:
    result = run(ExportModelConfig(run=finished, step=asked, out=tmp_path / "model"))
    assert result == {"step": step, "model": str(tmp_path / "model")}
    assert content(tmp_path / "model") == content(finished.parent / f"expected-{step}")
    assert content(finished.parent / "expected-1") != content(finished.parent / "expected-3")


def test_what_is_there_is_not_written_over(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists; give --out a new folder"):
        run(ExportModelConfig(run=finished, out=tmp_path))


def test_a_step_without_a_checkpoint_is_refused_with_those_that_have_one(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint of step 2 \(there are: 1, 3\)"):
        run(ExportModelConfig(run=finished, step=2, out=tmp_path / "model"))


def test_the_damaged_file_is_named(finished: Path, tmp_path: Path) -> None:
    file = finished / "checkpoints/step-00000002/__0_0.distcp"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    try:
        with pytest.raises(UserError, match=r"step-00000002 is damaged: __0_0\.distcp has \d+ bytes"):
            run(ExportModelConfig(run=finished, step=1, out=tmp_path / "model"))
    finally:
        file.write_bytes(whole)
    assert not (tmp_path / "model").exists()


def write_config(**tree: Any) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_text(json.dumps(tree))


def write_finished(folder: Path) -> None:
    write_config(command="sft", data="d", model="m", out="o")(folder)
    (folder / "checkpoints" / "step-00000004").mkdir(parents=True)
    (folder / "model").mkdir()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: None, "is not the folder of a run"),
        (write_config(command="run"), r"is a run of run, which has no checkpoints; give .*/sft or .*/grpo"),
        (write_config(command="generate"), "is a run of generate, which has no checkpoints$"),
        (write_config(command="sft", data="d", model="m", out="o"), "has no finished checkpoint .*; wait until its"),
        (write_finished, r"has no finished checkpoint \(with manifest\.json\); .*/model can be used as they are"),
    ],
)
def test_a_folder_without_checkpoints_is_refused(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    write(tmp_path)
    with pytest.raises(UserError, match=message):
        run(ExportModelConfig(run=tmp_path, out=tmp_path / "exported"))
