"""Supervised fine-tuning: a run learns, keeps its best weights, and gives the same after kills and damage."""

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
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.videos.reading import VideoReading
from temporay.workflows import export_model
from temporay.workflows.sft.inputs import prepare
from temporay.workflows.sft.learner import check_cursor, cursor_of
from temporay.workflows.sft.log import accounts
from temporay.workflows.sft.loop import run
from temporay.workflows.sft.mixture import parts_of
from temporay.workflows.sft.settings import SftConfig, SftSettings
from temporay.workflows.tune import TuneConfig
from temporay.workflows.tune import run as run_tune

NUM_STEPS, KILL_AFTER = 16, 4  # enough steps after the first checkpoint to be killed among them
VALIDATED_STEPS = [0, 4, 8, 12, 16]


def config(data: Path, model: Path, out: Path, **changes: object) -> SftConfig:
    """Set up steps by tokens, with validation."""
    settings = {
        "num_steps": NUM_STEPS,
        "batch_size": None,
        "tokens_per_step": 500,
        "micro_batch_size": 2,
        "micro_batch_tokens": 300,
        "max_dropped_share": 0.0,
        "optimizer": {"lr": 5e-4, "warmup_steps": 2, "weight_decay": 0.1},
        "threads": 1,
        "checkpoint_every": KILL_AFTER,
        "validation": data.with_name("held_out"),
        "validate_every": 4,
        "validation_samples": 5,
        "best_metric": "shuffled_gap",
        **changes,
    }
    return SftConfig.model_validate({**settings, "data": data, "model": model, "out": out})


@pytest.mark.parametrize("changes", [{"batch_size": 4}, {"tokens_per_step": None}])
def test_a_step_has_one_measure(data: Path, model: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give one of batch_size and tokens_per_step"):
        config(data, model, tmp_path, **changes)


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None, data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run one worker that nobody disturbs."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run(config(data, model, out))
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def rows_of(out: Path, stage: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["stage"] == stage]


def logged(out: Path, name: str, stage: str = "sft") -> list[Any]:
    """Return a value of every line of a stage that has it."""
    return [row[name] for row in rows_of(out, stage) if name in row]


def steps_logged(out: Path) -> list[int]:
    return [row["step"] for row in rows_of(out, "sft") if "loss" in row]


def largest_difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def test_the_newest_checkpoint_becomes_the_model_of_the_run(undisturbed: Path, tmp_path: Path) -> None:
    """To the byte, in a process of its own."""
    export_model.run(export_model.ExportModelConfig(run=undisturbed, out=tmp_path / "model"))
    files = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (undisturbed / "model").iterdir()}


def test_a_run_learns_and_says_so(undisturbed: Path, model: Path) -> None:
    losses = logged(undisturbed, "loss")
    assert len(losses) == NUM_STEPS and losses[-1] < losses[0] - 0.1
    assert logged(undisturbed, "world_size") == [1] and logged(undisturbed, "rejected_checkpoints") == [[]]
    for name in ("grad_norm", "lr", "tokens_per_s", "wait", "input_tokens", "padding"):
        assert len(logged(undisturbed, name)) == NUM_STEPS
    forecasts, (available,) = logged(undisturbed, "forecast_bytes", "memory"), logged(undisturbed, "available_bytes")
    assert forecasts and all(0 < forecast < available for forecast in forecasts)
    summary = json.loads((undisturbed / "summary.json").read_text())
    assert summary["loss"] == losses[-1]
    assert 0 <= summary["wait"] < 1 and 0 <= summary["padding"] < 1
    assert largest_difference(weights(undisturbed), load_file(model / "model.safetensors")) > 1e-4


def test_validation_keeps_the_best_weights(undisturbed: Path) -> None:
    assert logged(undisturbed, "step", "sft_validation") == VALIDATED_STEPS
    gaps = logged(undisturbed, "shuffled_gap", "sft_validation")
    losses = logged(undisturbed, "ordered_loss", "sft_validation")
    assert losses[-1] < losses[0]
    for wins in logged(undisturbed, "blind_wins", "sft_validation"):
        assert 0 <= wins <= 1
    summary = json.loads((undisturbed / "summary.json").read_text())
    best, after_a_step = summary["best"], gaps[1:]
    assert (best["step"], best["value"]) == (4 * (after_a_step.index(max(after_a_step)) + 1), max(after_a_step))
    assert summary["validation"]["num_samples"] == 5
    kept = load_file(Path(best["model"]) / "model.safetensors")
    assert (largest_difference(kept, weights(undisturbed)) == 0.0) == (best["step"] == NUM_STEPS)
    assert not (undisturbed / "best_so_far").exists()


def test_a_finished_run_is_not_run_again_and_another_config_is_refused(
    undisturbed: Path, data: Path, model: Path
) -> None:
    before = (undisturbed / "metrics.jsonl").stat().st_mtime_ns
    assert run(config(data, model, undisturbed))["num_steps"] == NUM_STEPS
    assert (undisturbed / "metrics.jsonl").stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"other settings.*seed: 0 → 1"):
        run(config(data, model, undisturbed, seed=1))


def test_other_data_than_the_run_began_with_is_refused(data: Path, model: Path, tmp_path: Path) -> None:
    inputs = prepare(config(data, model, tmp_path), parts_of(data, (), VideoReading()), None)
    check_cursor({}, cursor_of(inputs, 3))
    check_cursor(json.loads(json.dumps(cursor_of(inputs, 3))), cursor_of(inputs, 3))
    changed = dataclasses.replace(inputs, parts=(dataclasses.replace(inputs.parts[0], fingerprint="other"),))
    with pytest.raises(UserError, match="the data changed since the checkpoint"):
        check_cursor(cursor_of(inputs, 3), cursor_of(changed, 3))


def test_too_long_samples_are_left_out_by_name(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts, plain = parts_of(data, (), VideoReading()), {"validation": None}
    tokens = prepare(config(data, model, tmp_path, **plain), parts, None).schedule.tokens_N
    limit = int(sorted(tokens)[-3])  # so that two are longer, unless lengths are equal
    gone = [row for row, n in enumerate(tokens.tolist()) if n > limit]
    assert 0 < len(gone) < 10
    inputs = prepare(config(data, model, tmp_path, max_length=limit, max_dropped_share=0.5, **plain), parts, None)
    assert set(inputs.schedule.rows.tolist()) == set(range(10)) - set(gone)
    assert "samples left out, over_max_length: " in capsys.readouterr().out
    (account,) = accounts(inputs, num_steps=1)
    assert account["drawn"] == len(inputs.schedule.rows_of(0)) < len(inputs.schedule.rows)
    keys = {Dataset.open(data).sample(row).key: int(tokens[row]) for row in gone}
    assert account["dropped_samples"] == {"over_max_length": {"count": len(gone), "tokens": keys}}
    with pytest.raises(UserError, match=rf"{len(gone)} of 10 samples are too long .*max_dropped_share is 0"):
        prepare(config(data, model, tmp_path, max_length=limit, **plain), parts, None)


def test_a_diverged_run_ends_at_once_and_names_its_samples(
    ray_cluster: None, data: Path, model: Path, tmp_path: Path
) -> None:
    """Steps without a finite gradient are left out, up to a limit; then nothing is tried again."""
    wild = {"optimizer": {"lr": 1e30}, "validation": None, "best_metric": "ordered_loss", "max_not_finite_steps": 3}
    with pytest.raises(UserError, match="so it was in 3 optimizer steps in a row: the loss has diverged; lower"):
        run(config(data, model, tmp_path, **wild))
    assert len(logged(tmp_path, "pid")) == 1  # max_failures is 3
    assert logged(tmp_path, "skipped_not_finite") == [1.0, 1.0]
    skipped = [row for row in rows_of(tmp_path, "sft") if "skipped_not_finite" in row]
    dataset = Dataset.open(data)
    assert [row["keys"] for row in skipped] == [[dataset.sample(i).key for i in row["rows"]] for row in skipped]


def wait_for(path: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    for _ in range(2400):
        if path.exists():
            return
        assert process is None or process.poll() is None, f"ended before {path.name}"
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


def test_two_workers_give_the_weights_of_one_after_a_kill(
    ray_cluster: None, undisturbed: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed: list[int] = []

    def kill_a_worker() -> None:
        wait_for(out / "checkpoints" / f"step-{KILL_AFTER:08d}" / "manifest.json")
        killed.append(logged(out, "pid")[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    run(config(data, model, out, num_workers=2))
    killer.join()
    assert killed
    assert len(set(logged(out, "pid"))) == 2  # it was started again
    assert steps_logged(out) == list(range(NUM_STEPS))
    assert logged(out, "step", "sft_validation") == VALIDATED_STEPS
    gaps = [logged(run_of, "shuffled_gap", "sft_validation") for run_of in (out, undisturbed)]
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-3)
    assert largest_difference(weights(out), weights(undisturbed)) < 1e-5


def test_a_run_goes_on_after_damage(
    undisturbed: Path, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged are a byte of the newest checkpoint, Ray Train's own state, and the last line of metrics."""
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    unfinish(out)
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
    assert f"sft: not whole: checkpoint {newest.name}: {damaged.name} is not what was written; resuming from" in said
    assert f"step {back}" in said
    assert len(logged(out, "pid")) == 2
    assert logged(out, "step", "sft_validation") == VALIDATED_STEPS
    for name, stage in (("loss", "sft"), ("ordered_loss", "sft_validation")):
        assert logged(out, name, stage) == logged(undisturbed, name, stage)
    assert largest_difference(weights(out), weights(undisturbed)) == 0.0
    assert (out / "best.json").read_text() == (undisturbed / "best.json").read_text()


def unfinish(out: Path) -> None:
    """Turn a copy of a finished run into one that was killed after its last step."""
    settings = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**settings, "out": str(out)}))
    (out / "summary.json").unlink()
    shutil.rmtree(out / "model")
    (out / "best_so_far").mkdir()
    (out / "best").rename(out / "best_so_far" / json.loads((out / "best.json").read_text())["folder"])
    (out / "best.json").rename(out / "best_so_far" / "best.json")


def start(data: Path, model: Path, out: Path, **changes: object) -> subprocess.Popen[bytes]:
    """Start the run as a process of its own, with the command's exit codes."""
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
    assert logged(out, "loss") == logged(undisturbed, "loss")
    assert largest_difference(weights(out), weights(undisturbed)) == 0.0


@pytest.mark.drill
def test_stopped_runs_of_one_and_two_workers_train_every_sample_once_per_epoch(
    undisturbed: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    for num_workers, until in ((1, 3), (2, 12)):
        process = start(data, model, out, num_workers=num_workers, checkpoint_every=100)
        wait_for_step(out, until, process)
        process.terminate()
        assert process.wait() == 75
        assert not (out / "summary.json").exists()
        stopped = logged(out, "rows")
        assert (out / "checkpoints" / f"step-{len(stopped):08d}" / "manifest.json").exists()
    assert start(data, model, out, num_workers=1, checkpoint_every=100).wait() == 0
    trained = logged(out, "rows")
    assert trained == logged(undisturbed, "rows")
    places = [row for rows in trained for row in rows]
    for epoch in range(len(places) // 10):
        assert sorted(places[10 * epoch : 10 * (epoch + 1)]) == list(range(10))
    assert logged(out, "world_size") == [1, 2, 1]
    assert logged(out, "step", "sft_validation") == VALIDATED_STEPS
    assert largest_difference(weights(out), weights(undisturbed)) < 1e-5


def wait_for_step(out: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2400):
        if (out / "metrics.jsonl").exists() and len(logged(out, "loss")) > step:
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
                "validation": data.with_name("held_out"),
                "sft": {**shared, "best_metric": "ordered_loss"},
                "search": ("optimizer.lr=3e-3,1e-5,1e-6",),
            }
        )
    )
    assert summary["best"]["settings"] == {"optimizer.lr": 3e-3}
    finished = [trial for trial in summary["trials"] if trial["status"] == "finished"]
    assert summary["best"]["validated"] == min(trial["validated"] for trial in finished)
    assert (Path(summary["model"]) / "model.safetensors").exists()
