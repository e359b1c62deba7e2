"""Floating-point operations of a batch by part of the model, and a run's share of its devices' peak.

They are counted from the model's layers and the batch's sizes: 2 · weights for every row of a matrix product, 4 · width
for every query-key pair of attention. Both triangles count, as in PaLM (arXiv 2204.02311, appendix B) and in torch's
``FlopCounterMode``. Padding and repeated computation are no useful work and do not count. A backward pass costs one
product for the gradient of the input, if anything before it is trained, and one for that of the weight, if the weight
is trained. Embeddings, norms and activations take well below one per cent and are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from temporay.models.collate import Batch
from temporay.models.families._base import Family, ModelPart, VisionWork
from torch import nn

# Dense bfloat16 products with float32 sums, in 1e12 per second, by a part of the device's name. NVIDIA's numbers "with
# sparsity" are halved. The first name that fits counts.
PEAK_TFLOPS: tuple[tuple[str, float], ...] = (
    ("GB200", 2500.0),
    ("B200", 2250.0),
    ("H200 NVL", 835.5),
    ("H200", 989.4),
    ("H100 PCIe", 756.5),
    ("H100 NVL", 835.5),
    ("H100", 989.4),
    ("H800 PCIe", 756.5),
    ("H800", 989.4),
    ("H20", 148.0),
    ("A100", 311.8),
    ("A800", 311.8),
    ("L40S", 362.1),
    ("L40", 181.0),
    ("L4", 121.0),
    ("A10G", 70.0),
    ("A10", 125.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
    ("MI300X", 1307.4),
)
NO_VISION = VisionWork(num_patches=0, num_merged=0, attention_pairs=0, attention_width=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flops:
    """Floating-point operations of one forward pass and of forward and backward together."""

    forward: float
    training: float
    text_training: float  # the part of ``training`` for the text part and the output layer


@dataclass(slots=True)
class _Product:
    """Operations for each row of one part's matrix products."""

    forward: float = 0.0
    backward: float = 0.0


class FlopCounter:
    """A counter for batches of one model, with the adapters and frozen weights of the moment it is made."""

    def __init__(self, model: nn.Module, family: Family) -> None:
        self._model, self._family = model, family
        self._products: dict[ModelPart, _Product] = {part: _Product() for part in ("vision_tower", "projector", "text")}
        self._products["head"] = _Product()
        trained = {id(p) for p in model.parameters() if p.requires_grad}
        self._has_gradient: dict[ModelPart, bool] = dict.fromkeys(self._products, False)  # in attention
        anything_before = False
        for name, module in model.named_modules():  # in the order of computation, but for parallel branches
            own = [id(p) in trained for p in module.parameters(recurse=False)]
            part = family.part_of(name)
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
                product, cost = self._products[part], 2.0 * module.weight.numel()
                product.forward += cost
                product.backward += cost * (anything_before + (id(module.weight) in trained))
            anything_before = anything_before or any(own)
            self._has_gradient[part] = self._has_gradient[part] or anything_before
        config: Any = model.config.get_text_config()  # type: ignore[operator, union-attr]
        heads = config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
        self._text_width, self._num_layers = heads * head_dim, config.num_hidden_layers

    def count(self, batch: Batch) -> Flops:
        """Count one forward and backward pass of a batch's tokens and patches, padding left out."""
        vision = NO_VISION
        if batch.has_video:
            vision = self._family.vision_work(self._model, batch.model_inputs)
        rows: dict[ModelPart, float] = {
            "vision_tower": vision.num_patches,
            "projector": vision.num_merged,
            "text": float(sum(batch.lengths_R)),
            "head": float((batch.completion_mask_BT > 0).sum()),
        }
        pairs: dict[ModelPart, float] = {
            "vision_tower": 4.0 * vision.attention_width * vision.attention_pairs,
            "text": 4.0 * self._text_width * self._num_layers * batch.attention_pairs,
        }
        forward = {part: rows[part] * self._products[part].forward + pairs.get(part, 0.0) for part in rows}
        backward = {
            part: rows[part] * self._products[part].backward + 2 * pairs.get(part, 0.0) * self._has_gradient[part]
            for part in rows
        }
        return Flops(
            forward=sum(forward.values()),
            training=sum(forward.values()) + sum(backward.values()),
            text_training=sum(forward[part] + backward[part] for part in ("text", "head")),
        )


def peak_flops(device: torch.device, dtype: torch.dtype, given_tflops: float | None) -> float | None:
    """Return the largest number of operations one device can do in a second.

    Args:
        dtype: the type of the passes.
        given_tflops: the user's own number, in 1e12 per second, which is taken as it is.

    Returns:
        None for CPUs, unknown devices and passes in float32, for which no number is known.
    """
    if given_tflops is not None:
        return given_tflops * 1e12
    if device.type != "cuda" or dtype != torch.bfloat16:
        return None
    return known_peak(torch.cuda.get_device_name(device))


def known_peak(device_name: str) -> float | None:
    """Return a device's dense bfloat16 peak by its driver's name for it; None if the table lacks it."""
    words = device_name.replace("-", " ").split()
    for known, tflops in PEAK_TFLOPS:
        if set(known.split()) <= set(words):
            return tflops * 1e12
    return None


def utilization(flops: Mapping[str, float], seconds: float, num_devices: int, peak: float | None) -> dict[str, float]:
    """Return the rates of all devices together, and their share of a known peak (``mfu``, by name of the count).

    Args:
        flops: counts of all devices: ``flops`` of the whole model, ``text_flops`` without vision.
        peak: operations of one device in a second.
    """
    rates = {f"{name}_per_s": count / seconds for name, count in flops.items()}
    if peak is None:
        return rates
    shares = {name.replace("flops", "mfu"): count / seconds / (num_devices * peak) for name, count in flops.items()}
    return {**rates, **shares}
