"""GRPO end to end on a model of a few thousand weights: real Ray, real updates, the transformers engine."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models.policy import OptimizerConfig
from models.tiny import TinyShape, build
from operators.advantage import TaskScales
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
from operators.records import FinishReason, Group, Prompt, Rollout, Score, ScoreStatus
from workflows.__main__ import user_error_inside
from workflows.grpo import SCALES, GrpoConfig, check, run, scales_before, with_advantages
from workflows.reward_tasks import RewardConfig
from workflows.rollout_pool import PoolConfig
from workflows.run_dir import RunDir

NUM_STEPS = 4
VARIED = RewardConfig(weights={"tests.workflows.varied_rewards:Varied": 1.0})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rl")
    canvas = Canvas(
        width=32, height=32, fps=4.0, num_frames=(6, 8), num_scenes=(2, 2), frames_per_scene=(2, 2), jitter="none"
    )
    recipe = Recipe(tasks=("motion_direction",), num_samples=8, split="rl", canvas=canvas, instruct=False)
    source = open_source(recipe, folder / DRAWN_FOLDER)
    identity = recipe_json(recipe, source)
    write_json(folder / RECIPE_FILE, identity)
    write_shard(recipe, source, identity["recipe_hash"], 0, folder)
    write_index(recipe, folder)
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("policy") / "model"
    dataset = Dataset.open(data)
    shape = TinyShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(out, [dataset.sample(i).target for i in range(len(dataset))] * 5, shape, seed=0)
    return out


def config(data: Path, model: Path, out: Path, **changes: Any) -> GrpoConfig:
    settings = {
        "num_steps": NUM_STEPS,
        "prompts_per_step": 3,
        "group_size": 4,
        "max_tokens": 8,
        "rewards": VARIED,
        "optimizer": OptimizerConfig(lr=1e-3, schedule="constant"),
        "threads": 1,
        "checkpoint_every": 2,
        "pool": PoolConfig(engine="local"),
        **changes,
    }
    return GrpoConfig.model_validate({**settings, "data": data, "model": model, "out": out})


def steps_of(out: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["stage"] == "grpo"]


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("max_staleness", [0, 1])
def test_a_run_improves_weights_and_accounts_for_every_prompt(
    data: Path, model: Path, tmp_path: Path, max_staleness: int
) -> None:
    summary = run(config(data, model, tmp_path / "run", max_staleness=max_staleness))
    rows = steps_of(tmp_path / "run")
    assert [row["step"] for row in rows] == list(range(NUM_STEPS))
    assert all(0 <= row["staleness"] <= max_staleness for row in rows)
    assert summary["decodes_per_prompt"] == 1
    assert summary["parity_max_abs"] < 1e-4 or max_staleness
    before, after = load_file(model / "model.safetensors"), load_file(tmp_path / "run/model/model.safetensors")
    assert all(row["useful_groups"] > 0 for row in rows)
    assert any(not torch.equal(before[name], after[name]) for name in after)


@pytest.mark.usefixtures("ray_cluster")
def test_a_penalty_holds_the_policy_and_scales_resume(data: Path, model: Path, tmp_path: Path) -> None:
    changes = {"loss": {"loss_type": "gspo", "beta": 0.1}, "scale_rewards": "task", "optimizer": {"lr": 1e-2}}
    run(config(data, model, tmp_path, **changes))
    rows = steps_of(tmp_path)
    assert rows[0]["kl"] == 0.0  # the reference is computed as the policy is
    assert rows[-1]["kl"] > 1e-6
    assert all(0 <= row["engine_kl"] < 1e-6 and row["entropy"] > 0 for row in rows)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["reference_bytes_per_rank"] > 1000 for line in lines if "reference_bytes_per_rank" in line] == [True]
    scales = [line["scales"] for line in lines if line["stage"] == SCALES]
    assert len(scales) == NUM_STEPS and scales[0] != scales[-1] and scales[0].keys() == {"motion_direction"}
    run_dir = RunDir(path=tmp_path, resumed=True)
    assert scales_before(run_dir, 2).to_json() == scales[1]
    assert len(run_dir.rows(SCALES)) == 2
    assert scales_before(run_dir, 0) == TaskScales()


@pytest.mark.usefixtures("ray_cluster")
def test_poisoned_rewards_are_masked_and_counted(data: Path, model: Path, tmp_path: Path) -> None:
    rewards = RewardConfig(weights={"tests.workflows.hostile_rewards:poisoned": 1.0})
    summary = run(config(data, model, tmp_path, rewards=rewards, num_steps=6))
    rows = steps_of(tmp_path)
    crashed = sum(row.get("status_crashed", 0) for row in rows)
    assert 0 < crashed == summary["rollouts_without_reward"] < 6 * 3 * 4
    assert sum(group is None for row in rows for group in row["group_rewards"]) > 0
    assert all(math.isfinite(row["reward"]) for row in rows)
    assert sum("loss" in row for row in rows) >= 2, "what was not poisoned is learned from"
    after = load_file(tmp_path / "model/model.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in after.values())


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_without_any_reward_ends_with_the_reason(data: Path, model: Path, tmp_path: Path) -> None:
    rewards = RewardConfig(weights={"tests.workflows.hostile_rewards:worthless": 1.0})
    with pytest.raises(ExceptionGroup) as raised:
        run(config(data, model, tmp_path, rewards=rewards, max_steps_without_reward=2))
    message = str(user_error_inside(raised.value))
    assert "not one rollout of the last 2 steps has a reward, 12 of the last 12 because" in message
    assert "worthless: gave nan, which is not a finite number" in message
    assert len(steps_of(tmp_path)) == 1


def group(key: str, count: int) -> Group:
    rollout = Rollout(
        completion_ids=(1, 2), logprobs=(-1.0, -1.0), text="", finish_reason=FinishReason.STOP, weight_versions=(3, 3)
    )
    return Group(key=key, prompt_ids=(5,), rollouts=(rollout,) * count)


def scores(*rewards: float | None) -> list[Score]:
    crashed, ok = ScoreStatus.CRASHED, ScoreStatus.OK
    return [Score(reward=r, breakdown={}, status=crashed if r is None else ok) for r in rewards]


def test_flat_groups_are_dropped_whole_and_counted(data: Path, model: Path, tmp_path: Path) -> None:
    prompts = [Prompt(key=key, text="", frames_THWC=None, fps=1.0) for key in "abc"]
    produced = with_advantages(
        config(data, model, tmp_path),
        3,
        prompts,
        [group(key, 3) for key in "abc"],
        [scores(1, 1, 1), scores(0, 1, None), scores(0, None, None)],
        [None, None, None],
    )
    assert [prompt.key for prompt in produced.batch.prompts] == ["b"]
    assert produced.batch.advantages[0][2] is None
    assert produced.metrics["useful_groups"] == pytest.approx(1 / 3)
    assert produced.metrics["status_crashed"] == 3
    assert produced.metrics["reward"] == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("changes", "message"), [({"group_size": 1}, "at least 2"), ({"max_staleness": -1}, "or more")]
)
def test_settings_that_cannot_work_are_refused(
    data: Path, model: Path, tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check(config(data, model, tmp_path, **changes), Dataset.open(data))
