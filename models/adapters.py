"""Adapters on their way to engines: two small factors for each adapted layer instead of whole weights.

    policy → factors → (object store) → Adapters → engine that computes them beside its weights
                                                 → + the weights of the checkpoint → whole weights → any other engine

An engine that gets whole weights reads the checkpoint's files for each version. They stay in the page cache of its
node, and all engines there share them.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from temporay.models.families._base import family_of
from temporay.models.lora import factor_names, peft_names, with_adapter
from temporay.models.weight_files import WeightFiles
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterForm:
    """What a version's factors are added to, and how."""

    base: Path  # folder of the checkpoint that training started from
    rank: int
    alpha: float

    @property
    def scale(self) -> float:
        """Return what the product of two factors is multiplied by."""
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The adapters of one version."""

    form: AdapterForm
    factors: Mapping[str, Tensor]  # by the policy's name

    def whole_weights(self, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        """Yield the checkpoint's weights with the adapters added to them, one after another, by Hugging Face name.

        They are those that the policy itself would give. A weight may be the file's own memory, which is read-only.

        Args:
            dtype: type of floating-point weights.

        Raises:
            RuntimeError: the checkpoint lacks a layer that an adapter belongs to.
        """
        files = _opened(self.form.base)
        used: set[str] = set()
        for name in files.names:
            tensor = files.whole(name)
            low, high = factor_names(name)
            if low in self.factors:
                used |= {low, high}
                tensor = with_adapter(tensor, self.factors[low], self.factors[high], self.form.scale)
            yield name, tensor.to(dtype) if tensor.is_floating_point() else tensor
        if unused := sorted(self.factors.keys() - used):
            raise RuntimeError(f"{self.form.base} has no layer for {len(unused)} factors; the first is {unused[0]}")

    def write(self, folder: Path) -> None:
        """Write a folder as peft has it, for engines that load adapters from files."""
        layers = {name.partition(".lora_")[0].rpartition(".")[2] for name in self.factors}
        config = {
            "peft_type": "LORA",
            "base_model_name_or_path": str(self.form.base),
            "r": self.form.rank,
            "lora_alpha": self.form.alpha,
            "target_modules": sorted(layers),
            "bias": "none",
        }
        (folder / "adapter_config.json").write_text(json.dumps(config))
        save_file(peft_names(self.factors), folder / "adapter_model.safetensors", metadata={"format": "pt"})


@functools.lru_cache(maxsize=1)
def _opened(checkpoint: Path) -> WeightFiles:
    return family_of(checkpoint).model_and_files(checkpoint, torch.float32)[1]


def layers_by_name(checkpoint: Path, modules: Sequence[str], *, in_vision: bool) -> list[str] | None:
    """Return the last names of the layers that have adapters; None where other kinds of layers have the same names.

    Args:
        modules: the names if they were chosen; else all linear layers but the head.
        in_vision: whether layers of vision tower and projector are among them.
    """
    family = family_of(checkpoint)
    left_out = {"head"} if in_vision else {"head", "vision_tower", "projector"}
    linear, others = set(), set()
    for name, module in family.build_model(checkpoint, torch.float32).named_modules():
        if isinstance(module, nn.Linear) and family.part_of(name) not in left_out:
            linear.add(name.rpartition(".")[2])
        elif not isinstance(module, nn.Linear):
            others.add(name.rpartition(".")[2])
    wanted = set(modules) or linear
    return None if wanted & others else sorted(wanted)
