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
from temporay.operators.media import Medium
from temporay.operators.records import Address, Question, Sample
from temporay.operators.sampling import TWO_PER_SECOND, ShownFrames

SHAPES = ((6, 48, 64, 4.0), (7, 33, 90, 3.3), (2, 300, 20, 29.97))


def sample(num_frames: int, height: int, width: int, fps: float) -> Sample:
    return Sample(
        address=Address(task="t", split="train", index=num_frames, seed=0, level=0),
        question=Question(text=f"Which way after {width}?", options=("up", "down it goes"), answer_index=1),
        rationale="It goes" * (num_frames % 3),
        order_dependent=True,
        needs_time=True,
        media=(Medium(width=width, height=height, fps=fps, num_frames=num_frames),),
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
    shown = ShownFrames(indices=(0, 3, 7, 100, 101, 1199), num_frames=1200)  # as many frames, other timestamps
    samples.append(replace(samples[0], media=(replace(samples[0].clip, num_frames=1200, shown=shown),)))
    instructions = ["", "Think.", "", "Answer with a letter.", ""]
    prompts = [
        to_prompt(processor, one, tuple(np.zeros(medium.shape, np.uint8) for medium in one.media), instruction=how)
        for one, how in zip(samples, instructions, strict=True)
    ]
    batch = collate_samples(family, processor, prompts, [one.target for one in samples])
    assert TokenLengths(family, processor)(samples, instructions) == list(batch.lengths_R)


def test_frames_chosen_here_make_the_prompt_that_the_processor_makes_of_the_whole_clip(
    tiny_models: Callable[[str], Path],
) -> None:
    """Ids, and so timestamps, and patches of Qwen3-VL when it samples two frames a second by itself."""
    path = tiny_models("qwen3_vl")
    family = family_of(path)
    processor = family.load_processor(path)
    one = sample(41, 32, 32, 8.0)
    shown = TWO_PER_SECOND.shown(41, 8.0)
    one = replace(one, media=(replace(one.clip, shown=shown),))
    assert shown is not None and one.clip.num_shown == 10
    clip_THWC = np.random.default_rng(0).integers(0, 256, (41, 32, 32, 3), np.uint8)
    prompt = to_prompt(processor, one, (clip_THWC[list(shown.indices)],), instruction="")
    encoded = family.encode(processor, [prompt])
    whole = {"total_num_frames": 41, "fps": 8.0, "duration": 41 / 8, "height": 32, "width": 32}
    own = processor(
        text=[prompt.text],
        videos=[clip_THWC],
        video_metadata=[whole],
        do_sample_frames=True,
        fps=2.0,
        do_rescale=False,
        do_normalize=False,
        return_tensors="pt",
    )
    assert encoded.prompt_ids[0] == tuple(own["input_ids"][0].tolist())
    assert np.array_equal(encoded.media_tensors["pixel_values_videos"], own["pixel_values_videos"])
