"""What a loss of the GRPO family provides; its file is its registration (``temporay.operators.components``).

    log-probabilities → ratio → surrogate (clipped or capped) → times importance weights, plus KL → mean

A file says what its loss does differently. Every loss and metric is this rank's share of a global mean: shares add up.
Names and semantics are TRL's ``GRPOTrainer`` (1.16), which the tests use as the oracle. One thing differs: a group
whose rewards are all equal is not in the batch, so no mean counts it. In TRL it adds nothing to a mean but its size.

Shapes: B sequences, T positions. ``logprobs_BT[b, t]`` is log p(token t | tokens before t). Where the mask is 0, it may
hold any finite number.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from temporay.models.collate import Batch, BatchCounts
from temporay.models.scoring_head import Scores
from temporay.operators.components import load
from temporay.operators.errors import UserError
from temporay.operators.settings import Settings
from torch import Tensor

LOSSES = "temporay.models.losses"
Correction = Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]
Loss = Callable[[Scores, Batch, BatchCounts], tuple[Tensor, Mapping[str, Tensor]]]  # as ``Policy`` takes it


class GrpoLossSettings(Settings):
    """Settings of every loss of the family.

    With one update per batch, the ratio is 1: gspo's gradient is then grpo's, and cispo's is dapo's. Only with several
    updates do they differ in more than their means.
    """

    loss_type: str = "dapo"  # a file of temporay.models.losses, or module:Class
    epsilon: float = Field(default=0.2, gt=0, lt=1)  # the ratio is clipped below 1 - epsilon
    epsilon_high: float = Field(default=0.28, gt=0)  # and above 1 + epsilon_high; with cispo above epsilon_high
    beta: float = Field(default=0.0, ge=0)  # weight of the KL divergence from the starting weights; 0: never computed
    use_bias_correction_kl: bool = True  # weigh that KL by the ratio: unbiased gradient, arXiv 2512.02556
    importance_sampling: Correction = "sequence_mask"  # corrects what engine and trainer disagree about
    importance_sampling_clip_max: float = Field(default=3.0, gt=1)

    @model_validator(mode="after")
    def _fit_the_loss(self) -> Self:
        if fault := loss_class(self.loss_type).fault(self):
            raise ValueError(fault)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class LossInputs:
    """One micro-batch of rollouts."""

    logprobs_BT: Tensor  # under the policy, with gradient
    old_logprobs_BT: Tensor  # under the policy that the update starts from; detached
    mask_BT: Tensor  # 1 where a token is trained on
    advantages_B: Tensor
    counts: BatchCounts
    max_completion_length: int  # tokens
    importance_weights_BT: Tensor | None = None  # (B, T) or (B, 1) factors; they leave the KL alone
    reference_logprobs_BT: Tensor | None = None  # under the starting weights; needed where ``beta`` is not 0

    @property
    def advantages_B1(self) -> Tensor:
        return self.advantages_B.unsqueeze(1)


class PolicyLoss(ABC):
    """A policy gradient with a KL penalty if ``beta`` is not 0."""

    level: ClassVar[Literal["token", "sequence"]] = "token"  # one ratio for each token, or one for each sequence

    def __init__(self, settings: GrpoLossSettings) -> None:
        self.settings = settings

    @classmethod
    def fault(cls, settings: GrpoLossSettings) -> str | None:
        """Return what is wrong with settings that mean nothing for this loss, and what to give instead."""
        return None

    @abstractmethod
    def mean(self, token_loss: Tensor, inputs: LossInputs) -> Tensor:
        """Return this rank's share of the loss from (B, T) values, or from (B, 1) values of whole sequences."""

    def surrogate(self, ratio: Tensor, inputs: LossInputs) -> Tensor:
        """Return the value to minimize, shaped like the ratio: here the clipped surrogate of PPO."""
        clipped = ratio.clamp(1 - self.settings.epsilon, 1 + self.settings.epsilon_high)
        return -torch.min(ratio * inputs.advantages_B1, clipped * inputs.advantages_B1)

    def clipped(self, ratio: Tensor, inputs: LossInputs) -> dict[str, Tensor]:
        """Return by name of the metric where the ratio was clipped and the gradient is 0."""
        low = (ratio < 1 - self.settings.epsilon) & (inputs.advantages_B1 < 0)
        high = (ratio > 1 + self.settings.epsilon_high) & (inputs.advantages_B1 > 0)
        return {"clip_fraction_low": low, "clip_fraction_high": high}

    def ratio(self, inputs: LossInputs) -> Tensor:
        """Return p / p_old, (B, T) by token or (B, 1) by sequence: the geometric mean; 1 where the mask is 0."""
        mask_BT = inputs.mask_BT
        log_ratio_BT = (inputs.logprobs_BT - inputs.old_logprobs_BT) * mask_BT
        if self.level == "sequence":
            return torch.exp(log_ratio_BT.sum(-1, keepdim=True) / mask_BT.sum(-1, keepdim=True).clamp(min=1.0))
        return torch.exp(log_ratio_BT)

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its metrics.

        Metrics are shares of means over tokens, or over sequences where the ratio has that level: ``ratio``,
        ``clip_fraction_low`` and ``clip_fraction_high`` (cispo: only the latter), and with a penalty ``kl``, in nats
        per token.

        Raises:
            ValueError: there is a penalty, but no reference.
        """
        ratio = self.ratio(inputs)
        token_loss = self.surrogate(ratio, inputs)
        if inputs.importance_weights_BT is not None:
            token_loss = token_loss * inputs.importance_weights_BT
        fixed = ratio.detach()
        metrics = {
            name: _share(value, inputs) for name, value in {"ratio": fixed, **self.clipped(fixed, inputs)}.items()
        }
        if self.settings.beta:
            if inputs.reference_logprobs_BT is None:
                raise ValueError("beta is not 0, so the log-probabilities of the reference are needed")
            kl_BT = k3(inputs.logprobs_BT * inputs.mask_BT, inputs.reference_logprobs_BT * inputs.mask_BT)
            kl_BT = kl_BT * ratio if self.settings.use_bias_correction_kl else kl_BT
            token_loss = token_loss + self.settings.beta * kl_BT
            metrics["kl"] = token_share(kl_BT.detach(), inputs.mask_BT, inputs.counts)
        return self.mean(token_loss, inputs), metrics


def loss_class(name: str) -> type[PolicyLoss]:
    """Return the class of a loss.

    Raises:
        UserError: there is none of this name, or it is no ``PolicyLoss``.
    """
    loaded = load(LOSSES, name)
    if not (isinstance(loaded, type) and issubclass(loaded, PolicyLoss)):
        raise UserError(f"loss {name!r} is no PolicyLoss of {LOSSES}._base; give a class that is one")
    return loaded


def build_loss(settings: GrpoLossSettings) -> PolicyLoss:
    """Return the loss that the settings name."""
    return loss_class(settings.loss_type)(settings)


def mean_over_tokens(token_loss: Tensor, inputs: LossInputs) -> Tensor:
    """Return this rank's share of the mean over all tokens."""
    return token_share(token_loss, inputs.mask_BT, inputs.counts)


def mean_over_sequences(token_loss: Tensor, inputs: LossInputs) -> Tensor:
    """Return this rank's share of the mean over sequences of the mean over each sequence's tokens."""
    length_B = inputs.mask_BT.sum(-1).clamp(min=1.0)
    return ((token_loss * inputs.mask_BT).sum(-1) / length_B).sum() / max(inputs.counts.num_sequences, 1.0)


def token_share(value_BT: Tensor, mask_BT: Tensor, counts: BatchCounts) -> Tensor:
    """Return this rank's share of the global mean of a value over tokens."""
    return (value_BT * mask_BT).sum() / max(counts.num_tokens, 1.0)


def k3(logprobs: Tensor, other_logprobs: Tensor) -> Tensor:
    """Estimate KL(policy ‖ other) from tokens that the policy sampled: r - 1 - log r, r = p_other / p.

    Never negative and unbiased; "k3" of http://joschu.net/blog/kl-approx.html. Any shape, nats per token.
    """
    log_ratio = other_logprobs - logprobs
    return torch.expm1(log_ratio) - log_ratio  # with exp, rounding would hide how close two policies are


def _share(value: Tensor, inputs: LossInputs) -> Tensor:
    if value.shape == inputs.mask_BT.shape:
        return token_share(value, inputs.mask_BT, inputs.counts)
    has_tokens_B1 = inputs.mask_BT.sum(-1, keepdim=True) > 0
    return (value * has_tokens_B1).sum() / max(inputs.counts.num_sequences, 1.0)
