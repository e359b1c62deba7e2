"""Qwen2.5-VL: positions by hand, and against transformers where it is right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from temporay.models.collate import collate_samples
from temporay.models.families._base import Family, family_of
from temporay.models.families._positions import rope_index
from temporay.models.families.qwen2_5_vl import SECONDS, Qwen25Vl, seconds_to_bits
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt
from temporay.operators.videos.reading import TIMELINE_FPS, TakenFrames
from transformers import Qwen2_5_VLForConditionalGeneration

from tests.models.families.test_agreement import CLIPS, TOLERANCE
from tests.models.small_engines import small_prompts


@pytest.fixture(scope="module")
def family(tiny_qwen2_5_vl: Path) -> Family:
    return family_of(tiny_qwen2_5_vl)


@pytest.fixture(scope="module")
def processor(family: Family, tiny_qwen2_5_vl: Path) -> Any:
    return family.load_processor(tiny_qwen2_5_vl)


def backbone(tokens_per_second: int = 4) -> Any:
    vision = SimpleNamespace(tokens_per_second=tokens_per_second, spatial_merge_size=2)
    return SimpleNamespace(config=SimpleNamespace(vision_config=vision))


def positions(types_L: list[int], grid: tuple[int, int, int], seconds: float, mask_L: list[int] | None = None) -> Any:
    types = torch.tensor([types_L])
    return rope_index(
        Qwen25Vl().video_cells,
        backbone(),
        torch.zeros_like(types),
        types,
        video_grid_thw=torch.tensor([grid]),
        second_per_grid_ts=seconds_to_bits(torch.tensor([seconds])),
        attention_mask=None if mask_L is None else torch.tensor([mask_L]),
    )


def test_positions_by_hand() -> None:
    """4 fps: a cell of two frames lasts 0.5 s, or 2 positions; text continues after the largest one, here of time."""
    ids, ahead = positions([0, 2, 2, 2, 2, 2, 2, 0, 0], (3, 2, 4), 0.5)
    assert ids[:, 0].tolist() == [
        [0, 1, 1, 3, 3, 5, 5, 6, 7],
        [0, 1, 1, 1, 1, 1, 1, 6, 7],
        [0, 1, 2, 1, 2, 1, 2, 6, 7],
    ]
    assert ahead.tolist() == [[-1]]


def test_fractions_of_a_position_are_dropped_after_the_product() -> None:
    """1.2 positions a cell, and 0.7 s, whose float32 makes five cells 13.9999998 positions, in the engine as here."""
    assert positions([2] * 4, (4, 2, 2), 0.3)[0][0, 0].tolist() == [0, 1, 2, 3]
    assert positions([2] * 6, (6, 2, 2), 0.7)[0][0, 0].tolist() == [0, 2, 5, 8, 11, 13]


@pytest.mark.parametrize("left", [False, True])
def test_padding_changes_no_position(left: bool) -> None:
    alone, ahead = positions([0, 2, 2, 0], (2, 2, 2), 0.5)
    types, mask = [0, 2, 2, 0], [1, 1, 1, 1]
    pad = [0, 0]
    padded, same = positions(pad + types if left else types + pad, (2, 2, 2), 0.5, pad + mask if left else mask + pad)
    kept = padded[:, 0, 2:] if left else padded[:, 0, :4]
    assert torch.equal(kept, alone[:, 0]) and torch.equal(same, ahead)


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="a video has 3 tokens, but its grid 2"):
        positions([2, 2, 2], (2, 2, 2), 0.5)
    ids = torch.zeros((1, 3), dtype=torch.long)
    with pytest.raises(ValueError, match="second_per_grid_ts"):
        rope_index(Qwen25Vl().video_cells, backbone(), ids, ids, video_grid_thw=torch.tensor([[2, 2, 2]]))


def test_where_transformers_is_right_it_agrees(family: Family, processor: Any, tiny_qwen2_5_vl: Path) -> None:
    """1 fps, in a grid as long in time as in space: neither of its two differences shows."""
    plain: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny_qwen2_5_vl)
    frames_THWC = np.zeros((2, 48, 48, 3), np.uint8)
    prompt = Prompt(
        key="a", text=small_prompts(processor, CLIPS)[0].text, media=(ShownMedium(frames_THWC=frames_THWC, fps=1.0),)
    )
    encoded = family.encode(processor, [prompt])
    ids = torch.tensor(encoded.prompt_ids)
    inputs = {**family.token_types(processor, ids), **encoded.media_tensors}
    grid = inputs["video_grid_thw"]
    theirs, ahead = plain.model.get_rope_index(
        ids, inputs["mm_token_type_ids"], video_grid_thw=grid, second_per_grid_ts=torch.tensor([2.0])
    )
    own: Any = family.load_model(tiny_qwen2_5_vl, torch.float32)
    ours, own_ahead = own.model.get_rope_index(
        ids, inputs["mm_token_type_ids"], video_grid_thw=grid, second_per_grid_ts=inputs[SECONDS]
    )
    assert torch.equal(ours, theirs) and torch.equal(own_ahead, ahead)


def test_seconds_survive_bfloat16(family: Family, processor: Any) -> None:
    """FSDP2 casts floating inputs; these are integers with the bits of the processor's seconds."""
    tensors = family.encode(processor, small_prompts(processor, CLIPS)).media_tensors
    assert not tensors[SECONDS].is_floating_point()
    seconds = tensors[SECONDS].view(torch.float32).tolist()
    assert seconds == pytest.approx([0.5, 0.25, 2.0, 2 / 2.9], rel=1e-6)


@pytest.mark.parametrize("gap_s", [0.5, 0.25, 1.0, 2.9])
@pytest.mark.parametrize("num_frames", [4, 5])
@pytest.mark.parametrize("start_s", [0.0, 40.0])
def test_a_users_video_has_the_rate_of_its_frames(
    family: Family, processor: Any, gap_s: float, num_frames: int, start_s: float
) -> None:
    """Its timeline has 1000 places in a second, and the processor derives seconds from how many of them are shown."""
    times_s = tuple(start_s + gap_s * n for n in range(num_frames))
    taken = TakenFrames(places=tuple(range(num_frames)), times_s=times_s, width=48, height=48)
    frames_THWC = np.zeros((num_frames, 48, 48, 3), np.uint8)
    text = small_prompts(processor, CLIPS)[0].text
    prompt = Prompt(
        key="a", text=text, media=(ShownMedium(frames_THWC=frames_THWC, fps=TIMELINE_FPS, shown=taken.shown),)
    )
    (seconds,) = family.encode(processor, [prompt]).media_tensors[SECONDS].view(torch.float32).tolist()
    assert seconds == pytest.approx(2 * gap_s, rel=1e-3)


def test_transformers_own_positions_would_not_agree(family: Family, processor: Any, tiny_qwen2_5_vl: Path) -> None:
    """If this fails, transformers was corrected, and the positions may be its own again."""
    plain: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny_qwen2_5_vl).eval()
    own: Any = family.load_model(tiny_qwen2_5_vl, torch.float32)
    batch = collate_samples(family, processor, small_prompts(processor, CLIPS)[:1], ["left"])
    inputs = {**batch.model_inputs, SECONDS: batch.model_inputs[SECONDS].view(torch.float32)}
    del inputs["position_ids"]
    inputs["pixel_values_videos"] = own.model.visual.patch_embed.normalized(inputs["pixel_values_videos"])
    inputs |= family.token_types(processor, batch.input_ids_RL)
    with torch.no_grad():
        theirs = plain(input_ids=batch.input_ids_RL, **inputs).logits.log_softmax(-1)
        ours = own(input_ids=batch.input_ids_RL, **batch.model_inputs).logits.log_softmax(-1)
    difference = theirs[0, batch.predictors_BT[0]] - ours[0, batch.predictors_BT[0]]
    allowed = [i for i in range(ours.shape[-1]) if i not in family.banned_token_ids(processor)]
    assert float(difference[:, allowed].abs().max()) > 10 * TOLERANCE
