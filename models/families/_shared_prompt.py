"""Attention over rows that hold a prompt once for all of its completions.

    [prompt | completion 1 | … | completion G] [next prompt | …] …    one row, without padding

A prompt attends to itself. A completion attends to its prompt and to itself, as if it stood alone behind the prompt.
The keys of a prompt are read where they are: no completion has a copy of its own. Prefix Grouper (arXiv 2506.05433)
does the same with two calls for each group and padded completions.

What a row holds comes with the arguments of the pass, so that a layer that is computed again in the backward pass sees
the row it saw first. ``_text_attention`` calls it in every text layer.

Shapes: L positions of a row, H heads, K heads of keys and values, D size of a head, Q queries of one call.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK_TOKENS = 512  # completions of fewer tokens are attended to in one call, whatever the length of their prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpan:
    """A prompt of a row and the completions that follow it, in tokens."""

    prompt: int
    completions: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        return self.prompt + sum(self.completions)

    @property
    def attention_pairs(self) -> int:
        """Query-key pairs of one layer and head; a causal triangle counts as its square."""
        return self.prompt**2 + sum(length * (self.prompt + length) for length in self.completions)

    def chunks(self) -> Iterator[tuple[int, ...]]:
        """Yield runs of completions that share a call.

        A call computes all pairs of its completions, also of different ones. With completions of half a prompt's length
        together, those in vain are few, and so are the copies of the prompt's keys for all calls but the first.
        """
        largest = max(CHUNK_TOKENS, self.prompt // 2)
        chunk: list[int] = []
        for length in self.completions:
            if chunk and sum(chunk) + length > largest:
                yield tuple(chunk)
                chunk = []
            chunk.append(length)
        if chunk:
            yield tuple(chunk)


class SharedPrompts:
    """What the layers of one forward pass are told about its row. Masks are made once for all layers."""

    def __init__(self, groups: tuple[GroupSpan, ...]) -> None:
        self._groups = groups
        self._masks: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float | None, dropout: float) -> Tensor:
        """Return (1, H, L, D) values that every position attends to.

        Args:
            queries: (1, H, L, D); keys and values are (1, K, L, D), where K divides H.
        """
        num_queries = queries.shape[1] // keys.shape[1]  # that share a head of keys

        def call(span: slice, keys: Tensor, values: Tensor, **how: Any) -> Tensor:
            """Attend with the queries of one head of keys as a batch, so that its keys are not copied for each."""
            grouped = queries[0, :, span].view(keys.shape[1], num_queries, -1, keys.shape[-1]).transpose(0, 1)
            keys, values = (tensor.expand(num_queries, -1, -1, -1) for tensor in (keys, values))
            found = F.scaled_dot_product_attention(grouped, keys, values, dropout_p=dropout, scale=scale, **how)
            return found.transpose(0, 1).flatten(0, 1)

        parts, start = [], 0
        for group in self._groups:
            prompt = slice(start, start + group.prompt)
            parts.append(call(prompt, keys[:, :, prompt], values[:, :, prompt], is_causal=True))
            place = prompt.stop
            for lengths in group.chunks():
                span = slice(place, place + sum(lengths))
                seen = (_joined(tensor, prompt, span) for tensor in (keys, values))
                parts.append(call(span, *seen, attn_mask=self._mask(group.prompt, lengths, queries)))
                place = span.stop
            start = place
        return torch.cat(parts, 1)[None]

    def _mask(self, prompt: int, lengths: tuple[int, ...], like: Tensor) -> Tensor:
        """Return what is added to the (Q, prompt + Q) products: 0, or minus infinity between two completions."""
        mask = self._masks.get((prompt, lengths))
        if mask is None:
            num_queries = sum(lengths)
            mask = like.new_full((num_queries, prompt + num_queries), float("-inf"))
            mask[:, :prompt] = 0.0
            for end, length in zip(itertools.accumulate(lengths), lengths, strict=True):
                mask[end - length : end, prompt + end - length : prompt + end].triu_(diagonal=1)
            self._masks[prompt, lengths] = mask
        return mask


def _joined(tensor: Tensor, first: slice, second: slice) -> Tensor:
    """Return two spans one after the other, without a copy where they are neighbors."""
    if first.stop == second.start:
        return tensor[:, :, first.start : second.stop]
    return torch.cat([tensor[:, :, first], tensor[:, :, second]], 2)
