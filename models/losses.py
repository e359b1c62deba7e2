"""Losses as pure tensor functions. Every loss and metric is this rank's share of a global mean: shares add up.

Shapes: B sequences, T positions. ``logprobs_BT[b, t]`` is log p(token t | tokens before t); what the mask leaves out
may hold any finite number. Names and semantics are TRL's ``GRPOTrainer`` (1.16), which the tests use as the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

LossType = Literal["grpo", "dr_grpo", "dapo"]
Correction = Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]


class GrpoLossSettings(BaseModel):
    """Settings of the GRPO family.

    ``grpo`` is arXiv 2402.03300 eq. 3 (mean over sequences of their token means), ``dr_grpo`` arXiv 2503.20783 (divided
    by a constant length), ``dapo`` arXiv 2503.14476 eq. 8 (mean over all tokens, with its higher upper clip).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss_type: LossType = "dapo"
    epsilon: float = Field(default=0.2, gt=0, lt=1)  # the ratio is clipped below 1 - epsilon
    epsilon_high: float = Field(default=0.28, gt=0)  # and above 1 + epsilon_high
    importance_sampling: Correction = "sequence_mask"  # corrects what engine and trainer disagree about
    importance_sampling_clip_max: float = Field(default=3.0, gt=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a global batch holds, over all ranks and micro-batches."""

    num_tokens: float  # completion tokens under the mask
    num_sequences: float  # sequences with at least one such token


def sft_loss(logprobs_BT: Tensor, mask_BT: Tensor, num_tokens: float) -> Tensor:
    """Negative log-likelihood of the masked tokens, per token of the global batch."""
    return -(logprobs_BT * mask_BT).sum() / max(num_tokens, 1.0)


def grpo_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor,
    mask_BT: Tensor,
    advantages_B: Tensor,
    config: GrpoLossSettings,
    counts: Counts,
    *,
    max_completion_length: int,
    importance_weights_BT: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The clipped surrogate and what was clipped.

    Args:
        old_logprobs_BT: of the policy the update starts from; detached.
        max_completion_length: the constant that ``dr_grpo`` divides by.
        importance_weights_BT: (B, T) or (B, 1) factors from ``importance_weights``.

    Returns:
        The loss, and shares of token means: ``ratio``, ``clip_fraction_low``, ``clip_fraction_high``.
    """
    advantages_B1 = advantages_B.unsqueeze(1)
    ratio_BT = torch.exp(logprobs_BT - old_logprobs_BT)
    clipped_BT = ratio_BT.clamp(1 - config.epsilon, 1 + config.epsilon_high)
    token_loss_BT = -torch.min(ratio_BT * advantages_B1, clipped_BT * advantages_B1)
    if importance_weights_BT is not None:
        token_loss_BT = token_loss_BT * importance_weights_BT
    loss = _reduce(token_loss_BT, mask_BT, config.loss_type, counts, max_completion_length)
    with torch.no_grad():
        low_BT = (ratio_BT < 1 - config.epsilon) & (advantages_B1 < 0)
        high_BT = (ratio_BT > 1 + config.epsilon_high) & (advantages_B1 > 0)
        metrics = {
            "ratio": token_share(ratio_BT, mask_BT, counts),
            "clip_fraction_low": token_share(low_BT, mask_BT, counts),
            "clip_fraction_high": token_share(high_BT, mask_BT, counts),
        }
    return loss, metrics


def token_share(value_BT: Tensor, mask_BT: Tensor, counts: Counts) -> Tensor:
    """This rank's share of the global mean of a value over tokens."""
    return (value_BT * mask_BT).sum() / max(counts.num_tokens, 1.0)


def _reduce(
    token_loss_BT: Tensor, mask_BT: Tensor, loss_type: LossType, counts: Counts, max_completion_length: int
) -> Tensor:
    if loss_type == "dapo":
        return (token_loss_BT * mask_BT).sum() / max(counts.num_tokens, 1.0)
    num_sequences = max(counts.num_sequences, 1.0)
    if loss_type == "dr_grpo":
        return (token_loss_BT * mask_BT).sum() / (num_sequences * max_completion_length)
    length_B = mask_BT.sum(-1).clamp(min=1.0)
    return ((token_loss_BT * mask_BT).sum(-1) / length_B).sum() / num_sequences


@torch.no_grad()
def importance_weights(
    old_logprobs_BT: Tensor, engine_logprobs_BT: Tensor, mask_BT: Tensor, config: GrpoLossSettings
) -> Tensor | None:
    """Weights that turn tokens the engine sampled into an estimate under the trainer's policy.

    ``truncate`` caps the ratio at ``importance_sampling_clip_max``, ``mask`` drops what lies above it; by token or by
    sequence (the product over its tokens). A token the engine could not score (NaN) has ratio 1.

    Returns:
        (B, T) for the token modes, (B, 1) for the sequence modes, None for "none".
    """
    if config.importance_sampling == "none":
        return None
    level, how = config.importance_sampling.split("_")
    difference_BT = torch.nan_to_num(old_logprobs_BT - engine_logprobs_BT, nan=0.0) * mask_BT
    if level == "sequence":
        difference_BT = difference_BT.sum(-1, keepdim=True)
    ratio_BT = torch.exp(difference_BT)
    if how == "truncate":
        return ratio_BT.clamp(max=config.importance_sampling_clip_max)
    return ratio_BT.masked_fill(ratio_BT > config.importance_sampling_clip_max, 0.0)
