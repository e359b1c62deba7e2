"""A policy without data: one rank of many, whose steps take seconds on any CPU and cost the memory of the real ones.

Floats have shapes and types only (torch's ``FakeTensorMode``), and collectives do nothing (its fake process group).
Integers are real, because lengths, positions and grids decide which shapes follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from temporay.models.collate import Batch
from temporay.models.families._base import Family
from temporay.models.parallel import this_process
from temporay.models.policy import Policy, PolicySettings
from temporay.models.scoring_head import Scores
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU = torch.device("cpu")
INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default)


class RealIntegers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes what depends on integers alone, and leaves the rest to the ``FakeTensorMode`` that is active."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # it asks again with the parts of this rank
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not any(isinstance(tensor, FakeTensor) for tensor in tensors) and (
            tensors or _makes_integers(func, args, kwargs)
        ):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func in INDEXING:  # how many elements a mask takes is known: the mask is real
            args = (args[0], [index for mask in args[1] for index in _indices(mask)], *args[2:])
        return func(*args, **kwargs)


def _makes_integers(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    dtype = kwargs.get("dtype")
    if dtype is None:
        is_range = func.overloadpacket is torch.ops.aten.arange
        return is_range and not any(isinstance(arg, float) for arg in args)
    return func.namespace == "aten" and not dtype.is_floating_point


def _indices(mask: Tensor | None) -> list[Tensor | None]:
    if mask is None or mask.dtype != torch.bool or isinstance(mask, FakeTensor):
        return [mask]
    with unset_fake_temporarily():
        return list(mask.nonzero().unbind(1))


class WeightlessPolicy(Policy):
    """One rank's policy, of which only the sizes are there."""

    _mode: FakeTensorMode

    @contextmanager
    def passes(self) -> Iterator[None]:
        """Let forward and backward passes inside have no data; batches are made outside."""
        with self._mode, RealIntegers():  # type: ignore[no-untyped-call]
            yield

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path, family: Family, settings: PolicySettings, world_size: int
    ) -> Iterator[WeightlessPolicy]:
        """Make rank 0 of ``world_size`` from a config, tokenizer and processor.

        Passes in bfloat16 must be asked for, because the ranks seem to be CPUs. There must be no other process group.
        """
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world_size)
        try:
            parallel = this_process(CPU, settings.hardware, all_are_trained=settings.trained.is_everything)
            model = family.build_model(path, torch.float32)
            mode = FakeTensorMode(allow_non_fake_inputs=True)
            with mode:
                _empty(model, mode)
                policy = cls(model, family, settings, parallel)
            policy._mode = mode
            yield policy
        finally:
            dist.destroy_process_group()

    def peak_bytes(self, batch: Batch) -> float:
        """Return the most bytes alive in a micro-batch that is not the first, by torch's ``FSDPMemTracker``.

        Weights, gradients and both moments of AdamW are there before it.
        """
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        with self.passes():
            for parameter in trained:
                parameter.grad = torch.zeros_like(parameter)
                moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
                self.optimizer.state[parameter] = {"step": torch.zeros(()), **moments}
            tracker = FSDPMemTracker(self.model, self.optimizer)
            tracker.track_inputs((batch.input_ids_RL, *batch.model_inputs.values()))
            with tracker:
                loss = (super().scores(batch).logprobs_BT * batch.completion_mask_BT).sum()
                loss.backward()  # type: ignore[no-untyped-call]
        return float(sum(snapshot["Total"] for snapshot in tracker.get_tracker_snapshot("peak").values()))

    def scores(self, batch: Batch) -> Scores:
        """Return log-probabilities that have shapes only."""
        with self.passes():
            return super().scores(batch)


def _empty(model: nn.Module, mode: FakeTensorMode) -> None:
    """Replace parameters and buffers by fake ones on the CPU, in place; tied ones stay tied."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in made:
                made[id(parameter)] = nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype))
            setattr(module, name, made[id(parameter)])
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, mode.from_tensor(buffer))
