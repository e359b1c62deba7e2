"""An engine that says what a file tells it to: the fake for tests of everything around an engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from models.engines._base import EngineSettings, check_length, finish_reason
from models.families._base import family_of
from operators.errors import UserError
from operators.records import Group, Prompt, Rollout, Sampling

SCRIPT = "scripted.json"  # in the model folder: prompt key, or "" for all others → completions, taken in turn


class Scripted:
    """Rollout g of a prompt is its completion g, counted round; sure of every token, so all log-probs are 0."""

    name = "scripted"

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        self.weight_version = 0
        self._settings = settings
        self._family = family_of(path)
        self._processor = self._family.load_processor(path)
        try:
            self._completions: dict[str, list[str]] = json.loads((path / SCRIPT).read_text())
        except OSError as error:
            raise UserError(
                f"the scripted engine needs {path / SCRIPT} ({error.strerror}); write it, or give another engine"
            ) from error

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Group]:
        encoded = self._family.encode(self._processor, prompts)
        for prompt, ids in zip(prompts, encoded.prompt_ids, strict=True):
            check_length(prompt, len(ids), sampling, self._settings)
        return [
            Group(
                key=prompt.key,
                prompt_ids=ids,
                rollouts=tuple(self._rollout(prompt, g, sampling) for g in range(sampling.num_rollouts)),
            )
            for prompt, ids in zip(prompts, encoded.prompt_ids, strict=True)
        ]

    def load_weights(self, state: Mapping[str, torch.Tensor], version: int) -> None:
        """Keeps the number: a script has no weights."""
        self.weight_version = version

    def _rollout(self, prompt: Prompt, g: int, sampling: Sampling) -> Rollout:
        known = self._completions.get(prompt.key, self._completions.get("", []))
        if not known:
            raise UserError(f'{SCRIPT} has no completion for prompt {prompt.key!r}; add one, or one for all under ""')
        tokenizer = self._processor.tokenizer
        ids = tokenizer(known[g % len(known)], add_special_tokens=False)["input_ids"]
        completion_ids = tuple([*ids, tokenizer.eos_token_id][: sampling.max_tokens])
        return Rollout(
            completion_ids=completion_ids,
            logprobs=(0.0,) * len(completion_ids),
            text=tokenizer.decode(completion_ids, skip_special_tokens=True),
            finish_reason=finish_reason(completion_ids, tokenizer.eos_token_id),
            weight_versions=(self.weight_version,) * len(completion_ids),
        )
