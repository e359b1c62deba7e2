"""Which weights of a model are trained: all or low-rank adapters beside them (LoRA), by part of the model.

    Trained → parameters with a gradient → optimizer and checkpoint
                                         → factors of adapters → engines (``adapters``)
                                         → merged weights: base + scale · B A under the base's name → export

Adapters are peft's (arXiv 2106.09685), put into the model in place. The model's class, and with it the scoring head and
the blocks that FSDP2 wraps, stays as it is.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from safetensors.torch import save_file
from temporay.models.families._base import Family
from temporay.models.weight_files import BASE
from temporay.operators.errors import UserError
from temporay.operators.settings import Settings
from torch import Tensor, nn

ADAPTER = "default"  # peft's name of the only adapter
Choice = Literal["trained", "frozen"]


class Lora(Settings):
    """Low-rank adapters beside linear layers."""

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)  # the product of the two factors is multiplied by alpha / rank
    dropout: float = Field(default=0.0, ge=0, lt=1)  # share of an adapter's input, in training
    modules: tuple[str, ...] = ()  # last names of linear layers, e.g. q_proj v_proj; (): all of the trained parts
    seed: int = 0  # seed of the factors that do not start at 0


class Trained(Settings):
    """The parts of a model that are trained. Text layers always are; the default is every weight."""

    weights: Literal["all", "lora"] = "all"  # weights of the trained parts, or adapters beside them
    vision_tower: Choice = "trained"
    projector: Choice = "trained"  # layers that bring patches into the text part; Qwen's mergers
    lora: Lora = Lora()

    @model_validator(mode="after")
    def _lora_is_meant(self) -> Self:
        if self.weights == "all" and self.lora != Lora():
            raise ValueError("lora has settings, but weights is all; give weights lora, or leave them out")
        return self

    @property
    def is_everything(self) -> bool:
        """Whether no weight is frozen."""
        return self.weights == "all" and "frozen" not in (self.vision_tower, self.projector)


EVERYTHING = Trained()


def set_trained(model: nn.Module, family: Family, trained: Trained) -> None:
    """Mark what requires a gradient and add adapters, in place. Call it before sharding, the same on every rank.

    Adapters get their first values here, on the CPU, also where the model's own weights are still on the meta device.

    Raises:
        UserError: no linear layer of the trained parts has one of the names in ``lora.modules``.
    """
    frozen = {part for part in ("vision_tower", "projector") if getattr(trained, part) == "frozen"}
    if trained.weights == "all":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(family.part_of(name) not in frozen)
        return
    from peft import LoraConfig, inject_adapter_in_model  # seconds to import: for adapters only

    targets = _targets(model, family, frozen | {"head"}, trained.lora.modules)
    config = LoraConfig(
        r=trained.lora.rank,
        lora_alpha=trained.lora.alpha,  # type: ignore[arg-type] # its formula is a quotient of floats
        lora_dropout=trained.lora.dropout,
        target_modules=targets,
        bias="none",
    )
    inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    _initialize_adapters(model, trained.lora.seed)


@torch.no_grad()
def _initialize_adapters(model: nn.Module, seed: int) -> None:
    """Draw adapters as peft does, in float32 whatever the type of the weights beside them."""
    generator = torch.Generator().manual_seed(seed)  # every rank makes its own adapters to shard: they must be the same
    for name, module in model.named_modules():
        if name.endswith((f".lora_A.{ADAPTER}", f".lora_B.{ADAPTER}")) and isinstance(module, nn.Linear):
            values = torch.zeros(module.weight.shape)
            if ".lora_A." in name:
                nn.init.kaiming_uniform_(values, a=math.sqrt(5), generator=generator)
            module.weight = nn.Parameter(values)


def _targets(model: nn.Module, family: Family, left_out: set[str], wanted: tuple[str, ...]) -> list[str]:
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and family.part_of(name) not in left_out
    ]
    chosen = [name for name in linear if not wanted or name.rpartition(".")[2] in wanted]
    known = sorted({name.rpartition(".")[2] for name in linear})
    missing = sorted(set(wanted) - set(known))
    if missing or not chosen:
        raise UserError(f"lora.modules has {', '.join(missing)}, but the trained parts have: {', '.join(known)}")
    return chosen


def has_adapters(model: nn.Module) -> bool:
    """Return whether ``set_trained`` has put adapters into a model."""
    return any(name.endswith(f".lora_A.{ADAPTER}") for name, _ in model.named_modules())


def adapter_scales(model: nn.Module) -> dict[str, float]:
    """Return alpha / rank by the name of the linear layer beside the adapter."""
    modules = dict(model.named_modules())
    names = [name.removesuffix(".lora_A") for name in modules if name.endswith(".lora_A")]
    return {name: float(modules[name].scaling[ADAPTER]) for name in names}


def is_factor(name: str) -> bool:
    """Return whether a weight is one of an adapter's two factors."""
    return ".lora_A." in name or ".lora_B." in name


def factor_names(weight: str) -> tuple[str, str]:
    """Return the names that the two factors beside a weight have or would have."""
    module = weight.removesuffix(".weight")
    return f"{module}.lora_A.{ADAPTER}.weight", f"{module}.lora_B.{ADAPTER}.weight"


def with_adapter(weight: Tensor, low: Tensor, high: Tensor, scale: float) -> Tensor:
    """Return a weight and the product of its two factors, added in float32."""
    return weight.float() + scale * (high.float() @ low.float())


def merged(state: Mapping[str, Tensor], scales: Mapping[str, float]) -> Iterator[tuple[str, Tensor]]:
    """Yield names and whole weights as if the model had no adapters. Inputs stay as they are.

    Each weight is asked for once and in order, so that ``state`` may gather it from the ranks at that moment. What an
    adapter is added to comes in float32, whatever its own type.
    """
    for name in state:
        if is_factor(name):
            continue
        module, base, last = name.rpartition(BASE)
        tensor = state[name]
        if base and last == "weight":
            low, high = (state[factor] for factor in factor_names(module))
            tensor = with_adapter(tensor, low, high, scales[module])
        yield name.replace(BASE, "."), tensor


def peft_names(factors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return factors by the names that they have in peft's files."""
    return {
        f"base_model.model.{name.replace(f'.{ADAPTER}.', '.')}": tensor.contiguous() for name, tensor in factors.items()
    }


def save_adapter(model: nn.Module, state: Mapping[str, Tensor], base: Path, out: Path) -> None:
    """Write a folder that ``peft.PeftModel.from_pretrained`` loads onto the model in ``base``.

    Args:
        state: the factors by name, whole.
    """
    config: Any = model.peft_config[ADAPTER]  # type: ignore[index] # peft's LoraConfig
    config.base_model_name_or_path = str(base)
    config.save_pretrained(str(out))
    save_file(peft_names(state), out / "adapter_model.safetensors", metadata={"format": "pt"})
