"""How far an engine's log-probabilities are from a forward pass of the model that training updates."""

from collections.abc import Sequence
from typing import Any

import torch
from temporay.models.families._base import Family
from temporay.operators.records import Group, Prompt

# Nats: engine and trainer compute the same in float32; in bfloat16 every layer rounds differently.
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.2}


@torch.no_grad()
def gaps_to_trainer(
    model: Any, family: Family, processor: Any, prompts: Sequence[Prompt], groups: Sequence[Group], temperature: float
) -> list[list[float]]:
    """Return the absolute difference at every token of every rollout, in nats: one list for each rollout, in order.

    Args:
        model: as ``Family.load_model`` returns it.
        temperature: of the sampling.

    Raises:
        RuntimeError: engine and trainer read different ids.
    """
    gaps: list[list[float]] = []
    for prompt, group in zip(prompts, groups, strict=True):
        encoded = family.encode(processor, [prompt])
        if group.prompt_ids != encoded.prompt_ids[0]:
            raise RuntimeError(
                f"engine and trainer encode prompt {group.key} differently ({len(group.prompt_ids)} and "
                f"{len(encoded.prompt_ids[0])} ids)"
            )
        for rollout in group.rollouts:
            ids = torch.tensor([[*group.prompt_ids, *rollout.completion_ids]])
            types = family.token_types(processor, ids)
            logits = model(input_ids=ids, **types, **encoded.media_tensors).logits[0] / temperature
            logprobs = logits[len(group.prompt_ids) - 1 : -1].log_softmax(-1)
            scored = logprobs.gather(-1, torch.tensor(rollout.completion_ids)[:, None])[:, 0]
            gaps.append((scored - torch.tensor(rollout.logprobs)).abs().tolist())
    return gaps
