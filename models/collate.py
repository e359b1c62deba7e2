"""Prompts and their completions → one padded ``Batch``, the same for supervised training and for rollouts.

Labels are made by concatenation, never from a chat template's assistant mask. With a video in the chat, transformers
5.17 silently returns that mask all zero (huggingface/transformers#46559).

Shapes: B sequences, L padded length. Padding is on the right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from temporay.models.families._base import EncodedPrompts, Family
from temporay.operators.records import Group, Prompt
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The inputs of one forward pass. ``completion_mask_BL[b, l]`` is 1 where token l is scored and trained on."""

    input_ids_BL: Tensor  # int64
    attention_mask_BL: Tensor  # int64
    completion_mask_BL: Tensor  # float32
    model_inputs: Mapping[str, Tensor]  # token types and video tensors, named as the model's forward takes them
    advantages_B: Tensor | None = None  # rollouts only
    engine_logprobs_BL: Tensor | None = None  # rollouts only; 0 outside the completion
    old_logprobs_BL: Tensor | None = None  # under the weights before a batch's first update, if it has several updates
    reference_logprobs_BL: Tensor | None = None  # under the starting weights, for a KL penalty

    def to(self, device: torch.device) -> Batch:
        """Return the same batch on a device."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                value = value.to(device, non_blocking=True)
            elif isinstance(value, Mapping):
                value = {name: tensor.to(device, non_blocking=True) for name, tensor in value.items()}
            moved[field.name] = value
        return Batch(**moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCounts:
    """The size of a global batch, over all ranks and micro-batches."""

    num_tokens: float  # completion tokens under the mask
    num_sequences: float  # sequences with at least one such token


def collate_samples(family: Family, processor: Any, prompts: Sequence[Prompt], targets: Sequence[str]) -> Batch:
    """Collate supervised pairs: prompt ids, then the target's ids and the end of turn, which alone are trained on.

    Raises:
        ValueError: the numbers differ, or a target is empty.
    """
    if len(prompts) != len(targets) or not all(targets):
        raise ValueError(f"need one non-empty target per prompt, got {len(prompts)} prompts, targets {targets!r}")
    encoded = family.encode(processor, prompts)
    tokenizer = processor.tokenizer
    completions = tokenizer(list(targets), add_special_tokens=False)["input_ids"]
    return _pad(
        family,
        processor,
        encoded.prompt_ids,
        [(*ids, tokenizer.eos_token_id) for ids in completions],
        encoded.video_tensors,
    )


def collate_groups(
    family: Family,
    processor: Any,
    prompts: Sequence[Prompt],
    groups: Sequence[Group],
    advantages: Sequence[Sequence[float | None]],
) -> Batch:
    """Collate rollouts of several prompts, group after group; leave out those without advantage or tokens.

    Args:
        groups: one for each prompt, with the expanded prompt ids that the engine used.
        advantages: by group, then rollout.

    Raises:
        RuntimeError: an engine's prompt ids are not the trainer's, so its log-probabilities mean something else.
    """
    encoded = family.encode(processor, prompts)
    prompt_rows: list[tuple[int, ...]] = []
    completions: list[tuple[int, ...]] = []
    logprobs: list[tuple[float, ...]] = []
    flat_advantages: list[float] = []
    num_kept: list[int] = []
    for prompt_ids, group, row in zip(encoded.prompt_ids, groups, advantages, strict=True):
        _check_same_ids(group, prompt_ids)
        kept = [(r, a) for r, a in zip(group.rollouts, row, strict=True) if a is not None and r.completion_ids]
        num_kept.append(len(kept))
        for rollout, advantage in kept:
            prompt_rows.append(prompt_ids)
            completions.append(rollout.completion_ids)
            logprobs.append(rollout.logprobs)
            flat_advantages.append(advantage)
    videos = _repeat_videos(encoded, [n for n, p in zip(num_kept, prompts, strict=True) if p.frames_THWC is not None])
    return _pad(family, processor, prompt_rows, completions, videos, logprobs, flat_advantages)


def _check_same_ids(group: Group, prompt_ids: tuple[int, ...]) -> None:
    if group.prompt_ids != prompt_ids:
        pairs = enumerate(zip(group.prompt_ids, prompt_ids, strict=False))
        shorter = min(len(group.prompt_ids), len(prompt_ids))
        where = next((i for i, (theirs, ours) in pairs if theirs != ours), shorter)
        raise RuntimeError(
            f"engine and trainer encode prompt {group.key} differently from position {where} on "
            f"({len(group.prompt_ids)} and {len(prompt_ids)} ids)"
        )


def _repeat_videos(encoded: EncodedPrompts, num_copies_V: Sequence[int]) -> dict[str, Tensor]:
    """Repeat the v-th video ``num_copies_V[v]`` times in place, so that no clip is processed twice."""
    grids = [tensor for name, tensor in encoded.video_tensors.items() if name.endswith("_thw")]
    if not grids or sum(num_copies_V) == 0:
        return {}
    num_patches_V = grids[0].prod(-1)
    ends = num_patches_V.cumsum(0).tolist()
    starts = [end - int(n) for end, n in zip(ends, num_patches_V, strict=True)]
    copies = [(v, starts[v], ends[v]) for v, n in enumerate(num_copies_V) for _ in range(n)]
    repeated = {}
    for name, tensor in encoded.video_tensors.items():
        if len(tensor) == len(num_patches_V):
            repeated[name] = tensor[[v for v, _, _ in copies]]
        else:
            repeated[name] = torch.cat([tensor[start:end] for _, start, end in copies])
    return repeated


def _pad(
    family: Family,
    processor: Any,
    prompt_rows: Sequence[tuple[int, ...]],
    completions: Sequence[tuple[int, ...]],
    video_tensors: Mapping[str, Tensor],
    logprobs: Sequence[tuple[float, ...]] | None = None,
    advantages: Sequence[float] | None = None,
) -> Batch:
    rows = [(*prompt, *completion) for prompt, completion in zip(prompt_rows, completions, strict=True)]
    shape = (len(rows), max(map(len, rows), default=0))
    input_ids_BL = torch.full(shape, processor.tokenizer.pad_token_id)
    attention_mask_BL = torch.zeros(shape, dtype=torch.long)
    completion_mask_BL = torch.zeros(shape)
    engine_logprobs_BL = None if logprobs is None else torch.zeros(shape)
    for b, (row, prompt) in enumerate(zip(rows, prompt_rows, strict=True)):
        input_ids_BL[b, : len(row)] = torch.tensor(row)
        attention_mask_BL[b, : len(row)] = 1
        completion_mask_BL[b, len(prompt) : len(row)] = 1.0
        if engine_logprobs_BL is not None and logprobs is not None:
            engine_logprobs_BL[b, len(prompt) : len(row)] = torch.tensor(logprobs[b])
    return Batch(
        input_ids_BL=input_ids_BL,
        attention_mask_BL=attention_mask_BL,
        completion_mask_BL=completion_mask_BL,
        model_inputs={**video_tensors, **(family.token_types(processor, input_ids_BL) if video_tensors else {})},
        advantages_B=None if advantages is None else torch.tensor(advantages),
        engine_logprobs_BL=engine_logprobs_BL,
    )
