"""A policy without data, whole and in one process: its passes take seconds on any CPU and the memory of real ones.

Floats have shapes and types only (torch's ``FakeTensorMode``). Integers are real, because lengths, positions and grids
decide which shapes follow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from temporay.models.collate import Batch
from temporay.models.families._base import Family
from temporay.models.parallel import DEFAULT_HARDWARE, Parallel
from temporay.models.policy import Policy, PolicySettings
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU = torch.device("cpu")
ALONE = Parallel(rank=0, world_size=1, device=CPU, mesh=None)
INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default)


class RealIntegers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes what depends on integers alone, and leaves the rest to the ``FakeTensorMode`` that is active."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
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
    """A policy of which only the sizes are there."""

    def __init__(self, path: Path, family: Family, settings: PolicySettings, dtype: torch.dtype) -> None:
        """Make it from a config, tokenizer and processor.

        Args:
            dtype: type of the passes.
        """
        model = family.build_model(path, dtype)
        super().__init__(model, family, dataclasses.replace(settings, hardware=DEFAULT_HARDWARE), ALONE)
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        with self._mode:
            _empty_parameters(model, dtype)
            empty_buffers(model, self._mode)

    @contextmanager
    def passes(self) -> Iterator[None]:
        """Let forward and backward passes inside have no data."""
        with self._mode, RealIntegers():  # type: ignore[no-untyped-call]
            yield

    def without_pixels(self, batch: Batch) -> Batch:
        """Return a batch for these passes."""
        return without_pixels(batch, self._mode)


def without_pixels(batch: Batch, mode: FakeTensorMode) -> Batch:
    """Return a batch whose videos have their sizes only."""
    inputs = {
        name: mode.from_tensor(tensor) if name.startswith("pixel_values") else tensor
        for name, tensor in batch.model_inputs.items()
    }
    return dataclasses.replace(batch, model_inputs=inputs)


def _empty_parameters(model: nn.Module, dtype: torch.dtype) -> None:
    """Replace parameters by fake ones on the CPU, in place; tied ones stay tied."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in made:
                fake = torch.empty(parameter.shape, dtype=dtype)
                made[id(parameter)] = nn.Parameter(fake, requires_grad=parameter.requires_grad)
            setattr(module, name, made[id(parameter)])


def empty_buffers(model: nn.Module, mode: FakeTensorMode) -> None:
    """Replace buffers by fake ones, in place."""
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, mode.from_tensor(buffer))
