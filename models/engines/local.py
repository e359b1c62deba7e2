"""transformers' own generation, in this process, wherever vLLM cannot be installed.

prompts × rollouts → left-padded batches → ``generate`` → token ids and log-probs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from models.engines._base import EngineSettings, check_length, finish_reason, rollout_seed
from models.families._base import EncodedPrompts, family_of
from operators.records import Group, Prompt, Rollout, Sampling
from operators.seeding import digest


class GumbelMax(LogitsProcessor):  # type: ignore[misc]
    """Samples by the Gumbel-max trick inside a greedy ``generate``, and notes the log-probability of each choice.

    Every row has a generator of its own, so that a completion does not depend on what else is in the batch.
    Shapes: B rows, V vocabulary.
    """

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self._temperature = temperature
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.logprobs_B: list[torch.Tensor] = []  # by step

    def __call__(self, input_ids: torch.Tensor, scores_BV: torch.Tensor) -> torch.Tensor:
        logprobs_BV = torch.log_softmax(scores_BV.float() / (self._temperature or 1.0), dim=-1)
        choice_BV = logprobs_BV if self._temperature == 0 else logprobs_BV + self._noise(logprobs_BV)
        self.logprobs_B.append(logprobs_BV.gather(-1, choice_BV.argmax(-1, keepdim=True)).squeeze(-1))
        return choice_BV

    def _noise(self, logprobs_BV: torch.Tensor) -> torch.Tensor:
        size = logprobs_BV.shape[-1]
        rows = [torch.empty(size).exponential_(generator=generator) for generator in self._generators]
        return -torch.stack(rows).log().to(logprobs_BV.device)


class Local:
    """The engine without dependencies beyond transformers."""

    name = "local"

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        self.weight_version = 0
        self._settings = settings
        self._family = family_of(path)
        self._processor = self._family.load_processor(path)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = self._family.load_model(path, getattr(torch, settings.dtype)).to(device).eval()
        # ``generate`` fills what is unset from here; a checkpoint's top-k or penalties would bend the distribution.
        self._model.generation_config = GenerationConfig()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Group]:
        rows = [(prompt, g) for prompt in prompts for g in range(sampling.num_rollouts)]
        answered: list[tuple[tuple[int, ...], Rollout]] = []
        for batch in _chunks(rows, self._settings.max_num_seqs):
            answered += self._generate_batch(batch, sampling)
        groups = []
        for i, prompt in enumerate(prompts):
            mine = answered[i * sampling.num_rollouts : (i + 1) * sampling.num_rollouts]
            rollouts = tuple(rollout for _, rollout in mine)
            groups.append(Group(key=prompt.key, prompt_ids=mine[0][0], rollouts=rollouts))
        return groups

    def load_weights(self, state: Mapping[str, torch.Tensor], version: int) -> None:
        missing, unexpected = self._model.load_state_dict(state, strict=False)
        tied = {"lm_head.weight"} if self._model.config.tie_word_embeddings else set()
        if unexpected or set(missing) - tied:
            raise RuntimeError(f"weights of version {version} do not fit: missing {missing}, unexpected {unexpected}")
        self.weight_version = version

    @torch.inference_mode()
    def _generate_batch(
        self, rows: Sequence[tuple[Prompt, int]], sampling: Sampling
    ) -> list[tuple[tuple[int, ...], Rollout]]:
        encoded = self._family.encode(self._processor, [prompt for prompt, _ in rows])
        for (prompt, _), ids in zip(rows, encoded.prompt_ids, strict=True):
            check_length(prompt, len(ids), sampling, self._settings)
        inputs = self._inputs(encoded)
        seeds = [digest(rollout_seed(sampling, prompt), g) % 2**63 for prompt, g in rows]
        sampler = GumbelMax(sampling.temperature, seeds)
        eos_id = self._processor.tokenizer.eos_token_id
        sequences_BL = self._model.generate(
            **inputs,
            logits_processor=LogitsProcessorList([sampler]),
            generation_config=GenerationConfig(
                max_new_tokens=sampling.max_tokens,
                do_sample=False,
                eos_token_id=eos_id,
                pad_token_id=self._processor.tokenizer.pad_token_id,
            ),
        )
        completions = sequences_BL[:, inputs["input_ids"].shape[1] :].tolist()
        logprobs = torch.stack(sampler.logprobs_B, dim=1).tolist()
        return [
            (ids, self._rollout(tokens, scores, eos_id))
            for ids, tokens, scores in zip(encoded.prompt_ids, completions, logprobs, strict=True)
        ]

    def _inputs(self, encoded: EncodedPrompts) -> dict[str, torch.Tensor]:
        """Left-padded ids, so that every row's next token is at the same place."""
        longest = max(len(ids) for ids in encoded.prompt_ids)
        pad_id = self._processor.tokenizer.pad_token_id
        input_ids_BL = torch.tensor([[pad_id] * (longest - len(ids)) + list(ids) for ids in encoded.prompt_ids])
        mask_BL = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in encoded.prompt_ids])
        types = self._family.token_types(self._processor, input_ids_BL)
        tensors = {"input_ids": input_ids_BL, "attention_mask": mask_BL, **types, **encoded.video_tensors}
        return {name: tensor.to(self._model.device) for name, tensor in tensors.items()}

    def _rollout(self, tokens: list[int], logprobs: list[float], eos_id: int) -> Rollout:
        end = tokens.index(eos_id) + 1 if eos_id in tokens else len(tokens)
        completion_ids = tuple(tokens[:end])
        return Rollout(
            completion_ids=completion_ids,
            logprobs=tuple(logprobs[:end]),
            text=self._processor.tokenizer.decode(completion_ids, skip_special_tokens=True),
            finish_reason=finish_reason(completion_ids, eos_id),
            weight_versions=(self.weight_version,) * len(completion_ids),
        )


def _chunks(rows: Sequence[tuple[Prompt, int]], size: int) -> Iterator[Sequence[tuple[Prompt, int]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
