"""An engine that writes the completions of a file, for tests of everything around an engine.

It reads the model's tokenizer without transformers, because an engine starts in each of many tests.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from temporay.models.engines._base import ASLEEP, NO_WEIGHTS, check_length, extended, num_new_tokens, started_groups
from temporay.models.engines._settings import EngineSettings, refuse_workers
from temporay.operators.errors import UserError
from temporay.operators.records import FinishReason, Group, Prompt, Rollout, Sampling
from tokenizers import Tokenizer

SCRIPT = "scripted.json"  # in the model folder: prompt key, or "" for all others → completions, used in turn
SECONDS_PER_PROMPT = "seconds per prompt"  # key in the script: duration of a call for each of its prompts


class Words:
    """The words of a model folder, as far as ``extended`` asks a tokenizer of transformers for them."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        end = json.loads((path / "tokenizer_config.json").read_text())["eos_token"]
        self.eos_token_id: int = self._tokenizer.token_to_id(end)

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text


class Scripted:
    """An engine whose rollout g is completion g of the script, modulo their number, with log-probabilities of 0."""

    name = "scripted"

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        refuse_workers(self.name, settings.tensor_parallel)
        self.weight_version = 0
        self._asleep = False
        self._settings = settings
        self._words = Words(path)
        try:
            script: dict[str, Any] = json.loads((path / SCRIPT).read_text())
        except OSError as error:
            raise UserError(
                f"the scripted engine needs {path / SCRIPT} ({error.strerror}); write it, or give another engine"
            ) from error
        self._seconds_per_prompt = float(script.pop(SECONDS_PER_PROMPT, 0.0))
        self._completions: dict[str, list[str]] = script

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None = None
    ) -> list[Group]:
        if self._asleep:
            raise RuntimeError(ASLEEP)
        prompt_ids = [self._words.encode(prompt.text) for prompt in prompts]
        for prompt, ids in zip(prompts, prompt_ids, strict=True):
            check_length(prompt.key, len(ids), sampling.max_tokens, self._settings.max_model_len)
        time.sleep(self._seconds_per_prompt * len(prompts))
        return [
            Group(
                key=prompt.key,
                prompt_ids=ids,
                rollouts=tuple(self._written(prompt, g, r, sampling) for g, r in enumerate(group.rollouts)),
            )
            for prompt, ids, group in zip(prompts, prompt_ids, started_groups(prompts, sampling, begun), strict=True)
        ]

    def sleep(self, *, keep_weights: bool) -> None:
        """Note it only: a script takes no memory of a device."""
        self._asleep = True
        self.weight_version = self.weight_version if keep_weights else NO_WEIGHTS

    def wake_up(self) -> None:
        self._asleep = False

    def load_weights(self, buckets: Iterable[Mapping[str, torch.Tensor]], version: int) -> None:
        """Keep the number only: a script has no weights."""
        deque(buckets, maxlen=0)  # they are checked on their way
        self.weight_version = version
        self._asleep = False

    def _written(self, prompt: Prompt, g: int, rollout: Rollout, sampling: Sampling) -> Rollout:
        if rollout.finish_reason is not FinishReason.SEGMENT:
            return rollout
        known = self._completions.get(prompt.key, self._completions.get("", []))
        if not known:
            raise UserError(f'{SCRIPT} has no completion for prompt {prompt.key!r}; add one, or one for all under ""')
        offset = len(rollout.completion_ids)
        ids = (*self._words.encode(known[g % len(known)]), self._words.eos_token_id)
        new_ids = ids[offset : offset + num_new_tokens(sampling, offset)]
        return extended(
            prompt,
            rollout,
            new_ids,
            (0.0,) * len(new_ids),
            version=self.weight_version,
            sampling=sampling,
            tokenizer=self._words,
        )
