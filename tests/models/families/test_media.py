"""Prompts with several videos and pictures, in every family: the processor's own ids, pixels and features."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporay.models.chat import to_prompt
from temporay.models.collate import collate_samples
from temporay.models.families._base import FAMILIES, Family, family_of, video_metadata
from temporay.models.token_lengths import TokenLengths
from temporay.operators.components import available
from temporay.operators.errors import UserError
from temporay.operators.media import Medium
from temporay.operators.records import Prompt, Sample, Turn

from tests.models.small_engines import mixed_prompts
from tests.models.small_samples import ANSWERED

Loaded = tuple[Family, Any, Path]


@pytest.fixture(params=available(FAMILIES))
def loaded(request: pytest.FixtureRequest, tiny_models: Callable[[str], Path]) -> Loaded:
    path = tiny_models(request.param)
    family = family_of(path)
    return family, family.load_processor(path), path


def processed(processor: Any, prompt: Prompt) -> Any:
    """Return what the checkpoint's processor makes of a prompt, pictures apart from videos."""
    given: dict[str, Any] = {}
    for medium in prompt.media:
        name, value = ("images", medium.frames_THWC[0]) if medium.kind == "image" else ("videos", medium.frames_THWC)
        given.setdefault(name, []).append(value)
        if medium.kind == "video":
            given.setdefault("video_metadata", []).append(video_metadata(medium))
            given["do_sample_frames"] = False
    return processor(text=[prompt.text], return_tensors="pt", **given)


def of_transformers(model: Any) -> Any:
    """Return a model of the same weights as transformers makes it, with nothing of ours in its layers."""
    plain = type(model)._from_config(deepcopy(model.config), attn_implementation="sdpa")
    plain.load_state_dict(model.state_dict())
    return plain.eval()


def test_a_batch_is_encoded_as_its_prompts_are(loaded: Loaded) -> None:
    family, processor, _ = loaded
    prompts = mixed_prompts(processor)
    together, alone = family.encode(processor, prompts), [family.encode(processor, [one]) for one in prompts]
    assert together.prompt_ids == tuple(one.prompt_ids[0] for one in alone)
    assert [sum(len(medium.frames_THWC) for medium in one.media) for one in prompts] == [9, 4, 2, 7, 3]
    for name, tensor in together.media_tensors.items():
        assert torch.equal(tensor, torch.cat([one.media_tensors[name] for one in alone]))


def test_ids_are_the_processors_and_so_is_what_is_made_of_pixels(loaded: Loaded) -> None:
    """Transformers gets pictures and videos apart, as floats, and our positions; the rest is its own."""
    family, processor, path = loaded
    ours = family.load_model(path, torch.float32)
    plain = of_transformers(ours)
    banned = list(family.banned_token_ids(processor))
    allowed = [i for i in range(plain.config.text_config.vocab_size) if i not in banned]
    for prompt in mixed_prompts(processor):
        encoded, own = family.encode(processor, [prompt]), processed(processor, prompt)
        assert encoded.prompt_ids[0] == tuple(own["input_ids"][0].tolist())
        ids, (positions,) = own["input_ids"], family.positions(processor, encoded)
        types = family.token_types(processor, ids)
        found = ours(input_ids=ids, **types, **encoded.media_tensors).logits
        theirs = plain(**own, position_ids=torch.from_numpy(positions)[:, None]).logits
        torch.testing.assert_close(found[..., allowed], theirs[..., allowed])


def test_positions_of_pictures_are_those_of_transformers(loaded: Loaded) -> None:
    """Pictures alone: their positions are the same in every family, and so is the text after them."""
    family, processor, path = loaded
    plain = of_transformers(family.load_model(path, torch.float32))
    prompt = mixed_prompts(processor)[2]
    own, (positions,) = processed(processor, prompt), family.positions(processor, family.encode(processor, [prompt]))
    theirs, _ = plain.model.get_rope_index(
        own["input_ids"], own["mm_token_type_ids"], image_grid_thw=own["image_grid_thw"]
    )
    assert torch.equal(theirs[:, 0], torch.from_numpy(positions))


def test_lengths_of_several_media_are_those_of_the_collator(loaded: Loaded) -> None:
    """With media between words, whose times stand beside other text, and with earlier turns."""
    family, processor, _ = loaded
    video = Medium(width=48, height=32, fps=4.0, num_frames=6)
    other = replace(video, fps=10.0, num_frames=5)
    picture = Medium(kind="image", width=64, height=32, fps=1.0, num_frames=1)
    texts = ["Which way?", "One <video> and 2: <video>?", "It: <image> in\n<video>\n?", "<image>"]
    media = [(video, other), (video, other), (picture, video), (picture, picture)]
    earlier = (Turn(role="user", text="Look: <image>!"), Turn(role="assistant", text="A dog."))
    samples = [
        replace(ANSWERED, question=replace(ANSWERED.question, text=text), media=shown)
        for text, shown in zip(texts, media, strict=True)
    ]
    samples.append(replace(samples[0], media=(video, picture), earlier=earlier))
    prompts = [prompt_of(processor, sample) for sample in samples]
    batch = collate_samples(family, processor, prompts, [one.target for one in samples])
    assert TokenLengths(family, processor)(samples, [""] * len(samples)) == list(batch.lengths_R)


def prompt_of(processor: Any, sample: Sample) -> Prompt:
    clips = tuple(np.zeros(medium.shape, np.uint8) for medium in sample.media)
    return to_prompt(processor, sample, clips, instruction="")


def test_pictures_for_a_checkpoint_that_normalizes_them_otherwise_are_refused(loaded: Loaded) -> None:
    family, processor, _ = loaded
    processor.image_processor.image_mean = [0.1, 0.2, 0.3]
    two_videos, mixed, *_ = mixed_prompts(processor)
    assert family.encode(processor, [two_videos]).media_tensors
    with pytest.raises(UserError, match="image_mean"):
        family.encode(processor, [mixed])
