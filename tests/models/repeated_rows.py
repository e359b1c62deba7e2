"""Rollouts the plain way, as the truth about shared prompts: a row for each, with the whole prompt and video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from temporay.models.collate import Batch
from temporay.models.families._base import Family
from temporay.operators.records import Group, Prompt


def collate_repeated(
    family: Family,
    processor: Any,
    prompts: Sequence[Prompt],
    groups: Sequence[Group],
    advantages: Sequence[Sequence[float]],
) -> Batch:
    """Return one right-padded row for each rollout; positions are left to transformers' model."""
    flat = [(prompt, rollout) for prompt, group in zip(prompts, groups, strict=True) for rollout in group.rollouts]
    encoded = family.encode(processor, [prompt for prompt, _ in flat])
    rows = [(*ids, *rollout.completion_ids) for ids, (_, rollout) in zip(encoded.prompt_ids, flat, strict=True)]
    shape = len(rows), max(map(len, rows))
    longest = max(len(rollout.completion_ids) for _, rollout in flat)
    ids_RL = torch.full(shape, processor.tokenizer.pad_token_id)
    labels_BT, mask_BT, engine_BT = torch.zeros((3, len(rows), longest)).unbind()
    predictors_BT = torch.zeros((len(rows), longest), dtype=torch.long)
    for r, (row, prompt_ids, (_, rollout)) in enumerate(zip(rows, encoded.prompt_ids, flat, strict=True)):
        ids_RL[r, : len(row)] = torch.tensor(row)
        num_tokens = len(rollout.completion_ids)
        labels_BT[r, :num_tokens] = torch.tensor(rollout.completion_ids)
        mask_BT[r, :num_tokens] = 1.0
        engine_BT[r, :num_tokens] = torch.tensor(rollout.logprobs)
        predictors_BT[r, :num_tokens] = r * shape[1] + len(prompt_ids) - 1 + torch.arange(num_tokens)
    types = family.token_types(processor, ids_RL) if encoded.media_tensors else {}
    return Batch(
        input_ids_RL=ids_RL,
        completion_ids_BT=labels_BT.long(),
        completion_mask_BT=mask_BT,
        predictors_BT=predictors_BT,
        model_inputs={**encoded.media_tensors, **types},
        host_inputs=family.host_inputs(encoded),
        lengths_R=tuple(map(len, rows)),
        advantages_B=torch.tensor([advantage for values in advantages for advantage in values]),
        engine_logprobs_BT=engine_BT,
    )
