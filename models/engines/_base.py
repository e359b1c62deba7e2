"""The protocol of rollout engines: prompts in, groups of sampled token ids with their log-probabilities out.

    prompts → groups, begun → groups, … → groups, finished

With ``segment_tokens``, a rollout is written in several calls, perhaps by several engines under several versions of the
weights. Each call reads prompt and completion again, because cached values belong to other weights.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from temporay.models.adapters import Adapters
from temporay.models.chat import opens_thought
from temporay.models.engines._settings import EngineSettings
from temporay.operators.errors import UserError
from temporay.operators.records import THINK_OPEN, FinishReason, Group, Prompt, Rollout, Sampling
from temporay.operators.seeding import digest


class EngineLostError(RuntimeError):
    """Part of an engine has ended, so that it will never answer again; another one must be started."""


class Engine(Protocol):
    """A rollout engine. Not thread-safe: one caller at a time."""

    name: str
    weight_version: int  # version of the weights it holds; 0 is the checkpoint

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        """Load a checkpoint folder in Hugging Face layout."""

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None = None
    ) -> list[Group]:
        """Return one group for each prompt, in order.

        Args:
            begun: the group that an earlier call returned for each prompt, None for a new prompt. Rollouts that ended
                are returned as they are; those cut by ``segment_tokens`` get up to that many more tokens.

        ``completion_ids`` end with the end-of-turn token when it was sampled. ``logprobs`` belong to the distribution
        that was sampled from, after temperature and without tokens that the family bans.

        Raises:
            UserError: a prompt and its completion do not fit into ``max_model_len``.
            EngineLostError: one of its processes has ended.
        """

    def load_weights(self, buckets: Iterable[Mapping[str, torch.Tensor]], version: int) -> None:
        """Replace all weights; cached values are not used again.

        Args:
            buckets: whole tensors by Hugging Face name, which together are a state dict. A tensor may be read-only, and
                its memory may be used again when the next bucket is asked for, unless the engine still refers to it.

        If the stream fails, the weights are a mixture, and ``load_weights`` must be called again before ``generate``.
        """

    def sleep(self, *, keep_weights: bool) -> None:
        """Give the device's memory back until ``wake_up`` or ``load_weights``; ``generate`` must not be called before.

        Args:
            keep_weights: they wait in the host's memory. Otherwise they are dropped, ``weight_version`` is NO_WEIGHTS,
                and only ``load_weights`` wakes. What adapters are added to waits in any case.
        """

    def wake_up(self) -> None:
        """Take the memory again, with the weights that were kept. Nothing changes when the engine is awake."""


@runtime_checkable
class AdapterEngine(Protocol):
    """What an engine has beside ``Engine`` if it can compute adapters beside its weights."""

    def load_adapters(self, adapters: Adapters, version: int) -> None:
        """Replace all adapters and wake; cached values are not used again.

        Raises:
            UserError: it has no such layer.
        """


ASLEEP = "an engine that sleeps was asked to generate"
NO_WEIGHTS = -1  # the version of an engine whose weights were dropped
NOT_BEGUN = Rollout(completion_ids=(), logprobs=(), text="", finish_reason=FinishReason.SEGMENT, weight_versions=())


def started_groups(
    prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None
) -> Sequence[Group]:
    """Return the groups to continue; new ones have no prompt ids and no tokens."""
    empty = (NOT_BEGUN,) * sampling.num_rollouts
    return [
        group or Group(key=prompt.key, prompt_ids=(), rollouts=empty)
        for prompt, group in zip(prompts, begun or [None] * len(prompts), strict=True)
    ]


def rollout_seed(sampling: Sampling, prompt: Prompt, *row: int) -> int:
    """Return the seed of a prompt (31 bits), or of one of its rows (63 bits): g, or g and offset.

    It does not depend on the batch.
    """
    seed = digest("rollout", sampling.seed, prompt.key) % 2**31
    return digest(seed, *row) % 2**63 if row else seed


def num_new_tokens(sampling: Sampling, offset: int) -> int:
    """Return how many tokens one call may write after the first ``offset``."""
    left = sampling.max_tokens - offset
    return left if sampling.segment_tokens is None else min(left, sampling.segment_tokens)


def extended(
    prompt: Prompt,
    rollout: Rollout,
    token_ids: Sequence[int],
    logprobs: Sequence[float],
    *,
    version: int,
    sampling: Sampling,
    tokenizer: Any,
) -> Rollout:
    """Return a rollout with the tokens of one call, which have one version of the weights.

    Its text begins with the tag of the thought also where the prompt ends with it: rewards read every model alike.
    """
    completion_ids = (*rollout.completion_ids, *token_ids)
    opening = THINK_OPEN if opens_thought(prompt.text) else ""
    return Rollout(
        completion_ids=completion_ids,
        logprobs=(*rollout.logprobs, *logprobs),
        text=opening + tokenizer.decode(completion_ids, skip_special_tokens=True),
        finish_reason=finish_reason(completion_ids, tokenizer.eos_token_id, sampling),
        weight_versions=(*rollout.weight_versions, *(version,) * len(token_ids)),
    )


def finish_reason(completion_ids: Sequence[int], eos_id: int, sampling: Sampling) -> FinishReason:
    """Return STOP if the completion ended itself, else what cut it."""
    if completion_ids and completion_ids[-1] == eos_id:
        return FinishReason.STOP
    return FinishReason.LENGTH if len(completion_ids) >= sampling.max_tokens else FinishReason.SEGMENT


def check_length(
    key: str, num_prompt_tokens: int, max_tokens: int, max_model_len: int, *, limit: str = "max_tokens"
) -> None:
    """Refuse a prompt whose completion would be cut by the engine instead of by ``max_tokens``.

    Args:
        limit: the setting that ``max_tokens`` comes from.

    Raises:
        UserError: prompt and completion do not fit.
    """
    needed = num_prompt_tokens + max_tokens
    if needed > max_model_len:
        raise UserError(
            f"prompt {key} has {num_prompt_tokens} tokens and {limit} is {max_tokens}, but max_model_len is "
            f"{max_model_len}; set it to at least {needed}, or use fewer frames or tokens"
        )
