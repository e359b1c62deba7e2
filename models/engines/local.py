"""Generation by transformers in this process, wherever vLLM cannot be installed.

prompts × rollouts → left-padded batches → ``generate`` → token ids and log-probs
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from temporay.models.engines._base import (
    ASLEEP,
    NO_WEIGHTS,
    check_length,
    extended,
    num_new_tokens,
    rollout_seed,
    started_groups,
)
from temporay.models.engines._settings import EngineSettings, refuse_workers
from temporay.models.families._base import family_of
from temporay.operators.records import FinishReason, Group, Prompt, Rollout, Sampling
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

HEAD = "lm_head.weight"


class GumbelMax(LogitsProcessor):  # type: ignore[misc]
    """A sampler by the Gumbel-max trick inside a greedy ``generate`` that records each choice's log-probability.

    Every row has its own generator, so that a completion does not depend on the rest of the batch.
    Shapes: B rows, V vocabulary.
    """

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self._temperature = temperature
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.logprobs_B: list[torch.Tensor] = []  # one tensor for each step

    def __call__(self, input_ids: torch.Tensor, scores_BV: torch.Tensor) -> torch.Tensor:
        logprobs_BV = torch.log_softmax(scores_BV.float() / (self._temperature or 1.0), dim=-1)
        choice_BV = logprobs_BV if self._temperature == 0 else logprobs_BV + self._noise(logprobs_BV)
        self.logprobs_B.append(logprobs_BV.gather(-1, choice_BV.argmax(-1, keepdim=True)).squeeze(-1))
        return choice_BV

    def _noise(self, logprobs_BV: torch.Tensor) -> torch.Tensor:
        size = logprobs_BV.shape[-1]
        rows = [torch.empty(size).exponential_(generator=generator) for generator in self._generators]
        return -torch.stack(rows).log().to(logprobs_BV.device)


@dataclass(frozen=True, slots=True)
class OpenRollout:
    """Rollout g of a prompt that has not ended."""

    index: int  # place of the prompt in its call
    prompt: Prompt
    g: int
    rollout: Rollout

    @property
    def offset(self) -> int:
        return len(self.rollout.completion_ids)

    def seed(self, sampling: Sampling) -> int:
        return rollout_seed(sampling, self.prompt, self.g, *([self.offset] if self.offset else []))


class Local:
    """The engine without dependencies beyond transformers."""

    name = "local"

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        refuse_workers(self.name, settings.tensor_parallel)
        self.weight_version = 0
        self._settings = settings
        self._family = family_of(path)
        self._processor = self._family.load_processor(path)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model: Any = self._family.load_model(path, getattr(torch, settings.dtype)).to(self._device).eval()
        self._dropped: dict[str, torch.Size] = {}  # shapes of the parameters that hold nothing while it sleeps
        self._asleep = False
        # ``generate`` takes missing settings from here; a checkpoint's top-k would change the distribution.
        self._model.generation_config = GenerationConfig()

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None = None
    ) -> list[Group]:
        if self._asleep:
            raise RuntimeError(ASLEEP)
        groups = started_groups(prompts, sampling, begun)
        rows = [
            OpenRollout(i, prompt, g, rollout)
            for i, (prompt, group) in enumerate(zip(prompts, groups, strict=True))
            for g, rollout in enumerate(group.rollouts)
            if rollout.finish_reason is FinishReason.SEGMENT
        ]
        written: dict[tuple[int, int], tuple[tuple[int, ...], Rollout]] = {}
        for batch in _chunks(rows, self._settings.max_num_seqs):
            written |= self._write(batch, sampling)
        return [_with_written(i, group, written) for i, group in enumerate(groups)]

    def sleep(self, *, keep_weights: bool) -> None:
        if keep_weights:
            self._model.to("cpu")
        else:
            self.weight_version = NO_WEIGHTS
            for name, parameter in self._model.named_parameters():
                self._dropped[name] = parameter.shape
                parameter.data = parameter.new_empty(0)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._asleep = True

    def wake_up(self) -> None:
        if self._dropped:
            raise RuntimeError("the weights were dropped; only new ones wake this engine")
        self._model.to(self._device)
        self._asleep = False

    def load_weights(self, buckets: Iterable[Mapping[str, torch.Tensor]], version: int) -> None:
        for name, shape in self._dropped.items():
            parameter = self._model.get_parameter(name)
            parameter.data = parameter.new_empty(shape)
        self._dropped = {}
        self.wake_up()
        missing = set(self._model.state_dict()) - ({HEAD} if self._model.config.tie_word_embeddings else set())
        unexpected: list[str] = []
        for tensors in buckets:
            unexpected += self._model.load_state_dict(tensors, strict=False).unexpected_keys
            missing -= tensors.keys()
        if unexpected or missing:
            raise RuntimeError(f"weights of version {version} do not fit: missing {missing}, unexpected {unexpected}")
        self.weight_version = version

    @torch.inference_mode()
    def _write(
        self, rows: Sequence[OpenRollout], sampling: Sampling
    ) -> dict[tuple[int, int], tuple[tuple[int, ...], Rollout]]:
        """Return prompt ids and continued rollouts by (index of the prompt, g)."""
        encoded = self._family.encode(self._processor, [row.prompt for row in rows])
        for row, ids in zip(rows, encoded.prompt_ids, strict=True):
            check_length(row.prompt.key, len(ids), sampling.max_tokens, self._settings.max_model_len)
        prefixes = [(*ids, *row.rollout.completion_ids) for row, ids in zip(rows, encoded.prompt_ids, strict=True)]
        inputs = self._inputs(prefixes, encoded.media_tensors)
        sampler = GumbelMax(sampling.temperature, [row.seed(sampling) for row in rows])
        tokenizer = self._processor.tokenizer
        limits = [num_new_tokens(sampling, row.offset) for row in rows]
        sequences_BL = self._model.generate(
            **inputs,
            logits_processor=LogitsProcessorList([sampler]),
            generation_config=GenerationConfig(
                max_new_tokens=max(limits),
                do_sample=False,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            ),
        )
        completions = sequences_BL[:, inputs["input_ids"].shape[1] :].tolist()
        logprobs = torch.stack(sampler.logprobs_B, dim=1).tolist()
        written = {}
        for row, ids, tokens, scores, limit in zip(
            rows, encoded.prompt_ids, completions, logprobs, limits, strict=True
        ):
            new_ids = _until(tokenizer.eos_token_id, tokens[:limit])
            rollout = extended(
                row.prompt,
                row.rollout,
                new_ids,
                scores[: len(new_ids)],
                version=self.weight_version,
                sampling=sampling,
                tokenizer=tokenizer,
            )
            written[row.index, row.g] = ids, rollout
        return written

    def _inputs(
        self, prefixes: Sequence[tuple[int, ...]], media_tensors: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return left-padded ids, so that every row's next token is at the same place."""
        longest = max(len(ids) for ids in prefixes)
        pad_id = self._processor.tokenizer.pad_token_id
        input_ids_BL = torch.tensor([[pad_id] * (longest - len(ids)) + list(ids) for ids in prefixes])
        mask_BL = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prefixes])
        types = self._family.token_types(self._processor, input_ids_BL)
        tensors = {"input_ids": input_ids_BL, "attention_mask": mask_BL, **types, **media_tensors}
        return {name: tensor.to(self._model.device) for name, tensor in tensors.items()}


def _with_written(i: int, group: Group, written: Mapping[tuple[int, int], tuple[tuple[int, ...], Rollout]]) -> Group:
    mine = {g: written[i, g] for g in range(len(group.rollouts)) if (i, g) in written}
    if not mine:
        return group
    [prompt_ids] = {ids for ids, _ in mine.values()}
    rollouts = tuple(mine[g][1] if g in mine else rollout for g, rollout in enumerate(group.rollouts))
    return replace(group, prompt_ids=prompt_ids, rollouts=rollouts)


def _until(eos_id: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(eos_id) + 1] if eos_id in tokens else tokens


def _chunks(rows: Sequence[OpenRollout], size: int) -> Iterator[Sequence[OpenRollout]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
