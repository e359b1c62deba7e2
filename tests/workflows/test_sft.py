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
from types import SimpleNamespace
from typing import Any

import pyarrow.compute as pc
import pytest
import torch
from safetensors.torch import load_file

from models.policy import OptimizerConfig
from models.tiny import TinyShape, build
from operators.at_rest.shards import (
    DRAWN_FOLDER,
    RECIPE_FILE,
    Dataset,
    recipe_json,
    write_index,
    write_json,
    write_shard,
)
from operators.errors import UserError
from operators.primitives._base import Canvas
from operators.recipe import Recipe, open_source
from operators.sources.video_qa import VideoReading
from workflows.mixture import Mixture, Part, parts_of
from workflows.sft import SftConfig, check, check_cursor, cursor_of, run
from workflows.training_data import Collate, RankRows, load_block
from workflows.tune import TuneConfig
from workflows.tune import run as run_tune

NUM_STEPS, KILL_AFTER = 24, 4  # enough steps after the first checkpoint to be killed among them


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten clips of drawn motion."""
    folder = tmp_path_factory.mktemp("data")
    canvas = Canvas(
        width=32, height=32, fps=4.0, num_frames=(6, 8), num_scenes=(2, 2), frames_per_scene=(2, 2), jitter="none"
    )
    recipe = Recipe(tasks=("motion_direction",), num_samples=10, canvas=canvas, instruct=False)
    source = open_source(recipe, folder / DRAWN_FOLDER)
    identity = recipe_json(recipe, source)
    write_json(folder / RECIPE_FILE, identity)
    write_shard(recipe, source, identity["recipe_hash"], 0, folder)
    write_index(recipe, folder)
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("base") / "model"
    dataset = Dataset.open(data)
    shape = TinyShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(out, [dataset.sample(i).target for i in range(len(dataset))] * 5, shape, seed=0)
    return out


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


def rank_rows(rank: int, world_size: int) -> RankRows:
    part = Part(path=Path(), weight=1.0, num_rows=10, fingerprint="", videos=VideoReading())
    return RankRows(
        parts=(part,), seed=1, batch_size=6, rank=rank, world_size=world_size, steps_per_block=4, num_steps=9
    )


def test_ranks_share_every_global_batch() -> None:
    steps, alone = zip(*(rank_rows(0, 1).of_block(block) for block in range(3)), strict=True)
    assert [step for block in steps for step in block] == [step for step in range(9) for _ in range(6)]
    for block, whole in enumerate(alone):
        parts = [rank_rows(rank, 2).of_block(block)[1] for rank in range(2)]
        assert [row for pair in zip(*parts, strict=True) for row in pair] == whole
    rows = [row for block in alone for row in block]
    assert sorted(rows[:10]) == list(range(10))


def test_an_uneven_batch_is_refused(data: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="batch_size is 4, which 3 workers cannot share evenly"):
        check(config(data, model, tmp_path, num_workers=3))


def test_an_unreadable_clip_is_named(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    bad = Dataset.open(broken).rows[7]
    with (broken / bad["shard"]).open("r+b") as file:
        file.seek(bad["offset"])
        file.write(bytes(bad["nbytes"]))
    rows = dataclasses.replace(rank_rows(0, 1), parts=parts_of(broken, (), VideoReading()))
    block = load_block({"id": [0]}, rows=rows, first_block=0, first_step=1)
    assert set(block["step"].to_pylist()) == {1, 2, 3}
    faulty = [row for row, error in zip(block["row"].to_pylist(), block["error"].to_pylist(), strict=True) if error]
    assert set(faulty) == {7}
    step = block["step"].to_pylist()[block["row"].to_pylist().index(7)]
    learner: Any = SimpleNamespace(family=None, processor=None)
    collate = Collate(
        learner,
        mixture=Mixture.open(rows.parts),
        micro_batch_size=2,
        instruction="",
        answer_only_instruction="",
        max_length=None,
    )
    with pytest.raises(UserError, match=f"{bad['id']} of .*broken cannot be read"):
        collate(block.filter(pc.field("step") == step))


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
    assert {"loss", "grad_norm", "lr", "tokens_per_s", "wait"} <= rows[0].keys()
    summary = json.loads((undisturbed / "summary.json").read_text())
    assert summary["loss"] == rows[-1]["loss"]
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
    settings, parts = config(data, model, tmp_path), parts_of(data, (), VideoReading())
    check_cursor({}, cursor_of(parts, settings, 3))
    check_cursor(json.loads(json.dumps(cursor_of(parts, settings, 3))), cursor_of(parts, settings, 3))
    changed = (dataclasses.replace(parts[0], fingerprint="other"),)
    with pytest.raises(UserError, match="the data changed since the checkpoint"):
        check_cursor(cursor_of(parts, settings, 3), cursor_of(changed, settings, 3))


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


def start(data: Path, model: Path, out: Path) -> subprocess.Popen[bytes]:
    import ray

    code = (
        "import sys; from pathlib import Path; from workflows.sft import SftConfig, run;"
        "run(SftConfig.model_validate_json(sys.argv[1]))"
    )
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    settings = config(data, model, out).model_dump_json()
    return subprocess.Popen([sys.executable, "-c", code, settings], env=environment, start_new_session=True)


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


@pytest.mark.drill
def test_search_stops_bad_trials_and_keeps_the_best(ray_cluster: None, data: Path, model: Path, tmp_path: Path) -> None:
    shared = config(data, model, tmp_path).model_dump(exclude={"data", "model", "out"})
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
