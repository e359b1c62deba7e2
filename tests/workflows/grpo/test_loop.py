"""GRPO end to end on a model of a few thousand weights: real Ray, real updates, the transformers engine."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from safetensors.torch import load_file
from temporay.models.families._base import family_of
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.reinforcement.gradient_noise import DECAY, noise_scale
from temporay.operators.reinforcement.ledger import reconcile
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in
from temporay.workflows.grpo.log import what_was_learned
from temporay.workflows.grpo.loop import run, run_with
from temporay.workflows.reports.rollout_cards import trainer_path
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.published_weights import publish
from temporay.workflows.rollouts.settings import ResolvedPool

from tests.blind_model import write_blind
from tests.small_data import write_dataset
from tests.workflows.grpo.small_grpo import NO_CANARY, NUM_STEPS, POOL, config, rewards


@pytest.fixture(scope="module")
def engines(ray_cluster: None, model: Path) -> Iterator[RolloutPool]:
    """Start one engine for all runs, because its process takes seconds to start."""
    with RolloutPool.started(POOL, model) as pool:
        yield pool


def load_weights(engines: RolloutPool, model: Path) -> None:
    """Give the engines a model's weights, as if they had been started with it."""
    state = family_of(model).load_model(model, torch.float32).state_dict()
    asyncio.run(engines.load_weights(publish(state.items(), 0)))


def rows_of(out: Path, stage: str = "grpo") -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["stage"] == stage]


def changed(model: Path, other: Path) -> bool:
    """Return whether any weight differs."""
    before, after = (load_file(folder / "model.safetensors") for folder in (model, other))
    return any(not torch.equal(before[name], after[name]) for name in after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run, what its summary holds, and what it printed."""

    out: Path
    settings: dict[str, Any]
    summary: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def apart(engines: RolloutPool, data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Run with validation, on engines that are always awake."""
    folder = tmp_path_factory.mktemp("apart")
    held_out = write_dataset(folder / "held_out", split="test", num_samples=6)
    validation = {"validation": held_out, "validate_every": 2, "validation_samples": 4}
    settings = {"scale_rewards": "task", **validation}
    asked: list[Any] = []
    said = io.StringIO()
    load_weights(engines, model)
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(said):
        patched.setattr(RolloutPool, "started", lambda *given: asked.append(given) or nullcontext(engines))
        summary = run(config(data, model, folder / "run", **settings))
    assert asked == [(POOL, model)]  # these engines are there already
    return Done(out=folder / "run", settings=settings, summary=summary, said=said.getvalue())


def test_a_run_improves_weights_and_accounts_for_every_prompt(apart: Done, model: Path) -> None:
    out, summary = apart.out, apart.summary
    rows = rows_of(out)
    assert [row["step"] for row in rows] == list(range(NUM_STEPS))
    assert {row["staleness"] for row in rows} == {0}
    assert all(0 <= row["engine_kl"] < 1e-6 and row["entropy"] > 0 for row in rows)
    assert summary["decodes_per_prompt"] == 1
    assert all(row["media_physical_bytes"] <= (1 / 4 + 0.02) * row["media_logical_bytes"] for row in rows)
    assert summary["parity_max_abs"] < 1e-4
    assert all(row["useful_groups"] > 0 for row in rows)
    assert apart.said.count("has no gradient noise scale: its groups did not fill two micro-batches") == 1
    assert changed(model, out / "model")
    check_best(out, summary["best"], model)
    account = rows_of(out, "ledger")
    assert reconcile(account, max_staleness=0) == []
    assert summary["groups"]["trained"] == sum(len(line["trained"]) for line in account) > 0
    assert [step for step in range(NUM_STEPS) if trainer_path(out, step).is_file()] == [0, NUM_STEPS - 1]
    for step in (0, NUM_STEPS - 1):
        shown = json.loads(trainer_path(out, step).read_text())
        known = [scored for scored in read_step(path_of(out, step)).groups if scored.group.key in shown]
        assert known
        for scored in known:
            for rollout, logprobs in zip(scored.group.rollouts, shown[scored.group.key], strict=True):
                assert logprobs == pytest.approx(rollout.logprobs, abs=1e-4)
    scales = [read_step(path_of(out, step)).state["scales"] for step in steps_in(out)]
    assert len(scales) == NUM_STEPS and scales[0] != scales[-1] and scales[0].keys() == {"motion_direction"}


def check_best(out: Path, best: dict[str, Any], model: Path) -> None:
    """Check that the weights of the first of the best validations after a step are kept."""
    checked = rows_of(out, "grpo_validation")
    assert [row["step"] for row in checked] == [0, 2, 4]
    assert all(0 <= row["ordered_accuracy_interval"][0] <= row["ordered_accuracy"] for row in checked)
    assert all({"shuffled_gap", "shuffled_unread"} <= row.keys() for row in checked)
    first_best = max(checked[1:], key=lambda row: row["ordered_accuracy"])
    assert (best["step"], best["value"]) == (first_best["step"], first_best["ordered_accuracy"])
    assert changed(model, Path(best["model"]))
    assert changed(out / "model", Path(best["model"])) == (best["step"] != NUM_STEPS)
    assert not (out / "best_so_far").exists()


class WatchedPool:
    """A pool that notes what is asked of it."""

    def __init__(self, pool: RolloutPool) -> None:
        self._pool = pool
        self.processor = pool.processor
        self.asked: list[str] = []
        self._held_ids: list[bytes] = []  # of the version that it was given last
        self.num_left = 0  # buckets of a version that the driver held while the next one was made

    async def generate(self, prompts: Any, sampling: Any) -> Any:
        if prompts:
            self.asked.append("generate")
        return await self._pool.generate(prompts, sampling)

    async def sleep(self, *, keep_weights: bool) -> None:
        self.asked.append("rest" if keep_weights else "drop")
        await self._pool.sleep(keep_weights=keep_weights)
        if not keep_weights:
            self.num_left += await num_still_held(self._held_ids)

    async def load_weights(self, weights: Any) -> None:
        self.asked.append(f"load {weights.version}")
        self._held_ids = [reference.hex().encode() for reference in weights.bucket_refs]
        await self._pool.load_weights(weights)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


async def num_still_held(ids: Sequence[bytes]) -> int:
    """Return how many objects this process still refers to when Ray has had time to notice what it let go of."""
    counts = ray._private.worker.global_worker.core_worker.get_all_reference_counts
    deadline_s = time.monotonic() + 10.0
    while (num_left := len(counts().keys() & set(ids))) and time.monotonic() < deadline_s:
        await asyncio.sleep(0.05)
    return num_left


def test_engines_in_turns_give_the_bits_of_engines_apart(
    engines: RolloutPool, apart: Done, data: Path, model: Path, tmp_path: Path
) -> None:
    """They sleep before the trainer starts and while it computes, and wake with prompts or with the next weights."""
    pool = WatchedPool(engines)
    before = engines.config
    load_weights(engines, model)
    engines.config = before.model_copy(update={"placement": "in_turns"})
    try:
        run_with(
            config(data, model, tmp_path, **apart.settings, pool={"engine": "local", "placement": "in_turns"}), pool
        )
    finally:
        engines.config = before
    held_out = ["generate"]  # of all arms at once
    steps = [["generate", "drop", f"load {step}"] for step in range(1, NUM_STEPS + 1)]
    two_steps = [[*held_out, *steps[i], *steps[i + 1]] for i in range(0, NUM_STEPS, 2)]
    assert pool.asked == ["rest", *itertools.chain(*two_steps), *held_out]
    assert pool.num_left == 0
    awake, in_turns = (
        [read_step(path_of(out, step)).groups for step in range(NUM_STEPS)] for out in (apart.out, tmp_path)
    )
    assert awake == in_turns
    assert not changed(apart.out / "model", tmp_path / "model")


def test_all_that_shapes_a_batch_in_one_run(engines: RolloutPool, data: Path, model: Path, tmp_path: Path) -> None:
    """Twins and shuffled frames, poisoned rewards, a curriculum, refills, segments, lag, several updates, a penalty."""
    others = {"twin": 1.0, "shuffled_contrast": 0.3, "tests.workflows.hostile_rewards:poisoned": 1.0}
    changes = {
        "rewards": rewards("Sparse", **others),
        "num_steps": 6,
        "prompts_per_step": 4,
        "max_refills": 2,
        "max_staleness": 1,
        "segment_tokens": 3,
        "curriculum": {"enabled": True, "static_share": 0.25},
        "loss": {"loss_type": "gspo", "beta": 0.1, "epsilon": 0.01, "epsilon_high": 0.01},
        "optimizer": {"lr": 1e-2},
        "guards": {**NO_CANARY, "max_engine_kl": 1e6},  # such a rate moves the policy far in one update
        "num_iterations": 2,
        "mini_batches": 2,
        "gradient_checkpointing": True,
    }
    load_weights(engines, model)
    summary = run_with(config(data, model, tmp_path, **changes), engines)
    rows, account = rows_of(tmp_path), rows_of(tmp_path, "ledger")
    assert reconcile(account, max_staleness=1) == []
    assert all(0 <= row["staleness"] <= 1 for row in rows)
    dataset = Dataset.open(data)
    pair_of = {dataset.sample(i).key: dataset.sample(i).address.pair_id for i in range(len(dataset))}
    for line in account:
        keys = [group["key"] for group in line["groups"]]
        assert all(pair_of[a] == pair_of[b] and a != b for a, b in zip(keys[::2], keys[1::2], strict=True))
    assert any(row["prompts"] > 4 for row in rows)  # some were flat or without reward, and were replaced
    assert all(row["prompts"] <= 4 + 4 + 4 for row in rows)
    assert all(summary["groups"][outcome] > 0 for outcome in ("trained", "flat", "unscored"))
    crashed = sum(row.get("status_crashed", 0) for row in rows)
    assert 0 < crashed == summary["rollouts_without_reward"] < sum(row["prompts"] for row in rows) * 4
    assert all(math.isfinite(row["reward"]) for row in rows)
    assert any("useful_steered" in row for row in rows)
    assert max(row.get("kl", 0) for row in rows) > 1e-6
    on_policy = [row for row in rows if row["staleness"] == 0 and "engine_kl" in row]
    assert all(0 <= row["engine_kl"] < 1e-6 for row in on_policy)
    assert any(row.get("clip_fraction_high", 0) + row.get("clip_fraction_low", 0) > 0 for row in rows)
    learned = [row for row in rows if "loss" in row]
    assert all(row["ratio_min"] <= row["ratio_p50"] <= row["ratio_max"] for row in learned)
    assert any(row["ratio_min"] < 1 < row["ratio_max"] for row in learned)
    assert all(0 <= row["importance_ess"] <= 1 and row["importance_clipped"] <= 1 for row in learned)
    reference = [row for row in rows_of(tmp_path, "grpo_worker") if "reference_bytes_per_rank" in row]
    assert [row["reference_bytes_per_rank"] > 1000 for row in reference] == [True]
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    assert json.loads((newest / "manifest.json").read_text())["step"] == 4 * 6  # optimizer steps
    after = load_file(tmp_path / "model/model.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in after.values())


def test_rewards_that_never_work_stop_a_run(engines: RolloutPool, data: Path, model: Path, tmp_path: Path) -> None:
    guards = {**NO_CANARY, "max_unusable_steps": 2}
    load_weights(engines, model)
    with pytest.raises(BaseExceptionGroup) as caught:
        run_with(config(data, model, tmp_path, guards=guards, mode="rollouts_only", rewards=rewards("Broken")), engines)
    [error] = caught.value.exceptions
    assert isinstance(error, UserError)
    assert "2 steps in a row" in str(error) and "of the last 12 rollouts 12 have none because" in str(error)
    assert "Broken: gave nan, which is not a finite number" in str(error)
    assert {g["outcome"] for line in rows_of(tmp_path, "ledger") for g in line["groups"]} <= {"unscored"}


def test_a_model_that_does_not_look_stops_a_run(engines: RolloutPool, data: Path, model: Path, tmp_path: Path) -> None:
    blind = write_blind(model, tmp_path / "blind")
    load_weights(engines, blind)
    guards = {"canary_every": 2, "canary_prompts": 4}
    with pytest.raises(UserError, match="does not look at the video: 100% of its answers"):
        run_with(config(data, blind, tmp_path / "out", guards=guards, mode="rollouts_only"), engines)
    [seen] = rows_of(tmp_path / "out", "canary")
    assert (seen["step"], seen["agreement"]) == (0, 1.0)


def test_rollouts_alone_and_training_from_them(
    engines: RolloutPool, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_weights(engines, model)
    sampling = {"mode": "rollouts_only", "num_steps": 2, "rewards": rewards("Varied", interval=0.5)}
    sampled = run_with(config(data, model, tmp_path / "sampled", **sampling), engines)
    assert sampled["groups"] == {"trained": 0, "flat": 0, "unscored": 0, "observed": 6}
    assert not (tmp_path / "sampled/model").exists()
    said = capsys.readouterr().out
    assert "mode rollouts_only has no use for optimizer, loss" in said
    assert "grpo: reward interval does not apply to " in said
    changes = {"mode": "from_rollouts", "rollouts": tmp_path / "sampled", "num_steps": 2, "micro_batch_size": 4}
    learned = run(config(data, model, tmp_path / "learned", **changes))
    assert learned["groups"] == {"trained": 6, "flat": 0, "unscored": 0, "observed": 0}
    said = capsys.readouterr().out
    assert "mode from_rollouts has no use for pool" in said and "no gradient noise scale" not in said
    first, last = rows_of(tmp_path / "learned")
    assert {"grad_square", "grad_noise"} <= first.keys() and "noise_scale_low" not in first
    followed, whole = noise_scale([first, last], DECAY), noise_scale([first, last])
    assert followed == {name: last[name] for name in followed} and whole == {name: learned[name] for name in whole}
    assert whole["noise_scale_low"] != followed["noise_scale_low"]
    assert changed(model, tmp_path / "learned/model")


@pytest.mark.drill  # two runs and three engines; the settings that may change have cheap tests of their own
def test_a_run_goes_on_with_more_steps_and_engines_and_other_deadlines(
    ray_cluster: None, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it decides what is computed, so the weights are those of a run that had it all from the start."""
    first = {"pool": ResolvedPool(engine="local", prompts_per_call=1), "num_steps": 1, "checkpoint_every": 1}
    later = {
        "num_steps": 2,
        "pool": ResolvedPool(engine="local", prompts_per_call=1, num_engines=2),
        "micro_batch_size": 16,  # still a whole batch
        "rewards": {**rewards("Varied"), "deadline_s": 30.0},
        "checkpoint_every": 4,
        "max_failures": 0,
        "guards": {**NO_CANARY, "max_unusable_steps": 9},
    }
    with RolloutPool.started(first["pool"], model) as engines:
        run_with(config(data, model, tmp_path / "whole", **{**first, "num_steps": 2}), engines)
    with RolloutPool.started(first["pool"], model) as engines:  # that hold the model the run starts from
        run_with(config(data, model, tmp_path / "grown", **first), engines)
        engines.add_engine()
        summary = run_with(config(data, model, tmp_path / "grown", **later), engines)
    assert "goes on with other settings: " in capsys.readouterr().out
    assert summary["steps"] == 2 and reconcile(rows_of(tmp_path / "grown", "ledger"), max_staleness=0) == []
    assert not changed(tmp_path / "whole/model", tmp_path / "grown/model")
    learned = [[what_was_learned(row) for row in rows_of(tmp_path / name)] for name in ("whole", "grown")]
    assert learned[0] == learned[1]
    with pytest.raises(UserError, match=r"Different: group_size: 4 → 6$"):
        run_with(config(data, model, tmp_path / "grown", **{**later, "group_size": 6}), engines)
