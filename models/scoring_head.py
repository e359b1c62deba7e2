"""Log-probabilities of chosen tokens without (B, L, vocabulary) logits: only scored positions meet the output layer.

Shapes: B sequences, L positions, N scored tokens, D hidden size.
"""

import functools
import types
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

MAX_LOGITS = 1 << 26  # elements alive at a time; above it, logits are computed again in the backward pass


class Scores(NamedTuple):
    """Values by position, 0 where nothing is scored."""

    logprobs_BL: Tensor
    entropy_BL: Tensor  # nats; without gradient


def add_scoring_head(model: nn.Module) -> None:
    """Let ``model(..., scored_mask_BL=mask, temperature=t)`` return ``Scores``; without the mask nothing changes.

    The method is on the model itself, so that FSDP2's hooks on the root module run. Call it before sharding.
    """
    plain_forward = model.forward

    @functools.wraps(plain_forward)
    def forward(
        self: nn.Module, *args: Any, scored_mask_BL: Tensor | None = None, temperature: float = 1.0, **inputs: Any
    ) -> Any:
        if scored_mask_BL is None:
            return plain_forward(*args, **inputs)
        backbone, head = self.base_model, self.get_output_embeddings()  # type: ignore[operator]
        hidden_BLD = backbone(use_cache=False, **inputs).last_hidden_state  # type: ignore[operator]
        chosen_BL = scored_mask_BL[:, 1:].bool()  # position l is predicted from position l - 1
        labels_N = inputs["input_ids"][:, 1:][chosen_BL]
        logprobs_N, entropy_N = _score(head, hidden_BLD[:, :-1][chosen_BL], labels_N, temperature)
        place_BL = torch.nn.functional.pad(chosen_BL, (1, 0))
        blank_BL = logprobs_N.new_zeros(place_BL.shape)
        return Scores(blank_BL.masked_scatter(place_BL, logprobs_N), blank_BL.masked_scatter(place_BL, entropy_N))

    model.forward = types.MethodType(forward, model)


def _score(head: nn.Module, hidden_ND: Tensor, labels_N: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    vocab_size: Any = head.out_features
    rows = max(1, MAX_LOGITS // int(vocab_size))
    if len(hidden_ND) <= rows:
        return _score_rows(head, hidden_ND, labels_N, temperature)
    parts = [
        checkpoint(_score_rows, head, hidden, labels, temperature, use_reentrant=False)
        for hidden, labels in zip(torch.split(hidden_ND, rows), torch.split(labels_N, rows), strict=True)
    ]
    logprobs, entropies = zip(*parts, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def _score_rows(head: nn.Module, hidden_ND: Tensor, labels_N: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    logits_NV = head(hidden_ND).float() / temperature
    logprobs_NV = logits_NV.log_softmax(-1)
    with torch.no_grad():
        entropy_N = -(logprobs_NV.exp() * logprobs_NV).sum(-1)
    return logprobs_NV.gather(-1, labels_N[:, None])[:, 0], entropy_N
