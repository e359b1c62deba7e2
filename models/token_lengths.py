"""The exact number of a model's tokens in a sample, without a pixel.

A prompt goes through the family's own processor with frames on torch's ``meta`` device, which have a shape and no
content. Resizing and cutting into patches then cost nothing, and timestamps and placeholders come out as in training.
A video stands between special tokens, so its number of tokens depends on its shape and rate alone and is counted
once.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from temporay.models.chat import to_prompt, to_target
from temporay.models.families._base import Family
from temporay.operators.records import Frames, Prompt, Sample


class TokenLengths:
    """A counter whose lengths are those of ``temporay.models.collate.collate_samples``."""

    def __init__(self, family: Family, processor: Any) -> None:
        self._family, self.processor = family, processor
        self._added: dict[tuple[Any, ...], int] = {}  # tokens by frames, height, width, rate, and frames shown

    def __call__(self, samples: Sequence[Sample], instructions: Sequence[str]) -> list[int]:
        """Return the tokens of prompt, video, target and end of turn of every sample.

        Args:
            instructions: how to answer, one for each sample.
        """
        prompts = self._prompts(samples, instructions)
        targets = self._num_tokens([to_target(one, sample) for one, sample in zip(prompts, samples, strict=True)])
        return [tokens + target + 1 for tokens, target in zip(self.of(prompts), targets, strict=True)]  # 1: end of turn

    def of_prompts(self, samples: Sequence[Sample], instructions: Sequence[str]) -> list[int]:
        """Return the tokens of prompt and video of every sample, as an engine reads them."""
        return self.of(self._prompts(samples, instructions))

    def of(self, prompts: Sequence[Prompt]) -> list[int]:
        """Return the tokens of prompts, as an engine reads them. Of their frames, only the shape counts."""
        texts = self._num_tokens([prompt.text for prompt in prompts])
        return [tokens + self._added_by(prompt, tokens) for prompt, tokens in zip(prompts, texts, strict=True)]

    def _prompts(self, samples: Sequence[Sample], instructions: Sequence[str]) -> list[Prompt]:
        return [
            to_prompt(self.processor, sample, _shape_of_frames(sample), instruction=instruction)
            for sample, instruction in zip(samples, instructions, strict=True)
        ]

    def _num_tokens(self, texts: list[str]) -> list[int]:
        encoded = self.processor.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return [len(ids) for ids in encoded]

    def _added_by(self, prompt: Prompt, num_text_tokens: int) -> int:
        if prompt.frames_THWC is None:
            return 0
        num_frames, height, width, _ = prompt.frames_THWC.shape
        shape = num_frames, height, width, prompt.fps, prompt.shown
        if shape not in self._added:
            (ids,) = self._family.encode(self.processor, [prompt]).prompt_ids
            self._added[shape] = len(ids) - num_text_tokens
        return self._added[shape]


def _shape_of_frames(sample: Sample) -> Frames:
    return shape_alone(sample.num_shown, sample.height, sample.width)


def shape_alone(num_frames: int, height: int, width: int) -> Frames:
    """Return what stands for frames_THWC where only their shape counts."""
    return cast(Frames, torch.empty((num_frames, height, width, 3), dtype=torch.uint8, device="meta"))
