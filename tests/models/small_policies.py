"""Small policies and the global batches they are trained on, the same for every number of ranks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from temporay.models.adapters import AdapterForm, Adapters
from temporay.models.collate import Batch, StepSize, collate_samples
from temporay.models.families._base import family_of
from temporay.models.lora import is_factor
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import Parallel
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt
from torch import Tensor

VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"
TARGETS = ("It moves left.", "(B)", "<think>The red circle moves right.</think>(A)", "right")
OPTIMIZER = OptimizerConfig(lr=5e-4, weight_decay=0.1, warmup_steps=2)
Curve = list[tuple[float, float]]  # loss and gradient norm by step


@functools.cache
def processor_of(model: Path) -> Any:
    return family_of(model).load_processor(model)


def make_policy(
    model: Path,
    *,
    optimizer: OptimizerConfig = OPTIMIZER,
    total_steps: int = 8,
    parallel: Parallel | None = None,
    **settings: Any,
) -> Policy:
    """Return a policy of a model folder; ``settings`` are fields of ``PolicySettings``."""
    family = family_of(model)
    whole = PolicySettings(optimizer=optimizer, total_steps=total_steps, **settings)
    return Policy.load(model, family, whole, parallel)


def move_factors(policy: Policy, seed: int) -> None:
    """Move every factor of the adapters at random, so far that the model says something else."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if is_factor(name):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


def adapters_of(policy: Policy, model: Path) -> Adapters:
    """Return a policy's adapters as engines get them."""
    lora = policy.settings.trained.lora
    form = AdapterForm(base=model, rank=lora.rank, alpha=lora.alpha)
    return Adapters(form=form, factors={name: factor.clone() for name, factor in policy.adapter_factors()})


def rows(step: int) -> list[tuple[Prompt, str]]:
    """Return the global batch of a step: four rows with clips of two lengths and targets of four lengths."""
    rng = np.random.default_rng(step)
    return [
        (
            Prompt(
                key=str(i),
                text=f"<|im_start|>user\n{VIDEO}Which way?<|im_end|>\n<|im_start|>assistant\n",
                media=(
                    ShownMedium(
                        frames_THWC=rng.integers(0, 256, (4 + 2 * (i % 2), 32, 32, 3), dtype=np.uint8), fps=4.0
                    ),
                ),
            ),
            target,
        )
        for i, target in enumerate(TARGETS)
    ]


def batch_of(model: Path, pairs: list[tuple[Prompt, str]]) -> Batch:
    prompts, targets = zip(*pairs, strict=True)
    return collate_samples(family_of(model), processor_of(model), prompts, targets)


def train(policy: Policy, model: Path, num_steps: int, *, rows_per_pass: int) -> Curve:
    """Train this rank's rows of every global batch, in micro-batches; return loss and gradient norm by step.

    The norm is compared because AdamW would hide a gradient that is too large by a factor.
    """
    curve = []
    for _ in range(num_steps):
        mine = rows(policy.step_index)[policy.parallel.rank :: policy.parallel.world_size]
        starts = range(0, len(mine), rows_per_pass)
        batches = [batch_of(model, mine[start : start + rows_per_pass]) for start in starts]
        value = policy.forward_backward(batches, supervised)["loss"]
        curve.append((value, policy.step()["grad_norm"]))
    return curve


def first_square(policy: Policy, model: Path) -> float:
    """Return the squared norm of the gradient of the first four of eight rows, as measured in the middle of a step."""
    eight = [*rows(0), *rows(1)]
    mine = [batch_of(model, [row]) for row in eight[policy.parallel.rank :: policy.parallel.world_size]]
    size = dataclasses.replace(StepSize.of(mine), num_first_passes=len(mine) // 2)
    found = policy.forward_backward(mine, supervised, size)["grad_square_first"]
    policy.skip_step()
    return found


def assert_same(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, atol: float) -> None:
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (state[name] - tensor).abs().max() <= atol, name
