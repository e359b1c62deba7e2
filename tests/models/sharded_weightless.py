"""One rank of many without data, watched by torch's own tracker: what the forecast is compared with.

Collectives do nothing (torch's fake process group), so that FSDP2 gathers, exchanges and frees as on real ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from temporay.models.collate import Batch
from temporay.models.cost.weightless import CPU, RealIntegers, empty_buffers, without_pixels
from temporay.models.families._base import Family
from temporay.models.parallel import exchange_after, this_process
from temporay.models.policy import Policy, PolicySettings
from temporay.models.weight_files import WeightFiles, stored_dtype
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore


class RealIntegersOfRank(RealIntegers):
    """The same for tensors that ranks share."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # it asks again with the parts of this rank
        return super().__torch_dispatch__(func, types, args, kwargs)


class NoFiles(WeightFiles):
    """Files whose tensors have sizes only."""

    def __init__(self, mode: FakeTensorMode, stored: torch.dtype) -> None:
        self._mode, self._stored = mode, stored

    def name_of(self, weight: Any) -> str:
        return str(weight.names[0])

    def dtype(self, name: str) -> torch.dtype:
        return self._stored

    def read(self, name: str, part: tuple[slice, ...]) -> Tensor:
        with self._mode:
            return torch.empty([one.stop - one.start for one in part], dtype=self._stored)


@contextmanager
def rank_without_data(
    path: Path, family: Family, settings: PolicySettings, world_size: int
) -> Iterator[tuple[Policy, FakeTensorMode]]:
    """Make rank 0 of ``world_size`` from a config, tokenizer and processor.

    Passes in bfloat16 must be asked for, because the ranks seem to be CPUs. There must be no other process group.
    """
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world_size)
    try:
        parallel = this_process(CPU, settings.hardware, all_are_trained=settings.trained.is_everything)
        model = family.build_model(path, torch.float32)
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        empty_buffers(model, mode)
        yield Policy(model, family, settings, parallel, files=NoFiles(mode, stored_dtype(path))), mode
    finally:
        dist.destroy_process_group()


def tracked_bytes(path: Path, family: Family, settings: PolicySettings, world_size: int, batch: Batch) -> float:
    """Return the most bytes alive in a micro-batch that is not the first, by torch's ``FSDPMemTracker``.

    Weights, gradients and both moments of AdamW are there before it.
    """
    with rank_without_data(path, family, settings, world_size) as (policy, mode):
        batch = without_pixels(batch, mode)
        trained = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
        with mode, RealIntegersOfRank():
            for parameter in trained:
                parameter.grad = torch.zeros_like(parameter)
                moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
                policy.optimizer.state[parameter] = {"step": torch.zeros(()), **moments}
            tracker = FSDPMemTracker(policy.model, policy.optimizer)
            tracker.track_inputs((batch.input_ids_RL, *batch.model_inputs.values()))
            with tracker:
                for is_last in (False, True) if settings.hardware.sharding == "optimizer" else (True,):
                    tracker.reset_mod_stats()  # or a second pass would be refused
                    exchange_after(policy.model, settings.hardware, is_last=is_last)
                    (policy.scores(batch).logprobs_BT * batch.completion_mask_BT).sum().backward()
        return float(sum(snapshot["Total"] for snapshot in tracker.get_tracker_snapshot("peak").values()))
