"""One micro-batch that moves every loss, and settings under which it clips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from temporay.models.collate import BatchCounts
from temporay.models.losses._base import GrpoLossSettings, LossInputs, build_loss, loss_class
from torch import Tensor

B, T = 6, 5
EPSILON_HIGH = {"token": 0.28, "sequence": 0.05}  # small enough that some ratios of ``example`` are above it
CAP = 1.3  # the same for a loss that caps the ratio itself


def loss_settings(name: str, **changes: Any) -> GrpoLossSettings:
    """Return settings that a loss accepts and that clip some ratios of ``example``."""
    found = loss_class(name)
    epsilon_high = EPSILON_HIGH[found.level]
    if found.fault(GrpoLossSettings(epsilon_high=epsilon_high)):
        epsilon_high = CAP
    return GrpoLossSettings(loss_type=name, epsilon_high=epsilon_high, **changes)


def example(**changes: Any) -> LossInputs:
    """Return sequences of three lengths whose policy has moved away from the old one."""
    torch.manual_seed(0)
    old_BT = -torch.rand(B, T)
    new_BT = old_BT + 0.4 * torch.randn(B, T)
    mask_BT = torch.ones(B, T)
    mask_BT[1, 3:], mask_BT[4, 1:] = 0, 0
    inputs = LossInputs(
        logprobs_BT=new_BT,
        old_logprobs_BT=old_BT,
        mask_BT=mask_BT,
        advantages_B=torch.randn(B),
        counts=BatchCounts(num_tokens=float(mask_BT.sum()), num_sequences=B),
        max_completion_length=T,
        reference_logprobs_BT=old_BT + 0.5 * torch.randn(B, T),
    )
    return replace(inputs, **changes)


def with_gradient(settings: GrpoLossSettings, inputs: LossInputs) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return loss, metrics and the gradient by ``logprobs_BT``."""
    logprobs_BT = inputs.logprobs_BT.clone().requires_grad_()
    loss, metrics = build_loss(settings)(replace(inputs, logprobs_BT=logprobs_BT))
    (gradient_BT,) = torch.autograd.grad(loss, logprobs_BT)
    return loss.detach(), metrics, gradient_BT
