"""The forecast against what torch allocates, and what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from temporay.models.collate import collate_groups
from temporay.models.cost import host_memory
from temporay.models.cost.host_memory import GIB, available_bytes, check_loading, host_bytes, spare_bytes
from temporay.models.cost.live_bytes import LiveBytes
from temporay.models.cost.memory_forecast import BatchSize, MemoryForecast, RankShare, numel
from temporay.models.lora import EVERYTHING, Lora, Trained
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import Hardware, group_of_one
from temporay.models.policy import Policy
from temporay.operators.errors import UserError

from tests.models.cost.test_footprint import make_batch
from tests.models.small_groups import make_groups
from tests.models.small_policies import make_policy, processor_of


def forecast_of(policy: Policy, model: Path, **more: Any) -> MemoryForecast:
    return MemoryForecast(model, policy.family, policy.settings, RankShare.of(policy), **more)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
@pytest.mark.parametrize("trained", [EVERYTHING, Trained(weights="lora", lora=Lora(rank=4))], ids=["all", "lora"])
def test_forecast_of_a_step_is_what_is_allocated(
    tiny_model: Path, trained: Trained, gradient_checkpointing: bool
) -> None:
    """Two steps of two micro-batches: the last one meets AdamW's state and a gradient."""
    policy = make_policy(tiny_model, trained=trained, gradient_checkpointing=gradient_checkpointing)
    batch = make_batch(policy, tiny_model, num_rows=6)
    parts = forecast_of(policy, tiny_model).bytes(batch)
    with LiveBytes([*policy.model.parameters(), *policy.model.buffers()]) as live:
        for tensor in (batch.input_ids_RL, *batch.model_inputs.values()):
            live.add(tensor)
        for _ in range(2):
            policy.forward_backward([batch, batch], supervised)
            policy.step()
    assert sum(parts.values()) == pytest.approx(live.peak + parts["weights"], rel=0.01)


def test_a_forecast_leaves_no_trace(tiny_model: Path) -> None:
    policy = make_policy(tiny_model, trained=Trained(weights="lora", lora=Lora(rank=4, dropout=0.5)))
    forecast, batch = forecast_of(policy, tiny_model), make_batch(policy, tiny_model)
    state = torch.get_rng_state()
    first = forecast.bytes(batch)
    assert forecast.bytes(make_batch(policy, tiny_model, num_rows=4))["activations"] > first["activations"]
    assert forecast.bytes(batch) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_fit_is_refused_with_the_sum(tiny_model: Path) -> None:
    policy = make_policy(tiny_model)
    forecast = forecast_of(policy, tiny_model)
    batch = make_batch(policy, tiny_model, num_rows=2)
    needed = sum(forecast.bytes(batch).values())
    assert forecast.check(batch, needed) == forecast.bytes(batch)
    with pytest.raises(UserError, match=r"2 x \d+ tokens and \d+ video patches needs .* GiB .*activations") as refusal:
        forecast.check(batch, needed - 1)
    for advice in ("fewer than 2 samples", "set gradient_checkpointing", "weights lora", "more workers than 1"):
        assert advice in str(refusal.value)
    prompts, groups, advantages = make_groups(policy.family, processor_of(tiny_model))
    row = collate_groups(policy.family, processor_of(tiny_model), prompts, groups, advantages)
    fewer = rf"fewer than {len(row.completion_ids_BT)} rollouts into a micro-batch \(micro_batch_size, micro_batch_tok"
    with pytest.raises(UserError, match=fewer):
        forecast.check(row, 1000.0)
    with pytest.raises(UserError, match=r"training needs .*weights 0\.00 \+ gradients"):
        forecast.check(None, 1000.0)
    reference = forecast_of(policy, tiny_model, reference=True).bytes(None)
    assert reference["reference"] == reference["weights"]


def test_a_size_is_within_another() -> None:
    size = BatchSize(num_rows=2, length=50, num_patches=64, num_scored=9, num_completions=4)
    assert size.within(size) and size.within(dataclasses.replace(size, num_rows=3, num_patches=96))
    for name in ("length", "num_patches", "num_scored", "num_completions"):
        assert not dataclasses.replace(size, **{name: 100}).within(size)


def test_sharding_the_optimizer_alone_needs_whole_weights_and_gradients(tiny_model: Path) -> None:
    policy = make_policy(tiny_model)
    whole = numel(policy.model.parameters())
    share = RankShare(world_size=4, num_shards=4, dtype=torch.bfloat16)
    by_block = MemoryForecast(tiny_model, policy.family, policy.settings, share).bytes(None)["gathered"]
    settings = dataclasses.replace(policy.settings, hardware=Hardware(sharding="optimizer"))
    forecast = MemoryForecast(tiny_model, policy.family, settings, share)
    assert forecast.bytes(None)["gathered"] == (2 + 4) * whole > by_block  # and a sum of gradients in float32
    with pytest.raises(UserError, match=r"set hardware\.sharding parameters"):
        forecast.check(None, 1000.0)


def test_a_run_and_a_plan_lay_a_model_out_alike(tiny_model: Path) -> None:
    alone = RankShare.of(make_policy(tiny_model))
    assert alone == RankShare(world_size=1, num_shards=None, dtype=torch.float32)
    with group_of_one() as parallel:
        policy = make_policy(tiny_model, parallel=parallel, hardware=Hardware(precision="bfloat16"))
        assert RankShare.of(policy) == RankShare.on_gpus(1, Hardware())
    assert RankShare.on_gpus(8, Hardware(replicas=2)).num_shards == 4


def test_what_a_container_leaves_counts_and_not_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory, "CGROUP", tmp_path)
    free = spare_bytes(1)
    (tmp_path / "memory.max").write_text("max\n")
    assert spare_bytes(1) == pytest.approx(free, rel=0.2)
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("500000\n")
    (tmp_path / "memory.stat").write_text("anon 300000\ninactive_file 200000\n")
    assert host_bytes() == 700_000
    assert spare_bytes(1) == 600_000  # a tenth of what the container may use stays untouched
    assert spare_bytes(4) == 150_000


def test_available_memory_is_shared_by_ranks(tiny_model: Path) -> None:
    assert 0 < host_bytes() <= psutil.virtual_memory().total
    policy = make_policy(tiny_model)
    alone, shared = (available_bytes(policy, ranks_on_host=n) for n in (1, 4))
    assert alone > 3 * shared
    check_loading(tiny_model, world_size=8, ranks_on_host=8, host=1 * GIB)
    with pytest.raises(UserError, match=r"8 of 8 workers are on one host.*0 M weights"):
        check_loading(tiny_model, world_size=8, ranks_on_host=8, host=1e4)
