"""GRPO end to end on a model of a few thousand weights: real Ray, real updates, the transformers engine."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from temporay.models.policy import OptimizerConfig
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.reinforcement.ledger import reconcile
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in
from temporay.workflows.config import dotted_names
from temporay.workflows.grpo.loop import check, forget, run
from temporay.workflows.grpo.producer import Producer, prune
from temporay.workflows.grpo.settings import UNUSED, GrpoConfig
from temporay.workflows.rollouts.settings import PoolConfig, RewardConfig

from tests.blind_model import write_blind
from tests.small_data import write_dataset
from tests.small_runs import write_model

NUM_STEPS = 4
VARIED = RewardConfig(weights={"tests.workflows.varied_rewards:Varied": 1.0})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of twins on two levels."""
    return write_dataset(tmp_path_factory.mktemp("rl"), split="rl", num_samples=12, twins=True, levels=(0, 1))


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(data, tmp_path_factory.mktemp("policy") / "model")


def config(data: Path, model: Path, out: Path, **changes: Any) -> GrpoConfig:
    settings = {
        "num_steps": NUM_STEPS,
        "prompts_per_step": 3,
        "group_size": 4,
        "max_tokens": 8,
        "rewards": VARIED,
        "guards": {"canary_every": 0},
        "optimizer": OptimizerConfig(lr=1e-3, schedule="constant"),
        "threads": 1,
        "checkpoint_every": 2,
        "pool": PoolConfig(engine="local"),
        **changes,
    }
    return GrpoConfig.model_validate({**settings, "data": data, "model": model, "out": out})


def rows_of(out: Path, stage: str = "grpo") -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["stage"] == stage]


def changed(model: Path, other: Path) -> bool:
    """Whether any weight differs."""
    before, after = (load_file(folder / "model.safetensors") for folder in (model, other))
    return any(not torch.equal(before[name], after[name]) for name in after)


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_improves_weights_and_accounts_for_every_prompt(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = run(config(data, model, out))
    rows = rows_of(out)
    assert [row["step"] for row in rows] == list(range(NUM_STEPS))
    assert {row["staleness"] for row in rows} == {0}
    assert summary["decodes_per_prompt"] == 1
    assert all(row["media_physical_bytes"] <= (1 / 4 + 0.02) * row["media_logical_bytes"] for row in rows)
    assert summary["parity_max_abs"] < 1e-4
    assert all(row["useful_groups"] > 0 for row in rows)
    assert changed(model, out / "model")
    account = rows_of(out, "ledger")
    assert reconcile(account, max_staleness=0) == []
    assert summary["groups"]["trained"] == sum(len(line["trained"]) for line in account) > 0
    shown = json.loads(path_of(out, 0).with_suffix(".trainer.json").read_text())
    for scored in read_step(path_of(out, 0)).groups:
        for rollout, logprobs in zip(scored.group.rollouts, shown[scored.group.key], strict=True):
            assert logprobs == pytest.approx(rollout.logprobs, abs=1e-4)


@pytest.mark.usefixtures("ray_cluster")
def test_poisoned_rewards_are_masked_and_batches_may_lag(data: Path, model: Path, tmp_path: Path) -> None:
    rewards = RewardConfig(weights={"tests.workflows.hostile_rewards:poisoned": 1.0})
    changes = {"rewards": rewards, "num_steps": 6, "max_staleness": 1, "segment_tokens": 3}
    summary = run(config(data, model, tmp_path, **changes))
    rows = rows_of(tmp_path)
    crashed = sum(row.get("status_crashed", 0) for row in rows)
    assert 0 < crashed == summary["rollouts_without_reward"] < 6 * 3 * 4
    assert summary["groups"]["unscored"] > 0 and summary["groups"]["trained"] > 0
    assert all(math.isfinite(row["reward"]) for row in rows)
    assert all(0 <= row["staleness"] <= 1 for row in rows)
    assert reconcile(rows_of(tmp_path, "ledger"), max_staleness=1) == []
    after = load_file(tmp_path / "model/model.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in after.values())


@pytest.mark.usefixtures("ray_cluster")
def test_all_that_may_shape_a_batch_in_one_loop(data: Path, model: Path, tmp_path: Path) -> None:
    """Twins and shuffled frames, a curriculum, refills, several updates per batch, a penalty, scales by task."""
    weights = {"twin": 1.0, "shuffled_contrast": 0.3, "tests.workflows.varied_rewards:Sparse": 1.0}
    changes = {
        "rewards": RewardConfig(weights=weights),
        "prompts_per_step": 4,
        "max_refills": 2,
        "curriculum": {"enabled": True, "static_share": 0.25},
        "loss": {"loss_type": "gspo", "beta": 0.1, "epsilon": 0.01, "epsilon_high": 0.01},
        "scale_rewards": "task",
        "optimizer": {"lr": 1e-2},
        "num_iterations": 2,
        "mini_batches": 2,
    }
    summary = run(config(data, model, tmp_path, **changes))
    rows, account = rows_of(tmp_path), rows_of(tmp_path, "ledger")
    assert reconcile(account, max_staleness=0) == []
    dataset = Dataset.open(data)
    pair_of = {dataset.sample(i).key: dataset.sample(i).address.pair_id for i in range(len(dataset))}
    for line in account:
        keys = [group["key"] for group in line["groups"]]
        assert all(pair_of[a] == pair_of[b] and a != b for a, b in zip(keys[::2], keys[1::2], strict=True))
    assert any(row["prompts"] > 4 for row in rows)  # some were flat and replaced
    assert all(row["prompts"] <= 4 + 4 + 4 for row in rows)
    assert summary["groups"]["flat"] > 0
    assert any("useful_steered" in row for row in rows)
    assert rows[-1]["kl"] > 1e-6
    assert all(0 <= row["engine_kl"] < 1e-6 and row["entropy"] > 0 for row in rows if "engine_kl" in row)
    assert any(row.get("clip_fraction_high", 0) + row.get("clip_fraction_low", 0) > 0 for row in rows)
    reference = [row for row in rows_of(tmp_path, "grpo_worker") if "reference_bytes_per_rank" in row]
    assert [row["reference_bytes_per_rank"] > 1000 for row in reference] == [True]
    scales = [read_step(path_of(tmp_path, step)).state["scales"] for step in steps_in(tmp_path)]
    assert len(scales) == NUM_STEPS and scales[0] != scales[-1] and scales[0].keys() == {"motion_direction"}
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    assert json.loads((newest / "manifest.json").read_text())["step"] == 4 * NUM_STEPS  # optimizer steps


@pytest.mark.usefixtures("ray_cluster")
def test_what_stops_a_run_before_it_learns_the_wrong_thing(data: Path, model: Path, tmp_path: Path) -> None:
    """A reward that never works, and a model whose vision tower gives nothing."""
    rewards = RewardConfig(weights={"tests.workflows.varied_rewards:Broken": 1.0})
    guards = {"canary_every": 0, "max_unusable_steps": 2}
    alone = {"mode": "rollouts_only", "rewards": rewards}
    with pytest.raises(BaseExceptionGroup) as caught:
        run(config(data, model, tmp_path / "broken", guards=guards, **alone))
    [error] = caught.value.exceptions
    assert isinstance(error, UserError)
    assert "2 steps in a row" in str(error) and "of the last 12 rollouts 12 have none because" in str(error)
    assert "Broken: gave nan, which is not a finite number" in str(error)
    assert {g["outcome"] for line in rows_of(tmp_path / "broken", "ledger") for g in line["groups"]} <= {"unscored"}
    blind = write_blind(model, tmp_path / "blind")
    with pytest.raises(UserError, match="does not look at the video: 100% of its answers"):
        run(config(data, blind, tmp_path / "out", guards={"canary_every": 2, "canary_prompts": 4}, **alone))
    [seen] = rows_of(tmp_path / "out", "canary")
    assert (seen["step"], seen["agreement"]) == (0, 1.0)


@pytest.mark.usefixtures("ray_cluster")
def test_rollouts_alone_and_training_from_them(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled = run(config(data, model, tmp_path / "sampled", mode="rollouts_only", num_steps=2))
    assert sampled["groups"] == {"trained": 0, "flat": 0, "unscored": 0, "observed": 6}
    assert not (tmp_path / "sampled/model").exists()
    assert "mode rollouts_only has no use for optimizer, loss" in capsys.readouterr().out
    changes = {"mode": "from_rollouts", "rollouts": tmp_path / "sampled", "num_steps": 2}
    learned = run(config(data, model, tmp_path / "learned", **changes))
    assert learned["groups"] == {"trained": 6, "flat": 0, "unscored": 0, "observed": 0}
    assert "mode from_rollouts has no use for pool" in capsys.readouterr().out
    assert changed(model, tmp_path / "learned/model")


def test_what_a_mode_does_not_use_are_settings(data: Path, model: Path, tmp_path: Path) -> None:
    names = dotted_names(config(data, model, tmp_path))
    for unused in UNUSED.values():
        assert all(any(f"{name}.".startswith(f"{part}.") for name in names) for part in unused)


def test_rollouts_stay_while_a_checkpoint_needs_them(data: Path, model: Path, tmp_path: Path) -> None:
    for step in range(12):
        path_of(tmp_path, step).parent.mkdir(exist_ok=True)
        path_of(tmp_path, step).touch()
    forget(config(data, model, tmp_path, checkpoint_every=4, keep_rollouts_every=5), 11)
    assert steps_in(tmp_path) == list(range(12))  # no checkpoint was due
    forget(config(data, model, tmp_path, checkpoint_every=4, keep_rollouts_every=5), 12)
    assert steps_in(tmp_path) == [0, 3, 4, 5, 6, 7, 8, 9, 10, 11]  # step 4's checkpoint resumes behind step 3's state
    prune(tmp_path, before=100, keep_every=5)
    assert steps_in(tmp_path) == [0, 5, 10]


def test_a_resumed_run_draws_on(data: Path, model: Path, tmp_path: Path) -> None:
    """State that was written with a batch is the state the next one begins with; none is needed for the first."""
    from temporay.operators.reinforcement.rollout_files import write_step
    from temporay.workflows.grpo.state import RunState

    class NoEngines:
        processor = None

    producer = Producer.open(config(data, model, tmp_path), Dataset.open(data), NoEngines())  # type: ignore[arg-type]
    assert producer.state_before(0) == RunState()
    _, cursor = producer.choose(RunState().cursor, RunState().rates, 5)
    state = RunState(cursor=cursor, num_unusable=1)
    write_step(path_of(tmp_path, 0), (), state.to_json())
    assert producer.state_before(1) == state
    with pytest.raises(UserError, match="does not hold the rollouts"):
        producer.state_before(3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "from_rollouts"}, "give both, or neither"),
        ({"rollouts": Path("/nowhere")}, "give both, or neither"),
        ({"mode": "from_rollouts", "rollouts": Path("/nowhere")}, "no rollouts of step 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    data: Path, model: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check(config(data, model, tmp_path, **changes), Dataset.open(data))


def test_a_curriculum_needs_levels(model: Path, tmp_path: Path) -> None:
    flat = write_dataset(tmp_path / "flat", num_samples=2, level=1)
    with pytest.raises(UserError, match="is of level 1; generate several"):
        check(config(flat, model, tmp_path, curriculum={"enabled": True}), Dataset.open(flat))
