"""Prompts and their completions → one ``Batch``, the same for supervised training and for rollouts.

    pairs    each a row of its own, padded on the right
    groups   one row without padding, in which every prompt stands once before all of its completions

Labels are made by concatenation, never from a chat template's assistant mask. With a video in the chat, transformers
5.17 silently returns that mask all zero (huggingface/transformers#46559).

Shapes: R rows, L positions of a row, B completions, T tokens of a completion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from temporay.models.families._base import Family
from temporay.models.families._positions import Positions
from temporay.models.families._shared_prompt import GroupSpan
from temporay.operators.records import Group, Prompt, Rollout
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The inputs of one forward pass. ``completion_mask_BT[b, t]`` is 1 where token t is scored and trained on."""

    input_ids_RL: Tensor  # int64
    completion_ids_BT: Tensor  # int64
    completion_mask_BT: Tensor  # float32
    predictors_BT: Tensor  # int64; the place of the token before, in all rows end to end
    model_inputs: Mapping[str, Tensor]  # positions and video tensors, named as the model's forward takes them
    host_inputs: Mapping[str, Any] = field(default_factory=dict)  # further arguments, which stay on the host
    lengths_R: tuple[int, ...]  # tokens of every row without padding
    groups: tuple[GroupSpan, ...] = ()  # of the only row; (): every row is a prompt and one completion
    advantages_B: Tensor | None = None  # rollouts only
    engine_logprobs_BT: Tensor | None = None  # rollouts only; 0 outside the completion
    old_logprobs_BT: Tensor | None = None  # under the weights before a batch's first update, if it has several updates
    reference_logprobs_BT: Tensor | None = None  # under the starting weights, for a KL penalty

    @property
    def has_video(self) -> bool:
        """Whether the vision tower has work."""
        return any(name.startswith("pixel_values") for name in self.model_inputs)

    @property
    def attention_pairs(self) -> int:
        """Query-key pairs of one layer and head of the text part; a causal triangle counts as its square."""
        if self.groups:
            return sum(group.attention_pairs for group in self.groups)
        return sum(length**2 for length in self.lengths_R)

    def to(self, device: torch.device) -> Batch:
        """Return the same batch on a device."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """Return the same batch in memory from which a GPU copies while it computes."""
        return self._with_tensors(Tensor.pin_memory)

    def _with_tensors(self, change: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Tensor):
                changed[one.name] = change(value)
            elif one.name == "model_inputs":
                changed[one.name] = {name: change(tensor) for name, tensor in value.items()}
        return replace(self, **changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCounts:
    """The size of a global batch, over all ranks and micro-batches."""

    num_tokens: float  # completion tokens under the mask
    num_sequences: float  # completions with at least one such token


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSize:
    """What one rank computes in a step. All ranks make as many passes, and as many of them with a video."""

    num_passes: int
    num_with_video: int
    counts: BatchCounts  # of this rank alone
    num_first_passes: int = 0  # after them the squared norm of the gradient is measured; 0: it is not

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> StepSize:
        """Count the micro-batches of a step."""
        masks = [batch.completion_mask_BT for batch in batches]
        return cls(
            num_passes=len(batches),
            num_with_video=sum(batch.has_video for batch in batches),
            counts=BatchCounts(
                num_tokens=sum(float(mask_BT.sum()) for mask_BT in masks),
                num_sequences=sum(float((mask_BT.sum(-1) > 0).sum()) for mask_BT in masks),
            ),
        )


def collate_samples(family: Family, processor: Any, prompts: Sequence[Prompt], targets: Sequence[str]) -> Batch:
    """Collate supervised pairs: prompt ids, then the target's ids and the end of turn, which alone are trained on.

    Raises:
        ValueError: the numbers differ, or a target is empty.
    """
    if len(prompts) != len(targets) or not all(targets):
        raise ValueError(f"need one non-empty target per prompt, got {len(prompts)} prompts, targets {targets!r}")
    encoded = family.encode(processor, prompts)
    tokenizer = processor.tokenizer
    targets_ids = tokenizer(list(targets), add_special_tokens=False)["input_ids"]
    completions = [(*ids, tokenizer.eos_token_id) for ids in targets_ids]
    rows = [(*ids, *completion) for ids, completion in zip(encoded.prompt_ids, completions, strict=True)]
    length = max(map(len, rows))
    starts = [r * length + len(ids) for r, ids in enumerate(encoded.prompt_ids)]
    positions = [
        _continued(prompt, [len(completion)])
        for prompt, completion in zip(family.positions(processor, encoded), completions, strict=True)
    ]
    return Batch(
        input_ids_RL=_padded(rows, tokenizer.pad_token_id),
        **_scored(completions, [start - 1 for start in starts], starts, tokenizer.pad_token_id),
        model_inputs={**encoded.media_tensors, "position_ids": _stacked(positions, length)},
        host_inputs=family.host_inputs(encoded),
        lengths_R=tuple(map(len, rows)),
    )


def collate_groups(
    family: Family,
    processor: Any,
    prompts: Sequence[Prompt],
    groups: Sequence[Group],
    advantages: Sequence[Sequence[float | None]],
) -> Batch:
    """Collate rollouts of several prompts into one row; leave out those without advantage or tokens.

    Args:
        groups: one for each prompt, with the expanded prompt ids that the engine used.
        advantages: by group, then rollout; each group has one that is kept.

    Raises:
        RuntimeError: an engine's prompt ids are not the trainer's, so its log-probabilities mean something else.
    """
    encoded = family.encode(processor, prompts)
    row: list[int] = []
    spans: list[GroupSpan] = []
    lasts: list[int] = []
    starts: list[int] = []
    kept = [list(_kept(group, values)) for group, values in zip(groups, advantages, strict=True)]
    for prompt_ids, group, chosen in zip(encoded.prompt_ids, groups, kept, strict=True):
        _check_same_ids(group, prompt_ids)
        row += prompt_ids
        lasts += [len(row) - 1] * len(chosen)  # the token that every completion of this prompt follows
        for rollout, _ in chosen:
            starts.append(len(row))
            row += rollout.completion_ids
        spans.append(GroupSpan(prompt=len(prompt_ids), completions=tuple(len(r.completion_ids) for r, _ in chosen)))
    prompt_positions = family.positions(processor, encoded)
    positions = [_continued(own, span.completions) for own, span in zip(prompt_positions, spans, strict=True)]
    rollouts, flat_advantages = zip(*(pair for chosen in kept for pair in chosen), strict=True)
    return Batch(
        input_ids_RL=torch.tensor([row]),
        **_scored([r.completion_ids for r in rollouts], lasts, starts, processor.tokenizer.pad_token_id),
        model_inputs={**encoded.media_tensors, "position_ids": _stacked([np.concatenate(positions, 1)], len(row))},
        host_inputs=family.host_inputs(encoded),
        lengths_R=(len(row),),
        groups=tuple(spans),
        advantages_B=torch.tensor(flat_advantages),
        engine_logprobs_BT=_padded([r.logprobs for r in rollouts], 0.0),
    )


def _kept(group: Group, advantages: Sequence[float | None]) -> Iterator[tuple[Rollout, float]]:
    for rollout, advantage in zip(group.rollouts, advantages, strict=True):
        if advantage is not None and rollout.completion_ids:
            yield rollout, advantage


def _check_same_ids(group: Group, prompt_ids: tuple[int, ...]) -> None:
    if group.prompt_ids != prompt_ids:
        pairs = enumerate(zip(group.prompt_ids, prompt_ids, strict=False))
        shorter = min(len(group.prompt_ids), len(prompt_ids))
        where = next((i for i, (theirs, ours) in pairs if theirs != ours), shorter)
        raise RuntimeError(
            f"engine and trainer encode prompt {group.key} differently from position {where} on "
            f"({len(group.prompt_ids)} and {len(prompt_ids)} ids)"
        )


def _scored(
    completions: Sequence[Sequence[int]], lasts: Sequence[int], starts: Sequence[int], pad_id: int
) -> dict[str, Any]:
    """Return the fields of a batch that say what is scored.

    Args:
        lasts: for each completion the place of the prompt's last token, in all rows end to end.
        starts: the place of its own first token.
    """
    predictors = [
        [last, *range(start, start + len(completion) - 1)]
        for last, start, completion in zip(lasts, starts, completions, strict=True)
    ]
    return {
        "completion_ids_BT": _padded(completions, pad_id),
        "completion_mask_BT": _padded([[1.0] * len(completion) for completion in completions], 0.0),
        "predictors_BT": _padded(predictors, 0),
    }


def _padded(rows: Sequence[Sequence[Any]], fill: float) -> Tensor:
    """Return ragged rows as one tensor, filled up on the right; of the type of ``fill``, int64 or float32."""
    made = torch.full((len(rows), max(map(len, rows))), fill)
    for target, row in zip(made, rows, strict=True):
        target[: len(row)] = torch.tensor(row, dtype=made.dtype)
    return made


def _continued(prompt: Positions, lengths: Sequence[int]) -> Positions:
    """Return positions of a prompt and of completions that each follow it as if they were alone."""
    first = int(prompt.max()) + 1
    after = [np.broadcast_to(np.arange(first, first + length), (len(prompt), length)) for length in lengths]
    return np.concatenate([prompt, *after], 1)


def _stacked(rows: Sequence[Positions], length: int) -> Tensor:
    """Return (axes, R, L) positions of all rows, 0 on padding."""
    made = np.zeros((len(rows[0]), len(rows), length), np.int64)
    for r, row in enumerate(rows):
        made[:, r, : row.shape[1]] = row
    return torch.from_numpy(made)
