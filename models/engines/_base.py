"""What a rollout engine is: prompts in, groups of sampled token ids with their log-probabilities out.

    prompts → groups, begun → groups, … → groups, finished

With ``segment_tokens`` a rollout is written in several calls, maybe by several engines under several versions of the
weights. Each call reads prompt and completion so far again, because what was cached belongs to other weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import Field
from temporay.operators.errors import UserError
from temporay.operators.records import FinishReason, Group, Prompt, Rollout, Sampling
from temporay.operators.seeding import digest
from temporay.operators.settings import Settings

ENGINES = "temporay.models.engines"


class EngineSettings(Settings):
    """How an engine computes, whichever it is."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    max_model_len: int = Field(default=4096, ge=1)  # tokens of prompt and completion together
    max_num_seqs: int = Field(default=128, ge=1)  # completions computed at a time
    kv_cache_mib: int | None = Field(default=256, ge=16)  # vLLM only; None: vLLM's own share of the device's memory
    compile: bool = False  # vLLM only: torch.compile and CUDA graphs; minutes at the start, faster after


class Engine(Protocol):
    """A rollout engine. Not thread-safe: one caller at a time."""

    name: str
    weight_version: int  # of the weights it holds; 0 are those of the checkpoint

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        """Loads a checkpoint folder in Hugging Face layout."""

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None = None
    ) -> list[Group]:
        """One group per prompt, in order.

        Args:
            begun: what an earlier call returned for each prompt, None for one that is new. Rollouts that ended are
                returned as they are; those cut by ``segment_tokens`` get up to as many more tokens.

        ``completion_ids`` end with the end-of-turn token when it was sampled; ``logprobs`` are those of the
        distribution that was sampled from, after temperature and without tokens the family bans.

        Raises:
            UserError: a prompt and its completion do not fit into ``max_model_len``.
        """

    def load_weights(self, state: Mapping[str, torch.Tensor], version: int) -> None:
        """Replaces all weights by those of a state dict with Hugging Face names; what was cached is not used again."""


NOT_BEGUN = Rollout(completion_ids=(), logprobs=(), text="", finish_reason=FinishReason.SEGMENT, weight_versions=())


def started_groups(
    prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None
) -> Sequence[Group]:
    """The groups to write on, without prompt ids and tokens where nothing has begun."""
    empty = (NOT_BEGUN,) * sampling.num_rollouts
    return [
        group or Group(key=prompt.key, prompt_ids=(), rollouts=empty)
        for prompt, group in zip(prompts, begun or [None] * len(prompts), strict=True)
    ]


def rollout_seed(sampling: Sampling, prompt: Prompt, *row: int) -> int:
    """A seed of its own for every prompt, and for every row (g, or g and offset) of it, whatever batch it is in.

    That of a prompt has 31 bits, that of a row 63.
    """
    seed = digest("rollout", sampling.seed, prompt.key) % 2**31
    return digest(seed, *row) % 2**63 if row else seed


def num_new_tokens(sampling: Sampling, offset: int) -> int:
    """How many tokens one call may write after the first ``offset``."""
    left = sampling.max_tokens - offset
    return left if sampling.segment_tokens is None else min(left, sampling.segment_tokens)


def extended(
    rollout: Rollout,
    token_ids: Sequence[int],
    logprobs: Sequence[float],
    *,
    version: int,
    sampling: Sampling,
    tokenizer: Any,
) -> Rollout:
    """A rollout with what one call wrote, all of it under one version of the weights."""
    completion_ids = (*rollout.completion_ids, *token_ids)
    return Rollout(
        completion_ids=completion_ids,
        logprobs=(*rollout.logprobs, *logprobs),
        text=tokenizer.decode(completion_ids, skip_special_tokens=True),
        finish_reason=finish_reason(completion_ids, tokenizer.eos_token_id, sampling),
        weight_versions=(*rollout.weight_versions, *(version,) * len(token_ids)),
    )


def finish_reason(completion_ids: Sequence[int], eos_id: int, sampling: Sampling) -> FinishReason:
    """STOP when the completion ends itself, else by what it was cut."""
    if completion_ids and completion_ids[-1] == eos_id:
        return FinishReason.STOP
    return FinishReason.LENGTH if len(completion_ids) >= sampling.max_tokens else FinishReason.SEGMENT


def check_length(prompt: Prompt, num_prompt_tokens: int, sampling: Sampling, settings: EngineSettings) -> None:
    """Refuses a prompt whose completion would be cut by the engine instead of by ``max_tokens``.

    Raises:
        UserError: it does not fit.
    """
    needed = num_prompt_tokens + sampling.max_tokens
    if needed > settings.max_model_len:
        raise UserError(
            f"prompt {prompt.key} has {num_prompt_tokens} tokens and max_tokens is {sampling.max_tokens}, but "
            f"max_model_len is {settings.max_model_len}; set it to at least {needed}, or use fewer frames or tokens"
        )
