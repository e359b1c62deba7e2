"""Attention over grids in batches equals attention over single grids, forward and backward, in every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporay.models.families._base import FAMILIES, family_of
from temporay.models.families._vision_attention import equal_runs
from temporay.operators.components import available
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt

CLIPS = ((6, 64, 64), (4, 64, 64), (8, 96, 64), (2, 64, 96))  # frames, height, width; the last has its sides swapped


@pytest.mark.parametrize("name", available(FAMILIES))
def test_batched_attention_is_the_towers_own(name: str, tiny_models: Callable[[str], Path]) -> None:
    path = tiny_models(name)
    family = family_of(path)
    processor = family.load_processor(path)
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in CLIPS]
    text = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "video"}]}], tokenize=False, add_generation_prompt=True
    )
    prompts = [Prompt(key="", text=text, media=(ShownMedium(frames_THWC=clip, fps=4.0),)) for clip in clips]
    encoded = family.encode(processor, prompts)
    videos, (host_grid,) = encoded.media_tensors, family.host_inputs(encoded).values()
    visual: Any = family.load_model(path, torch.float32).model.visual  # type: ignore[union-attr]

    def features_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        visual.zero_grad()
        features = visual(videos["pixel_values_videos"], grid_thw=videos["video_grid_thw"]).pooler_output
        (features * torch.linspace(-1, 1, features.shape[-1])).sum().backward()
        return features.detach(), visual.blocks[0].attn.qkv.weight.grad.clone()

    ours = features_and_gradient()
    unreadable = videos["video_grid_thw"].to("meta")  # a tower that read its grid from the device would fail
    told = visual(videos["pixel_values_videos"], grid_thw=unreadable, host_grid=host_grid).pooler_output
    assert torch.equal(told, ours[0])
    for block in visual.blocks:
        del block.attn.forward  # the class's own again
    theirs = features_and_gradient()
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-4, atol=1e-4 * float(their.abs().max()))


def test_only_neighboring_grids_of_one_length_are_a_batch() -> None:
    assert list(equal_runs([4, 4, 6, 4])) == [(2, 4), (1, 6), (1, 4)]
