"""A policy without data costs what a real one does, and the forecast what one rank of many does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.collate import collate_groups
from temporay.models.cost.footprint import FlopCounter
from temporay.models.cost.memory_forecast import MemoryForecast, RankShare, size_of
from temporay.models.cost.weightless import WeightlessPolicy
from temporay.models.families._base import Family
from temporay.models.lora import EVERYTHING, Lora, Trained
from temporay.models.parallel import Hardware

from tests.models.sharded_weightless import tracked_bytes
from tests.models.small_groups import make_groups
from tests.models.small_policies import batch_of, make_policy, processor_of, rows

TOLERANCE = 0.1
LORA = Trained(weights="lora", lora=Lora(rank=4))


def test_sizes_and_operations_are_those_of_a_real_policy(tiny_model: Path, family: Family) -> None:
    batch = batch_of(tiny_model, rows(0))
    real = make_policy(tiny_model)
    policy = WeightlessPolicy(tiny_model, family, real.settings, torch.bfloat16)
    assert size_of(policy, batch) == size_of(real, batch)
    assert FlopCounter(policy.model, family).count(batch) == FlopCounter(real.model, family).count(batch)


@pytest.mark.parametrize(
    ("world_size", "trained", "hardware", "stage", "checkpointing"),
    [
        (2, EVERYTHING, {}, "sft", False),
        (8, EVERYTHING, {}, "grpo", True),
        (4, LORA, {}, "sft", True),
        (2, EVERYTHING, {"sharding": "optimizer"}, "sft", False),
        (4, EVERYTHING, {"replicas": 2}, "grpo", False),
    ],
    ids=["two ranks", "eight ranks", "lora", "optimizer", "replicas"],
)
def test_the_forecast_of_a_rank_is_what_torch_tracks(
    tiny_model: Path,
    family: Family,
    world_size: int,
    trained: Trained,
    hardware: dict[str, Any],
    stage: str,
    checkpointing: bool,
) -> None:
    settings = dataclasses.replace(
        make_policy(tiny_model).settings,
        gradient_checkpointing=checkpointing,
        trained=trained,
        hardware=Hardware(precision="bfloat16", **hardware),
    )
    if stage == "sft":
        batch = batch_of(tiny_model, rows(0))
    else:
        processor = processor_of(tiny_model)
        batch = collate_groups(family, processor, *make_groups(family, processor))
    share = RankShare.on_gpus(world_size, settings.hardware)
    forecast = MemoryForecast(tiny_model, family, settings, share).bytes(batch)
    tracked = tracked_bytes(tiny_model, family, settings, world_size, batch)
    assert sum(forecast.values()) == pytest.approx(tracked, rel=TOLERANCE)


def test_what_is_offloaded_is_not_on_the_device(tiny_model: Path, family: Family) -> None:
    settings = dataclasses.replace(make_policy(tiny_model).settings, hardware=Hardware(offload="cpu"))
    share = RankShare.on_gpus(2, settings.hardware)
    offloaded = MemoryForecast(tiny_model, family, settings, share, reference=True)
    assert set(offloaded.bytes(None)) == {"gathered"}
    on_device = MemoryForecast(
        tiny_model, family, dataclasses.replace(settings, hardware=Hardware()), share, reference=True
    )
    assert on_device.bytes(None) == {**offloaded.host_bytes, **offloaded.bytes(None)} and not on_device.host_bytes


def test_a_forecast_refuses_where_it_has_been_compared() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert Hardware().refuses(cpu) and not Hardware().refuses(gpu)
    assert Hardware(memory_forecast="refuse").refuses(gpu) and not Hardware(memory_forecast="report").refuses(cpu)
