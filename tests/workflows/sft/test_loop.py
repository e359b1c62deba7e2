"""Supervised fine-tuning: who reads which row, and that no kill changes the result."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from safetensors.torch import load_file
from temporay.models.policy import OptimizerConfig
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.video_qa import VideoReading
from temporay.operators.errors import UserError
from temporay.workflows.sft.inputs import prepare
from temporay.workflows.sft.learner import check_cursor, cursor_of
from temporay.workflows.sft.log import accounts
from temporay.workflows.sft.loop import run
from temporay.workflows.sft.mixture import parts_of
from temporay.workflows.sft.settings import SftConfig, SftSettings
from temporay.workflows.tune import TuneConfig
from temporay.workflows.tune import run as run_tune

from tests.small_data import write_dataset
from tests.small_runs import write_model

NUM_STEPS, KILL_AFTER = 24, 4  # enough steps after the first checkpoint to be killed among them


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten clips of drawn motion."""
    return write_dataset(tmp_path_factory.mktemp("data"), num_samples=10)


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(data, tmp_path_factory.mktemp("base") / "model")


def config(data: Path, model: Path, out: Path, **changes: object) -> SftConfig:
    settings = {
        "num_steps": NUM_STEPS,
        "batch_size": 4,
        "micro_batch_size": 2,
        "optimizer": OptimizerConfig(lr=5e-4, warmup_steps=2, weight_decay=0.1),
        "threads": 1,
        "checkpoint_every": KILL_AFTER,
        **changes,
    }
    return SftConfig.model_validate({**settings, "data": data, "model": model, "out": out})


@pytest.mark.parametrize(("changes"), [{"tokens_per_step": 100}, {"batch_size": None}])
def test_a_step_has_one_measure(data: Path, model: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give one of batch_size and tokens_per_step"):
        config(data, model, tmp_path, **changes)


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None, data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbs."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run(config(data, model, out))
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def steps_logged(out: Path) -> list[int]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row["step"] for row in rows if "loss" in row]


def losses_logged(out: Path) -> list[float]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def largest_difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def test_a_run_learns_and_says_so(undisturbed: Path, model: Path) -> None:
    assert steps_logged(undisturbed) == list(range(NUM_STEPS))
    start_row, *rows = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert start_row["world_size"] == 1 and start_row["rejected_checkpoints"] == []
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.1
    assert {"loss", "grad_norm", "lr", "tokens_per_s", "wait", "input_tokens", "padding"} <= rows[0].keys()
    summary = json.loads((undisturbed / "summary.json").read_text())
    assert summary["loss"] == rows[-1]["loss"]
    assert 0 <= summary["wait"] < 1 and 0 <= summary["padding"] < 1
    assert largest_difference(weights(undisturbed), load_file(model / "model.safetensors")) > 1e-4


def test_a_finished_run_is_not_run_again_and_another_config_is_refused(
    undisturbed: Path, data: Path, model: Path
) -> None:
    before = (undisturbed / "metrics.jsonl").stat().st_mtime_ns
    assert run(config(data, model, undisturbed))["num_steps"] == NUM_STEPS
    assert (undisturbed / "metrics.jsonl").stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"other settings.*seed: 0 → 1"):
        run(config(data, model, undisturbed, seed=1))


def test_other_data_than_the_run_began_with_is_refused(data: Path, model: Path, tmp_path: Path) -> None:
    inputs = prepare(config(data, model, tmp_path), parts_of(data, (), VideoReading()))
    check_cursor({}, cursor_of(inputs, 3))
    check_cursor(json.loads(json.dumps(cursor_of(inputs, 3))), cursor_of(inputs, 3))
    changed = dataclasses.replace(inputs, parts=(dataclasses.replace(inputs.parts[0], fingerprint="other"),))
    with pytest.raises(UserError, match="the data changed since the checkpoint"):
        check_cursor(cursor_of(inputs, 3), cursor_of(changed, 3))


def test_too_long_samples_are_left_out_by_name(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = parts_of(data, (), VideoReading())
    tokens = prepare(config(data, model, tmp_path), parts).schedule.tokens_N
    limit = int(sorted(tokens)[-3])  # so that two are longer, unless lengths are equal
    gone = [row for row, n in enumerate(tokens.tolist()) if n > limit]
    assert 0 < len(gone) < 10
    inputs = prepare(config(data, model, tmp_path, max_length=limit, max_dropped_share=0.5), parts)
    assert set(inputs.schedule.rows.tolist()) == set(range(10)) - set(gone)
    assert "samples left out, over_max_length: " in capsys.readouterr().out
    (account,) = accounts(inputs)
    keys = {Dataset.open(data).sample(row).key: int(tokens[row]) for row in gone}
    assert account["dropped_samples"] == {"over_max_length": {"count": len(gone), "tokens": keys}}
    with pytest.raises(UserError, match=rf"{len(gone)} of 10 samples are too long .*max_dropped_share is 0.05"):
        prepare(config(data, model, tmp_path, max_length=limit), parts)


def wait_for(path: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    for _ in range(2400):
        if path.exists():
            return
        assert process is None or process.poll() is None, f"ended before {path.name}"
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


def test_two_workers_of_which_one_is_killed_equal_one(
    ray_cluster: None, undisturbed: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed: list[int] = []

    def kill_a_worker() -> None:
        wait_for(out / "checkpoints" / f"step-{KILL_AFTER:08d}" / "manifest.json")
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        killed.append(next(row["pid"] for row in rows if "pid" in row))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    run(config(data, model, out, num_workers=2))
    killer.join()
    assert killed
    pids = {row["pid"] for row in map(json.loads, (out / "metrics.jsonl").read_text().splitlines()) if "pid" in row}
    assert len(pids) == 2  # it was started again
    assert steps_logged(out) == list(range(NUM_STEPS))
    assert largest_difference(weights(out), weights(undisturbed)) < 1e-5


def start(data: Path, model: Path, out: Path, **changes: object) -> subprocess.Popen[bytes]:
    """The run as a process of its own, with the command's exit codes."""

    code = (
        "import sys; import temporay.workflows.__main__ as command;"
        "from temporay.workflows.sft.loop import SftConfig, run;"
        "command.dispatch = lambda arguments: run(SftConfig.model_validate_json(arguments[0])) and 0;"
        "sys.exit(command.main(sys.argv[1:]))"
    )
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    settings = config(data, model, out, **changes).model_dump_json()
    return subprocess.Popen([sys.executable, "-c", code, settings], env=environment, start_new_session=True)


@pytest.mark.drill
def test_driver_killed_and_run_again_gives_the_same_weights(
    ray_cluster: None, undisturbed: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = start(data, model, out)
    wait_for(out / "checkpoints" / f"step-{KILL_AFTER:08d}" / "manifest.json", first)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (out / "summary.json").exists()
    assert start(data, model, out).wait() == 0
    assert steps_logged(out) == list(range(NUM_STEPS))
    assert losses_logged(out) == losses_logged(undisturbed)
    assert largest_difference(weights(out), weights(undisturbed)) == 0.0


def test_a_run_goes_on_after_damage(
    undisturbed: Path, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flipped byte in the newest checkpoint, Ray Train's own state cut short, and half a line of metrics."""
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    (out / "summary.json").unlink()
    shutil.rmtree(out / "model")
    settings = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**settings, "out": str(out)}))
    newest = out / "checkpoints" / f"step-{NUM_STEPS:08d}"
    damaged = newest / "__0_0.distcp"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    for name in ("1", "2"):
        (out / "ray_train" / name).mkdir(parents=True)
        (out / "ray_train" / name / "checkpoint_manager_snapshot.json").write_text('{"checkpoint_results": [{"chec')
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "sft", "st')
    run(config(data, model, out))
    back = NUM_STEPS - KILL_AFTER
    said = capsys.readouterr().out
    assert f"sft: not whole: checkpoint {newest.name}: {damaged.name} is not what was written; going on from" in said
    assert f"step {back}" in said
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "pid" in row] == [0, back]
    assert losses_logged(out) == losses_logged(undisturbed)
    assert largest_difference(weights(out), weights(undisturbed)) == 0.0


VALIDATED = {"validate_every": 4, "validation_samples": 5, "best_metric": "shuffled_gap"}
BY_TOKENS = {"batch_size": None, "tokens_per_step": 500, "micro_batch_tokens": 260, "max_dropped_share": 0.0}


@pytest.fixture(scope="module")
def validated(ray_cluster: None, data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Steps by tokens, validated, by one worker that nobody disturbs."""
    out = tmp_path_factory.mktemp("validated") / "run"
    run(config(data, model, out, validation=data, **VALIDATED, **BY_TOKENS))
    return out


def rows_logged(out: Path, stage: str, name: str) -> list[Any]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if row["stage"] == stage and name in row]


def test_validation_keeps_the_best_weights(validated: Path) -> None:
    assert rows_logged(validated, "sft_validation", "step") == [4, 8, 12, 16, 20, 24]
    gaps = rows_logged(validated, "sft_validation", "shuffled_gap")
    losses = rows_logged(validated, "sft_validation", "ordered_loss")
    assert losses[-1] < losses[0]
    for wins in rows_logged(validated, "sft_validation", "blind_wins"):
        assert 0 <= wins <= 1
    summary = json.loads((validated / "summary.json").read_text())
    best = summary["best"]
    assert (best["step"], best["value"]) == (4 * (gaps.index(max(gaps)) + 1), max(gaps))
    assert summary["validation"]["num_samples"] == 5
    kept = load_file(Path(best["model"]) / "model.safetensors")
    assert (largest_difference(kept, weights(validated)) == 0.0) == (best["step"] == NUM_STEPS)
    assert not (validated / "best_so_far").exists()


@pytest.mark.drill
def test_one_two_one_workers_and_sigterm_train_every_sample_once_per_epoch(
    validated: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    changes = {"validation": data, "checkpoint_every": 100, **VALIDATED, **BY_TOKENS}
    for num_workers, until in ((1, 3), (2, 12)):
        process = start(data, model, out, num_workers=num_workers, **changes)
        wait_for_step(out, until, process)
        process.terminate()
        assert process.wait() == 75
        assert not (out / "summary.json").exists()
        stopped = rows_logged(out, "sft", "rows")
        assert (out / "checkpoints" / f"step-{len(stopped):08d}" / "manifest.json").exists()
    assert start(data, model, out, num_workers=1, **changes).wait() == 0
    trained = rows_logged(out, "sft", "rows")
    assert trained == rows_logged(validated, "sft", "rows")
    places = [row for rows in trained for row in rows]
    for epoch in range(len(places) // 10):
        assert sorted(places[10 * epoch : 10 * (epoch + 1)]) == list(range(10))
    assert rows_logged(out, "sft", "world_size") == [1, 2, 1]
    assert rows_logged(out, "sft_validation", "step") == [4, 8, 12, 16, 20, 24]
    assert largest_difference(weights(out), weights(validated)) < 1e-5


def wait_for_step(out: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2400):
        if (out / "metrics.jsonl").exists() and len(rows_logged(out, "sft", "loss")) > step:
            return
        assert process.poll() is None, f"ended before step {step}"
        time.sleep(0.05)
    raise AssertionError(f"step {step} never came")


@pytest.mark.drill
def test_search_stops_bad_trials_and_keeps_the_best(ray_cluster: None, data: Path, model: Path, tmp_path: Path) -> None:
    shared = config(data, model, tmp_path).model_dump(include=set(SftSettings.model_fields))
    summary = run_tune(
        TuneConfig.model_validate(
            {
                "data": data,
                "model": model,
                "out": tmp_path / "search",
                "sft": shared,
                "search": ("optimizer.lr=3e-3,1e-5,1e-6",),
            }
        )
    )
    assert summary["best"]["settings"] == {"optimizer.lr": 3e-3}
    assert [trial["status"] for trial in summary["trials"]].count("finished") >= 1
    assert (Path(summary["model"]) / "model.safetensors").exists()
