"""Curves are exactly what metrics.jsonl says, however often a run is killed and takes steps again."""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporay.operators.errors import UserError
from temporay.workflows.runs import trackers
from temporay.workflows.runs.metrics_tail import MetricsTail, step_row
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.runs.trackers import check_trackers, mirrored
from tensorboardX.proto.event_pb2 import Event

from tests.workflows.tracking_fakes import FakeMetric, FakeMlflow, FakeWandb


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "POLL_S", 0.02)
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    for name in trackers.QUIET:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)  # restored after, also where the code sets it


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "config.json").write_text(json.dumps({"command": "grpo"}))
    return RunDir(path=tmp_path, resumed=False)


def installed(monkeypatch: pytest.MonkeyPatch, name: str, content: Any) -> None:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    for key in ("init", "MlflowClient", "Metric"):
        if hasattr(content, key):
            setattr(module, key, getattr(content, key))
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    installed(monkeypatch, "wandb", fake)
    return fake


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMlflow:
    fake = FakeMlflow()
    installed(monkeypatch, "mlflow", fake)
    module = ModuleType("mlflow.entities")
    module.Metric = FakeMetric  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow.entities", module)
    return fake


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return what TensorBoard's files hold, by stage/name. A record is length, checksum, an Event and its checksum."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted((run / "tensorboard").glob("*/events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length
            for value in event.summary.value:
                found.setdefault(f"{path.parent.name}/{value.tag}", []).append((event.step, value.simple_value))
    return found


def log(run: RunDir, stage: str, steps: range, value: float) -> None:
    for step in steps:
        run.log({"stage": stage, "step": step, "loss": value + step, "seconds": {"train": 0.5}})


def settle() -> None:
    time.sleep(0.2)


def expected(*parts: tuple[range, float]) -> list[tuple[int, float]]:
    return [(step, value + step) for steps, value in parts for step in steps]


def test_every_number_of_every_stage_is_a_curve(run: RunDir) -> None:
    with mirrored(run.path, ("tensorboard",)):
        run.log({"stage": "sft", "step": 0, "pid": 17, "world_size": 2, "host": "a"})
        log(run, "sft", range(3), 1.0)
        run.log({"stage": "sft_validation", "step": 2, "ordered": 0.5, "arm": "x", "list": [1.0], "flag": True})
        run.log({"stage": "sft", "step": 3, "loss": math.nan})
    found = curves(run.path)
    assert found.keys() == {"sft/loss", "sft/seconds/train", "sft_validation/ordered"}
    assert found["sft/loss"] == expected((range(3), 1.0))  # a value that is not finite is left out
    assert found["sft_validation/ordered"] == [(2, 0.5)]


def test_steps_taken_again_replace_the_first_ones_in_tensorboard(run: RunDir) -> None:
    with mirrored(run.path, ("tensorboard",)):  # workers that restart while the driver lives
        log(run, "grpo", range(6), 1.0)
        settle()
        run.drop_from("grpo", 3)
        settle()
        log(run, "grpo", range(3, 6), 5.0)
        log(run, "grpo_worker", range(2), 0.0)
    assert curves(run.path)["grpo/loss"] == expected((range(3), 1.0), (range(3, 6), 5.0))
    with mirrored(run.path, ("tensorboard",)):  # a driver that was killed and goes on
        run.drop_from("grpo", 1)
        log(run, "grpo", range(1, 3), 7.0)
    found = curves(run.path)
    assert found["grpo/loss"] == expected((range(1), 1.0), (range(1, 3), 7.0))
    assert found["grpo_worker/loss"] == expected((range(2), 0.0))


def test_wandb_gets_every_step_once_offline_in_one_run(run: RunDir, wandb: FakeWandb) -> None:
    with pytest.raises(RuntimeError, match="killed"), mirrored(run.path, ("wandb",)):
        log(run, "grpo", range(4), 1.0)
        settle()
        raise RuntimeError("killed")
    with mirrored(run.path, ("wandb",)):
        run.drop_from("grpo", 2)
        log(run, "grpo", range(2, 6), 5.0)
    first, second = wandb.runs
    assert first.id == second.id and (first.exit_code, second.exit_code) == (1, 0)
    assert first.options == {"mode": "offline", "resume": None, "dir": str(run.path)}
    assert second.options["resume"] == "allow"
    sent = [(row["grpo/step"], row["grpo/loss"]) for row in first.logged + second.logged]
    assert sent == expected((range(4), 1.0), (range(4, 6), 5.0))
    assert second.axes == {"grpo/*": "grpo/step"}
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"


def test_wandb_does_as_the_environment_says(run: RunDir, wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with mirrored(run.path, ("wandb",)):
        pass
    assert wandb.runs[0].options["mode"] is None


def test_mlflow_gets_every_step_once_in_one_run(
    run: RunDir, mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mirrored(run.path, ("mlflow",)):
        log(run, "sft", range(3), 1.0)
    with mirrored(run.path, ("mlflow",)):
        log(run, "sft", range(3, 5), 1.0)
    assert mlflow.status == {"run0": "FINISHED"}
    sent = [(metric.step, metric.value) for metric in mlflow.metrics if metric.key == "sft/loss"]
    assert sent == expected((range(5), 1.0))
    assert mlflow.uris == [f"sqlite:///{run.path}/mlflow/mlflow.db"] * 2
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    with mirrored(run.path, ("mlflow",)):
        pass
    assert mlflow.uris[-1] is None  # the package reads the variable itself


def test_a_tracker_that_fails_is_given_up_and_said(
    run: RunDir, wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mirrored(run.path, ("wandb", "tensorboard")):
        monkeypatch.setattr(wandb.runs[0], "log", lambda data: 1 / 0)
        log(run, "sft", range(3), 1.0)
    assert curves(run.path)["sft/loss"] == expected((range(3), 1.0))
    assert capsys.readouterr().err.count("tracker wandb failed and is given up: ZeroDivisionError") == 1


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_refused_with_what_to_install(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda package: None if package == name else object())
    check_trackers(("tensorboard",))
    with pytest.raises(UserError, match=f"pip install {name}.*--trackers tensorboard"):
        check_trackers(("tensorboard", name))


def test_one_that_does_not_start_is_the_users_to_mend(
    run: RunDir, wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["wandb"], "init", lambda **options: 1 / 0)
    with pytest.raises(UserError, match="tracker wandb does not start"), mirrored(run.path, ("wandb",)):
        pass


def test_a_line_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = MetricsTail(path)
    assert tail.read() == (False, [])
    line = json.dumps({"stage": "sft", "step": 0, "loss": 1.0})
    path.write_text(line[:10])
    assert tail.read() == (True, [])
    path.write_text(line + "\n{torn\n")
    assert tail.read() == (False, [step_row(line)])
    path.write_text("")  # shorter than what was read
    assert tail.read() == (True, [])
    tail.close()
