"""Log-probabilities of chosen tokens without (B, L, vocabulary) logits: only scored positions meet the output layer.

Shapes: B completions, T completion tokens, N scored tokens, D hidden size.
"""

import functools
import types
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

MAX_LOGITS = 1 << 26  # elements alive at a time; above it, logits are computed again in the backward pass


class Scores(NamedTuple):
    """Values by completion token, 0 where nothing is scored."""

    logprobs_BT: Tensor
    entropy_BT: Tensor  # nats; without gradient


def add_scoring_head(model: nn.Module) -> None:
    """Let ``model(..., scored_mask_BT=mask, …)`` return ``Scores``; without the mask nothing changes.

    It then also takes ``completion_ids_BT``, the tokens to score, ``predictors_BT``, the place of the token before each
    in all rows end to end, and ``temperature``.

    The method is on the model itself, so that FSDP2's hooks on the root module run. Call it before sharding.
    """
    plain_forward = model.forward

    @functools.wraps(plain_forward)
    def forward(
        self: nn.Module,
        *args: Any,
        scored_mask_BT: Tensor | None = None,
        completion_ids_BT: Tensor | None = None,
        predictors_BT: Tensor | None = None,
        temperature: float = 1.0,
        **inputs: Any,
    ) -> Any:
        if scored_mask_BT is None:
            return plain_forward(*args, **inputs)
        assert completion_ids_BT is not None and predictors_BT is not None
        backbone, head = self.base_model, self.get_output_embeddings()  # type: ignore[operator]
        hidden_BLD = backbone(use_cache=False, **inputs).last_hidden_state  # type: ignore[operator]
        chosen_BT = scored_mask_BT.bool()
        hidden_ND = hidden_BLD.flatten(0, 1)[predictors_BT[chosen_BT]]
        logprobs_N, entropy_N = _score(head, hidden_ND, completion_ids_BT[chosen_BT], temperature)
        blank_BT = logprobs_N.new_zeros(chosen_BT.shape)
        return Scores(blank_BT.masked_scatter(chosen_BT, logprobs_N), blank_BT.masked_scatter(chosen_BT, entropy_N))

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
