"""Losses as pure tensor functions. Every loss and metric is this rank's share of a global mean: shares add up.

Shapes: B sequences, T positions. ``logprobs_BT[b, t]`` is log p(token t | tokens before t); what the mask leaves out
may hold any finite number. Names and semantics are TRL's ``GRPOTrainer`` (1.16), which the tests use as the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from temporay.operators.settings import Settings
from torch import Tensor

LossType = Literal["grpo", "dr_grpo", "dapo", "gspo", "cispo"]
Correction = Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]


class GrpoLossSettings(Settings):
    """Settings of the GRPO family.

    ``grpo`` is arXiv 2402.03300 eq. 3 (mean over sequences of their token means), ``dr_grpo`` arXiv 2503.20783 (divided
    by a constant length), ``dapo`` arXiv 2503.14476 eq. 8 (mean over all tokens, with its higher upper clip), ``gspo``
    arXiv 2507.18071 eq. 5 (grpo with one ratio per sequence, the geometric mean of its tokens'; TRL's
    ``importance_sampling_level="sequence"``), ``cispo`` arXiv 2506.13585 eq. 4 (the ratio itself is capped and carries
    no gradient, so that every token keeps its own).

    They differ in more than their means only where the policy has left the one the batch is old to, that is with more
    than one update per batch: at a ratio of 1 gspo's gradient is grpo's, and cispo's is dapo's.
    """

    loss_type: LossType = "dapo"
    epsilon: float = Field(default=0.2, gt=0, lt=1)  # the ratio is clipped below 1 - epsilon
    epsilon_high: float = Field(default=0.28, gt=0)  # and above 1 + epsilon_high; with cispo above epsilon_high
    beta: float = Field(default=0.0, ge=0)  # weight of the KL divergence from the starting weights; 0: never computed
    use_bias_correction_kl: bool = True  # weigh that KL by the ratio: unbiased gradient, arXiv 2512.02556
    importance_sampling: Correction = "sequence_mask"  # corrects what engine and trainer disagree about
    importance_sampling_clip_max: float = Field(default=3.0, gt=1)

    @model_validator(mode="after")
    def _cispo_caps_the_ratio_itself(self) -> Self:
        if self.loss_type == "cispo" and self.epsilon_high < 1:
            raise ValueError(
                f"epsilon_high is {self.epsilon_high:g}, and cispo caps the ratio itself there, below what it is "
                "without any change of the policy; give 1 or more, e.g. 5 (arXiv 2510.13786)"
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a global batch holds, over all ranks and micro-batches."""

    num_tokens: float  # completion tokens under the mask
    num_sequences: float  # sequences with at least one such token


def sft_loss(logprobs_BT: Tensor, mask_BT: Tensor, num_tokens: float) -> Tensor:
    """Negative log-likelihood of the masked tokens, per token of the global batch."""
    return -(logprobs_BT * mask_BT).sum() / max(num_tokens, 1.0)


def k3(logprobs: Tensor, other_logprobs: Tensor) -> Tensor:
    """Per-token estimate of KL(policy ‖ other) from tokens that the policy sampled: r - 1 - log r, r = p_other / p.

    Never negative and unbiased; "k3" of http://joschu.net/blog/kl-approx.html. Any shape, nats.
    """
    log_ratio = other_logprobs - logprobs
    return torch.expm1(log_ratio) - log_ratio  # expm1, or close policies would drown in the rounding of exp


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
    reference_logprobs_BT: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The clipped surrogate, the KL penalty if there is one, and what was clipped.

    Args:
        old_logprobs_BT: of the policy the update starts from; detached.
        max_completion_length: the constant that ``dr_grpo`` divides by.
        importance_weights_BT: (B, T) or (B, 1) factors from ``importance_weights``; they leave the KL alone.
        reference_logprobs_BT: of the starting weights; needed where ``config.beta`` is not 0.

    Returns:
        The loss, and shares of means over tokens (``gspo``: over sequences): ``ratio``, ``clip_fraction_high``, but for
        cispo ``clip_fraction_low``, and with a penalty ``kl``, in nats per token.

    Raises:
        ValueError: there is a penalty, but no reference.
    """
    advantages_B1 = advantages_B.unsqueeze(1)
    ratio = _ratio(logprobs_BT, old_logprobs_BT, mask_BT, config.loss_type)  # (B, T), gspo's (B, 1)
    if config.loss_type == "cispo":
        token_loss = -ratio.clamp(max=config.epsilon_high).detach() * advantages_B1 * logprobs_BT
    else:
        clipped = ratio.clamp(1 - config.epsilon, 1 + config.epsilon_high)
        token_loss = -torch.min(ratio * advantages_B1, clipped * advantages_B1)
    if importance_weights_BT is not None:
        token_loss = token_loss * importance_weights_BT
    metrics = _clip_metrics(ratio.detach(), mask_BT, advantages_B1, config, counts)
    if config.beta:
        if reference_logprobs_BT is None:
            raise ValueError("beta is not 0, so the log-probabilities of the reference are needed")
        kl_BT = k3(logprobs_BT * mask_BT, reference_logprobs_BT * mask_BT)
        kl_BT = kl_BT * ratio if config.use_bias_correction_kl else kl_BT
        token_loss = token_loss + config.beta * kl_BT
        metrics["kl"] = token_share(kl_BT.detach(), mask_BT, counts)
    return _reduce(token_loss, mask_BT, config.loss_type, counts, max_completion_length), metrics


def token_share(value_BT: Tensor, mask_BT: Tensor, counts: Counts) -> Tensor:
    """This rank's share of the global mean of a value over tokens."""
    return (value_BT * mask_BT).sum() / max(counts.num_tokens, 1.0)


def _ratio(logprobs_BT: Tensor, old_logprobs_BT: Tensor, mask_BT: Tensor, loss_type: LossType) -> Tensor:
    """p / p_old, (B, T) by token or (B, 1) by sequence; 1 where the mask leaves out."""
    log_ratio_BT = (logprobs_BT - old_logprobs_BT) * mask_BT
    if loss_type == "gspo":
        return torch.exp(log_ratio_BT.sum(-1, keepdim=True) / mask_BT.sum(-1, keepdim=True).clamp(min=1.0))
    return torch.exp(log_ratio_BT)


def _clip_metrics(
    ratio: Tensor, mask_BT: Tensor, advantages_B1: Tensor, config: GrpoLossSettings, counts: Counts
) -> dict[str, Tensor]:
    def share(value: Tensor) -> Tensor:
        if value.shape == mask_BT.shape:
            return token_share(value, mask_BT, counts)
        return (value * (mask_BT.sum(-1, keepdim=True) > 0)).sum() / max(counts.num_sequences, 1.0)

    if config.loss_type == "cispo":
        high = (ratio > config.epsilon_high) & (advantages_B1 > 0)
        return {"ratio": share(ratio), "clip_fraction_high": share(high)}
    low = (ratio < 1 - config.epsilon) & (advantages_B1 < 0)
    high = (ratio > 1 + config.epsilon_high) & (advantages_B1 > 0)
    return {"ratio": share(ratio), "clip_fraction_low": share(low), "clip_fraction_high": share(high)}


def _reduce(
    token_loss: Tensor, mask_BT: Tensor, loss_type: LossType, counts: Counts, max_completion_length: int
) -> Tensor:
    if loss_type in ("dapo", "cispo"):
        return (token_loss * mask_BT).sum() / max(counts.num_tokens, 1.0)
    num_sequences = max(counts.num_sequences, 1.0)
    if loss_type == "dr_grpo":
        return (token_loss * mask_BT).sum() / (num_sequences * max_completion_length)
    length_B = mask_BT.sum(-1).clamp(min=1.0)
    return ((token_loss * mask_BT).sum(-1) / length_B).sum() / num_sequences


@torch.no_grad()
def engine_log_ratio(old_logprobs_BT: Tensor, engine_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """log p_trainer - log p_engine by token; 0 where the mask leaves out or the engine gave no number (NaN)."""
    return torch.nan_to_num(old_logprobs_BT - engine_logprobs_BT, nan=0.0) * mask_BT


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
    difference_BT = engine_log_ratio(old_logprobs_BT, engine_logprobs_BT, mask_BT)
    if level == "sequence":
        difference_BT = difference_BT.sum(-1, keepdim=True)
    ratio_BT = torch.exp(difference_BT)
    if how == "truncate":
        return ratio_BT.clamp(max=config.importance_sampling_clip_max)
    return ratio_BT.masked_fill(ratio_BT > config.importance_sampling_clip_max, 0.0)
