"""The exact number of a model's tokens in a sample, without a pixel.

A prompt goes through the family's own processor with frames on torch's ``meta`` device, which have a shape and no
content. Resizing and cutting into patches then cost nothing, and timestamps and placeholders come out as in training.
A medium stands between special tokens, so its number of tokens depends on its shape and times alone and is counted
once.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from temporay.models.chat import media_tokens, to_prompt, to_target
from temporay.models.families._base import Family
from temporay.operators.media import Clips, Frames, Medium, ShownMedium
from temporay.operators.records import Prompt, Sample


class TokenLengths:
    """A counter whose lengths are those of ``temporay.models.collate.collate_samples``."""

    def __init__(self, family: Family, processor: Any) -> None:
        self._family, self.processor = family, processor
        self._added: dict[tuple[Any, ...], int] = {}  # tokens by kind, shape, rate, and frames shown

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
        added = (sum(map(self._added_by, prompt.media)) for prompt in prompts)
        return [tokens + more for tokens, more in zip(texts, added, strict=True)]

    def _prompts(self, samples: Sequence[Sample], instructions: Sequence[str]) -> list[Prompt]:
        return [
            to_prompt(self.processor, sample, shapes_alone(sample.media), instruction=instruction)
            for sample, instruction in zip(samples, instructions, strict=True)
        ]

    def _num_tokens(self, texts: list[str]) -> list[int]:
        encoded = self.processor.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return [len(ids) for ids in encoded]

    def _added_by(self, medium: ShownMedium) -> int:
        """Return by how many tokens a medium is longer than its marker."""
        key = medium.kind, tuple(medium.frames_THWC.shape), medium.fps, medium.shown
        if key not in self._added:
            alone = Prompt(key="", text=media_tokens(self.processor)[medium.kind], media=(medium,))
            (ids,) = self._family.encode(self.processor, [alone]).prompt_ids
            self._added[key] = len(ids) - 1
        return self._added[key]


def shapes_alone(media: Sequence[Medium]) -> Clips:
    """Return what stands for the frames of media where only their shapes count."""
    return tuple(cast(Frames, torch.empty(medium.shape, dtype=torch.uint8, device="meta")) for medium in media)
