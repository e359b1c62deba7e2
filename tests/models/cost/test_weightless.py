"""A policy without data costs what the real one does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from temporay.models.cost.footprint import FlopCounter
from temporay.models.cost.memory_forecast import size_of, state_bytes
from temporay.models.cost.weightless import WeightlessPolicy
from temporay.models.families._base import Family
from temporay.models.parallel import Hardware
from temporay.models.policy import PolicySettings

from tests.models.small_policies import batch_of, make_policy, rows


def test_one_rank_of_many_is_counted_without_weights(tiny_model: Path, family: Family) -> None:
    batch = batch_of(tiny_model, rows(0))
    real = make_policy(tiny_model)
    whole, size = state_bytes(real, reference=False), size_of(real, batch)
    flops = FlopCounter(real.model, family).count(batch)
    settings = dataclasses.replace(real.settings, hardware=Hardware(precision="bfloat16"))
    peaks = {}
    for world_size, checkpointing in ((2, False), (2, True), (8, True)):
        chosen = dataclasses.replace(settings, gradient_checkpointing=checkpointing)
        with WeightlessPolicy.opened(tiny_model, family, chosen, world_size) as policy:
            states = state_bytes(policy, reference=False)
            assert size_of(policy, batch) == size
            assert FlopCounter(policy.model, family).count(batch) == flops
            peaks[world_size, checkpointing] = policy.peak_bytes(batch)
        for purpose in ("weights", "gradients", "AdamW"):
            assert states[purpose] == pytest.approx(whole[purpose] / world_size, rel=0.05)
        own = states["weights"] + states["gradients"] + states["AdamW"]
        assert own < peaks[world_size, checkpointing]
    assert peaks[8, True] < peaks[2, True] < peaks[2, False]
    saved = peaks[2, True] - peaks[8, True]  # the rest of a step does not depend on the number of ranks
    assert saved == pytest.approx(sum(whole[p] for p in ("weights", "gradients", "AdamW")) * (1 / 2 - 1 / 8), rel=0.1)
    with WeightlessPolicy.opened(tiny_model, family, offloaded(settings), 2) as policy:
        assert set(state_bytes(policy, reference=True)) == {"gathered"}


def offloaded(settings: PolicySettings) -> PolicySettings:
    hardware = settings.hardware.model_copy(update={"offload": "cpu"})
    return dataclasses.replace(settings, hardware=hardware)


def test_a_forecast_refuses_where_it_has_been_compared() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert Hardware().refuses(cpu) and not Hardware().refuses(gpu)
    assert Hardware(memory_forecast="refuse").refuses(gpu) and not Hardware(memory_forecast="report").refuses(cpu)
