"""Importance weights for tokens that an engine sampled with other probabilities than the trainer's.

Shapes: B sequences, T positions.
"""

import torch
from temporay.models.losses._base import GrpoLossSettings
from torch import Tensor


@torch.no_grad()
def engine_log_ratio(old_logprobs_BT: Tensor, engine_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Return log p_trainer - log p_engine by token; 0 where the mask is 0 or the engine gave no number (NaN)."""
    return torch.nan_to_num(old_logprobs_BT - engine_logprobs_BT, nan=0.0) * mask_BT


@torch.no_grad()
def importance_log_ratio(
    old_logprobs_BT: Tensor, engine_logprobs_BT: Tensor, mask_BT: Tensor, settings: GrpoLossSettings
) -> Tensor:
    """Return the logs of the ratios that weights are made of: (B, T), or (B, 1) in the sequence modes."""
    difference_BT = engine_log_ratio(old_logprobs_BT, engine_logprobs_BT, mask_BT)
    is_by_sequence = settings.importance_sampling.startswith("sequence")
    return difference_BT.sum(-1, keepdim=True) if is_by_sequence else difference_BT


@torch.no_grad()
def importance_weights(
    old_logprobs_BT: Tensor, engine_logprobs_BT: Tensor, mask_BT: Tensor, settings: GrpoLossSettings
) -> Tensor | None:
    """Return weights that turn tokens of the engine into an estimate under the trainer's policy.

    ``truncate`` caps the ratio at ``importance_sampling_clip_max``; ``mask`` drops what lies above it. Both work by
    token or by sequence (the product over its tokens). A token the engine could not score (NaN) has ratio 1.

    Returns:
        (B, T) for the token modes, (B, 1) for the sequence modes, None for "none".
    """
    if settings.importance_sampling == "none":
        return None
    _, how = settings.importance_sampling.split("_")
    ratio_BT = torch.exp(importance_log_ratio(old_logprobs_BT, engine_logprobs_BT, mask_BT, settings))
    if how == "truncate":
        return ratio_BT.clamp(max=settings.importance_sampling_clip_max)
    return ratio_BT.masked_fill(ratio_BT > settings.importance_sampling_clip_max, 0.0)
