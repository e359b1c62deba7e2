"""Groups of rollouts for small policies, and the gradient that a step on them gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from temporay.models.collate import Batch, BatchCounts
from temporay.models.families._base import Family
from temporay.models.losses._base import token_share
from temporay.models.policy import Policy
from temporay.models.scoring_head import Scores
from temporay.operators.records import FinishReason, Group, Prompt, Rollout
from torch import Tensor
from torch.distributed.tensor import DTensor

from tests.models.small_engines import Clip, small_prompts

CLIPS: Sequence[Clip] = (((8, 48, 48), 4.0), ((5, 64, 32), 8.0), (None, 4.0), ((4, 32, 96), 1.0))
LENGTHS = ((3, 11, 1, 6), (2,), (9, 4), (5, 5, 5))  # tokens of the completions of every prompt


def make_groups(family: Family, processor: Any) -> tuple[list[Prompt], list[Group], list[list[float]]]:
    """Return prompts of several lengths, one of them blind, with completions of several lengths."""
    prompts = list(small_prompts(processor, CLIPS))
    rng = np.random.default_rng(0)
    banned = family.banned_token_ids(processor)
    allowed = [i for i in range(len(processor.tokenizer)) if i not in banned]
    groups = []
    for prompt, ids, lengths in zip(prompts, family.encode(processor, prompts).prompt_ids, LENGTHS, strict=True):
        rollouts = [make_rollout(tuple(rng.choice(allowed, length).tolist())) for length in lengths]
        groups.append(Group(key=prompt.key, prompt_ids=ids, rollouts=tuple(rollouts)))
    return prompts, groups, [rng.normal(size=len(lengths)).tolist() for lengths in LENGTHS]


def make_rollout(ids: tuple[int, ...]) -> Rollout:
    return Rollout(
        completion_ids=ids,
        logprobs=(-1.0,) * len(ids),
        text="",
        finish_reason=FinishReason.STOP,
        weight_versions=(0,) * len(ids),
    )


def weighted(scores: Scores, batch: Batch, counts: BatchCounts) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Return a loss to which every token of every completion adds with a weight of its own."""
    assert batch.advantages_B is not None
    weights_T = 1.0 + 0.1 * torch.arange(batch.completion_mask_BT.shape[1])
    value_BT = scores.logprobs_BT.exp() * batch.advantages_B[:, None] * weights_T
    return token_share(value_BT, batch.completion_mask_BT, counts), {}


def whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gradients(policy: Policy, batches: Sequence[Batch]) -> tuple[float, dict[str, Tensor]]:
    """Return the loss of a step and the gradient of every trained weight."""
    loss = policy.forward_backward(batches, weighted)["loss"]
    found = {name: whole(p.grad).clone() for name, p in policy.model.named_parameters() if p.grad is not None}
    policy.optimizer.zero_grad()
    return loss, found
