"""The forecast against what torch allocates, and what it refuses."""

from __future__ import annotations

import dataclasses
import weakref
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from temporay.models.cost.host_memory import GIB, available_bytes, check_loading, host_bytes
from temporay.models.cost.memory_forecast import MemoryForecast, size_of, state_bytes
from temporay.models.lora import EVERYTHING, Lora, Trained
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import Hardware
from temporay.operators.errors import UserError
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from tests.models.cost.test_footprint import make_batch
from tests.models.small_policies import make_policy, processor_of


class Peak(TorchDispatchMode):
    """The largest number of bytes, over time, in storages that operations made."""

    def __init__(self) -> None:
        super().__init__()
        self._alive: Any = WeakIdKeyDictionary()
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor.untyped_storage())
        return out

    def _see(self, storage: Any) -> None:
        if storage in self._alive:
            return
        size = storage.nbytes()
        self._alive[storage] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, size)

    def _drop(self, size: int) -> None:
        self.now -= size


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
@pytest.mark.parametrize("trained", [EVERYTHING, Trained(weights="lora", lora=Lora(rank=4))], ids=["all", "lora"])
def test_forecast_of_a_step_is_what_is_allocated(
    tiny_model: Path, trained: Trained, gradient_checkpointing: bool
) -> None:
    """Two steps, the second with AdamW's state already allocated; weights are allocated before."""
    policy = make_policy(tiny_model, trained=trained, gradient_checkpointing=gradient_checkpointing)
    forecast = MemoryForecast(policy, processor_of(tiny_model))
    batch = make_batch(policy, tiny_model, num_rows=6)
    parts = forecast.bytes(size_of(policy, batch))
    with Peak() as peak:
        for _ in range(2):
            policy.forward_backward([batch], supervised)
            policy.step()
    inputs = [batch.input_ids_RL, batch.completion_ids_BT, batch.completion_mask_BT, batch.predictors_BT]
    inputs += batch.model_inputs.values()
    measured = peak.peak + parts["weights"] + sum(tensor.nbytes for tensor in inputs)
    assert sum(parts.values()) == pytest.approx(measured, rel=0.15)


def test_what_cannot_fit_is_refused_with_the_sum(tiny_model: Path) -> None:
    policy = make_policy(tiny_model)
    forecast = MemoryForecast(policy, processor_of(tiny_model))
    size = size_of(policy, make_batch(policy, tiny_model, num_rows=2))
    needed = sum(forecast.bytes(size).values())
    assert forecast.check(size, needed) == forecast.bytes(size)
    many = dataclasses.replace(size, num_rows=2000, num_patches=1000 * size.num_patches)
    with pytest.raises(
        UserError, match=r"2000 x \d+ tokens and \d+ video patches needs .* GiB .*activations"
    ) as refusal:
        forecast.check(many, 1 * GIB)
    for advice in ("fewer than 2000 samples", "set gradient_checkpointing", "weights lora", "more workers than 1"):
        assert advice in str(refusal.value)
    row = dataclasses.replace(size, num_rows=1, num_completions=8)
    with pytest.raises(
        UserError, match=r"fewer than 8 rollouts into a micro-batch \(micro_batch_size, micro_batch_tok"
    ):
        forecast.check(row, 1000.0)
    with pytest.raises(UserError, match=r"training needs .*weights 0\.00 \+ gradients"):
        forecast.check(None, 1000.0)
    reference = MemoryForecast(policy, processor_of(tiny_model), reference=True).bytes(None)
    assert reference["reference"] == reference["weights"]
    assert size.within(many) and not many.within(size)


def test_sharding_the_optimizer_alone_needs_whole_weights_and_gradients(tiny_model: Path) -> None:
    policy = make_policy(tiny_model)
    policy.parallel = dataclasses.replace(policy.parallel, mesh=object())
    by_block = state_bytes(policy, reference=False)["gathered"]
    policy.settings = dataclasses.replace(policy.settings, hardware=Hardware(sharding="optimizer"))
    whole = state_bytes(policy, reference=False)
    assert whole["gathered"] == whole["weights"] + 2 * whole["gradients"] > by_block  # a sum, and a copy to be cut
    forecast = MemoryForecast(policy, processor_of(tiny_model))
    with pytest.raises(UserError, match=r"set hardware\.sharding parameters"):
        forecast.check(None, 1000.0)


def test_available_memory_is_shared_by_ranks(tiny_model: Path) -> None:
    assert 0 < host_bytes() <= psutil.virtual_memory().total
    policy = make_policy(tiny_model)
    alone, shared = (available_bytes(policy, ranks_on_host=n) for n in (1, 4))
    assert alone > 3 * shared
    check_loading(tiny_model, world_size=8, ranks_on_host=8, host=1 * GIB)
    with pytest.raises(UserError, match=r"8 of 8 workers are on one host.*0 M weights"):
        check_loading(tiny_model, world_size=8, ranks_on_host=8, host=1e4)
