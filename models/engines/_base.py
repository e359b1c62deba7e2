"""What a rollout engine is: prompts in, groups of sampled token ids with their log-probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field

from operators.errors import UserError
from operators.records import FinishReason, Group, Prompt, Sampling
from operators.seeding import digest

ENGINES = "models.engines"


class EngineSettings(BaseModel):
    """How an engine computes, whichever it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Group]:
        """One group per prompt, in order.

        ``completion_ids`` end with the end-of-turn token when it was sampled; ``logprobs`` are those of the
        distribution that was sampled from, after temperature and without tokens the family bans.

        Raises:
            UserError: a prompt and its completion do not fit into ``max_model_len``.
        """

    def load_weights(self, state: Mapping[str, torch.Tensor], version: int) -> None:
        """Replaces all weights by those of a state dict with Hugging Face names; what was cached is not used again."""


def rollout_seed(sampling: Sampling, prompt: Prompt) -> int:
    """31 bits of its own for every prompt, whatever batch it is in."""
    return digest("rollout", sampling.seed, prompt.key) % 2**31


def finish_reason(completion_ids: Sequence[int], eos_id: int) -> FinishReason:
    """STOP when the completion ends itself, LENGTH when it was cut."""
    return FinishReason.STOP if completion_ids and completion_ids[-1] == eos_id else FinishReason.LENGTH


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
