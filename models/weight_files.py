"""Weights of a checkpoint folder, read from safetensors a part at a time: no process ever holds a whole model twice.

    model on the meta device → sharded → every rank reads its own part of every weight → model with weights

A file is mapped into memory, and only the bytes of the asked part are copied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from temporay.operators.errors import UserError
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
BASE = ".base_layer."  # part of the name of a weight that has an adapter beside it
TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class WeightFiles:
    """The tensors of a checkpoint folder by the model's own names."""

    def __init__(self, path: Path, model: nn.Module, rename: Callable[[str], str]) -> None:
        """Read the files' headers.

        Args:
            model: on the meta device.
            rename: gives the model's name of a tensor by that in the file.

        Raises:
            UserError: a file cannot be read, or the files do not hold exactly the model's weights.
        """
        self._slices: dict[str, Any] = {}
        for file in _files(path):
            try:
                opened = safe_open(file, "pt")
            except (OSError, SafetensorError) as error:
                raise UserError(f"{file} cannot be read ({error}); download the model again") from error
            tensors: Any = opened  # safetensors has no types
            self._slices.update({rename(name): tensors.get_slice(name) for name in tensors.keys()})  # noqa: SIM118
        self.names = self._check(path, model)  # of the model's weights; a tied one has the names that the files have

    def name_of(self, weight: _Weight) -> str:
        """Return the name under which the files have a weight; they have only one of a tied one's."""
        return next(name for name in weight.names if name in self._slices)

    def dtype(self, name: str) -> torch.dtype:
        """Return the type in which a tensor is stored."""
        return TYPES[self._slices[name].get_dtype()]

    def read(self, name: str, part: tuple[slice, ...]) -> Tensor:
        """Return a part of a tensor, over the file's memory: copy from it, never into it."""
        tensor: Tensor = self._slices[name][part]
        return tensor

    def whole(self, name: str) -> Tensor:
        """Return a whole tensor, over the file's memory: copy from it, never into it."""
        tensor: Tensor = self._slices[name][...]
        return tensor

    def not_finite(self) -> list[str]:
        """Return the names of tensors with a value that is no finite number; all files are read."""
        return [name for name in self._slices if not self.whole(name).isfinite().all()]

    def _check(self, path: Path, model: nn.Module) -> tuple[str, ...]:
        """Return the names of the model's weights among those of the files.

        Raises:
            UserError: the files do not hold exactly the model's weights.
        """
        weights = _weights_on_meta(model)
        own = {name: tuple(weight.parameter.shape) for weight in weights for name in weight.names}
        ignored = (*getattr(model, "_keys_to_ignore_on_load_unexpected", ()), r"rotary_emb\.inv_freq")
        extra = [n for n in self._slices if n not in own and not any(re.search(pattern, n) for pattern in ignored)]
        missing = [weight.names[0] for weight in weights if not any(name in self._slices for name in weight.names)]
        found = {name: tuple(one.get_shape()) for name, one in self._slices.items()}
        other = [f"{name} {found[name]}, not {own[name]}" for name in found if name in own and found[name] != own[name]]
        faults = {"missing": missing, "not the model's": extra, "of another shape": other}
        told = [f"{len(names)} {what} ({names[0]} …)" for what, names in faults.items() if names]
        if told:
            raise UserError(
                f"the weights in {path} are not those of its config.json: {', '.join(told)}; download the model again"
            )
        return tuple(name for name in self._slices if name in own)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """A parameter and all its places in a model; a tied one has several."""

    parameter: nn.Parameter
    names: list[str] = field(default_factory=list)  # as a checkpoint has them
    places: list[tuple[nn.Module, str]] = field(default_factory=list)

    def replace(self, data: Tensor) -> None:
        """Put new data in its place, everywhere."""
        new = nn.Parameter(data, requires_grad=self.parameter.requires_grad)
        for module, name in self.places:
            setattr(module, name, new)


def keep_stored_types(model: nn.Module, files: WeightFiles) -> None:
    """Give weights that are not trained the type in which they are stored, in place, on the meta device.

    They never change, so that further bits would hold nothing.
    """
    for weight in _weights_on_meta(model):
        dtype = files.dtype(files.name_of(weight))
        if not weight.parameter.requires_grad and dtype.itemsize < weight.parameter.element_size():
            weight.replace(torch.empty_like(weight.parameter, dtype=dtype))


@torch.no_grad()
def read_weights(model: nn.Module, files: WeightFiles, device: torch.device) -> None:
    """Read this rank's part of every weight that is on the meta device, in place.

    Args:
        device: where the parts are put.
    """
    for weight in _weights_on_meta(model):
        old = weight.parameter
        shape, offsets = tuple(old.shape), (0,) * old.ndim
        if isinstance(old, DTensor):
            shape, offsets = compute_local_shape_and_global_offset(old.shape, old.device_mesh, old.placements)
        part = tuple(slice(start, start + size) for start, size in zip(offsets, shape, strict=True))
        new = files.read(files.name_of(weight), part).to(device=device, dtype=old.dtype, copy=True)
        if isinstance(old, DTensor):
            mesh, placements = old.device_mesh, old.placements
            new = DTensor.from_local(new, mesh, placements, run_check=False, shape=old.shape, stride=old.stride())
        weight.replace(new)


def stored_dtype(path: Path) -> torch.dtype:
    """Return the type of a checkpoint's weights: as config.json says, else as its first tensor has it."""
    config = json.loads((path / "config.json").read_text())
    for part in (config, config.get("text_config", {})):
        for key in ("dtype", "torch_dtype"):
            found = getattr(torch, str(part.get(key)), None)
            if isinstance(found, torch.dtype):
                return found
    with safe_open(_files(path)[0], "pt") as opened:
        return TYPES[opened.get_slice(next(iter(opened.keys()))).get_dtype()]


def _files(path: Path) -> list[Path]:
    """Return the files of a folder that make up its model.

    Raises:
        UserError: the index of several files is damaged.
    """
    index = path / INDEX
    if index.exists():
        try:
            return sorted({path / name for name in json.loads(index.read_text())["weight_map"].values()})
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{index} cannot be read ({error}); download the model again") from error
    return [path / SINGLE] if (path / SINGLE).exists() else sorted(path.glob("*.safetensors"))


def _weights_on_meta(model: nn.Module) -> list[_Weight]:
    """Return the parameters that have no data yet, in the model's order."""
    found: dict[int, _Weight] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.is_meta:
                weight = found.setdefault(id(parameter), _Weight(parameter=parameter))
                weight.names.append(f"{prefix}.{name}".removeprefix(".").replace(BASE, "."))
                weight.places.append((module, name))
    return list(found.values())
