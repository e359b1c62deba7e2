"""Token lengths without pixels are those of the collator, in every family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from temporay.models.chat import to_prompt
from temporay.models.collate import collate_samples
from temporay.models.families._base import FAMILIES, family_of
from temporay.models.token_lengths import TokenLengths
from temporay.operators.components import available
from temporay.operators.records import Address, Question, Sample

SHAPES = ((6, 48, 64, 4.0), (7, 33, 90, 3.3), (2, 300, 20, 29.97))


def sample(num_frames: int, height: int, width: int, fps: float) -> Sample:
    return Sample(
        address=Address(task="t", split="train", index=num_frames, seed=0, level=0),
        question=Question(text=f"Which way after {width}?", options=("up", "down it goes"), answer_index=1),
        rationale="It goes" * (num_frames % 3),
        order_dependent=True,
        needs_time=True,
        width=width,
        height=height,
        fps=fps,
        num_frames=num_frames,
        events=(),
        sources=(),
        facts={},
    )


@pytest.mark.parametrize("name", available(FAMILIES))
def test_lengths_are_those_of_the_collator(name: str, tiny_models: Callable[[str], Path]) -> None:
    path = tiny_models(name)
    family = family_of(path)
    processor = family.load_processor(path)
    samples = [sample(*shape) for shape in SHAPES]
    samples.append(replace(samples[0], question=replace(samples[0].question, text="Other?")))  # a shape seen before
    instructions = ["", "Think.", "", "Answer with a letter."]
    prompts = [
        to_prompt(processor, one, np.zeros((one.num_frames, one.height, one.width, 3), np.uint8), instruction=how)
        for one, how in zip(samples, instructions, strict=True)
    ]
    batch = collate_samples(family, processor, prompts, [one.target for one in samples])
    assert TokenLengths(family, processor)(samples, instructions) == list(batch.lengths_R)
