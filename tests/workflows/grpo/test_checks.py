"""What GRPO refuses before anything starts, and what it keeps between two calls."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from temporay.models.engines._base import check_length
from temporay.models.engines._settings import OpenEngineSettings
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.reinforcement.rollout_files import path_of, steps_in, write_step
from temporay.workflows.config import dotted_names, validated
from temporay.workflows.grpo.checks import check
from temporay.workflows.grpo.loop import forget, run
from temporay.workflows.grpo.producer import Producer, prune
from temporay.workflows.grpo.settings import UNUSED, GrpoSettings, GuardSettings
from temporay.workflows.grpo.state import RunState
from temporay.workflows.rollouts.pool import NoPool
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.runs.run_dir import RunDir

from tests.small_data import write_dataset
from tests.workflows.grpo.small_grpo import config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_staleness": 1}, "with max_staleness 1 engines generate while"),
        ({"mode": "rollouts_only"}, "mode rollouts_only has no trainer"),
        ({"num_workers": 2}, r"num_workers is 2 and pool\.num_engines is 1"),
        ({"pool": {"max_engines": 2}}, r"pool\.max_engines 2"),
        ({"pool": {"engine": "auto", "settings": {"tensor_parallel": 2}}}, "with tensor_parallel 2 needs whole GPUs"),
    ],
)
def test_engines_in_turns_are_refused(data: Path, model: Path, changes: dict[str, Any], message: str) -> None:
    pool = {"engine": "local", "placement": "in_turns", **changes.get("pool", {})}
    with pytest.raises(UserError, match=message):
        check(config(data, model, Path("out"), **{**changes, "pool": pool}), Dataset.open(data))


def test_every_update_of_a_step_has_a_group() -> None:
    assert validated(GrpoSettings, {"prompts_per_step": 4, "mini_batches": 4}).updates_per_step == 4
    with pytest.raises(UserError, match="mini_batches is 1000, but a step has 4 groups of rollouts"):
        validated(GrpoSettings, {"prompts_per_step": 4, "mini_batches": 1000})


def test_an_engine_and_a_worker_fit_on_one_gpu(data: Path, model: Path) -> None:
    dataset = Dataset.open(data)
    pool = {"engine": "local", "placement": "together", "num_gpus": 0.6}
    check(config(data, model, Path("out"), pool=pool, gpus_per_worker=0.4), dataset)
    for changes in ({"gpus_per_worker": 0.5}, {}):  # without a number, a worker has 0.49
        with pytest.raises(UserError, match=r"an engine \(0\.6 GPU\) and a worker .* on one GPU, but .*; lower"):
            check(config(data, model, Path("out"), pool=pool, **changes), dataset)


def test_the_local_engine_is_not_cut() -> None:
    with pytest.raises(UserError, match="tensor_parallel is 2, but the local engine computes in one process; give 1"):
        validated(PoolConfig, {"engine": "local", "settings": {"tensor_parallel": 2}})


def test_the_setting_that_asks_for_the_longest_completion_is_named() -> None:
    settings = GrpoSettings(max_tokens=48)
    assert settings.longest_completion == ("guards.canary_tokens", 256)
    assert GrpoSettings(max_tokens=300).longest_completion == ("max_tokens", 300)
    assert GrpoSettings(max_tokens=48, guards=GuardSettings(canary_every=0)).longest_completion == ("max_tokens", 48)
    with pytest.raises(UserError, match=r"has 30 tokens and guards\.canary_tokens is 256, but max_model_len is 50"):
        check_length("k", 30, 256, 50, limit="guards.canary_tokens")


def test_other_settings_are_refused_before_ray_starts(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("temporay.workflows.grpo.loop.ray_session", lambda: pytest.fail("Ray started"))
    made = RunDir.open(tmp_path, config(data, model, tmp_path), kind="grpo")
    with pytest.raises(UserError, match=r"Different: group_size: 4 → 6$"):
        run(config(data, model, tmp_path, group_size=6))
    made.summary_path.write_text('{"steps": 4}')
    assert run(config(data, model, tmp_path)) == {"steps": 4}


def test_what_stops_a_run_is_found_before_ray_starts(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("temporay.workflows.grpo.loop.ray_session", lambda: pytest.fail("Ray started"))
    with pytest.raises(UserError, match="cannot write to /proc/x"):
        run(config(data, model, Path("/proc/x")))
    broken = shutil.copytree(model, tmp_path / "model")
    (broken / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read"):
        run(config(data, broken, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_what_a_mode_does_not_use_are_settings(data: Path, model: Path, tmp_path: Path) -> None:
    names = dotted_names(config(data, model, tmp_path))
    for unused in UNUSED.values():
        assert all(any(f"{name}.".startswith(f"{part}.") for name in names) for part in unused)


def test_rollouts_stay_while_a_checkpoint_needs_them(data: Path, model: Path, tmp_path: Path) -> None:
    for step in range(16):
        path_of(tmp_path, step).parent.mkdir(exist_ok=True)
        path_of(tmp_path, step).touch()
    forget(config(data, model, tmp_path, checkpoint_every=4, keep_rollouts_every=5), 15)
    assert steps_in(tmp_path) == list(range(16))  # no checkpoint was due
    forget(config(data, model, tmp_path, checkpoint_every=4, keep_rollouts_every=5), 16)
    # The checkpoint of step 12 may not be whole. That of step 4 resumes behind the state of step 3.
    assert steps_in(tmp_path) == [0, *range(3, 16)]
    prune(tmp_path, before=100, keep_every=5)
    assert steps_in(tmp_path) == [0, 5, 10, 15]


def test_a_resumed_run_goes_on_with_the_stored_state(data: Path, model: Path, tmp_path: Path) -> None:
    """State that was written with a batch is the state the next one begins with; none is needed for the first."""
    producer = Producer.open(config(data, model, tmp_path), Dataset.open(data), NoPool(processor=None))
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


def test_what_the_data_or_the_model_lacks_is_refused(data: Path, model: Path, tmp_path: Path) -> None:
    alone = write_dataset(tmp_path / "alone", num_samples=2)
    twins = {"weights": {"twin": 1.0}}
    check(config(data, model, tmp_path, rewards=twins), Dataset.open(data))
    with pytest.raises(UserError, match="a reward compares twins"):
        check(config(alone, model, tmp_path, rewards=twins), Dataset.open(alone))
    with pytest.raises(UserError, match="no-model"):
        check(config(data, tmp_path / "no-model", tmp_path), Dataset.open(data))


def test_a_curriculum_needs_levels(model: Path, tmp_path: Path) -> None:
    flat = write_dataset(tmp_path / "flat", num_samples=2, level=1)
    with pytest.raises(UserError, match="is of level 1; generate several"):
        check(config(flat, model, tmp_path, curriculum={"enabled": True}), Dataset.open(flat))


def test_prompts_that_fit_no_engine_are_refused_before_one_starts(
    ray_cluster: None, data: Path, model: Path, tmp_path: Path
) -> None:
    short = PoolConfig(engine="local", settings=OpenEngineSettings(max_model_len=20))
    with pytest.raises(UserError, match=r"has \d+ tokens and max_tokens is 8, but max_model_len is 20"):
        run(config(data, model, tmp_path / "run", pool=short))
    assert not (tmp_path / "run").exists()
