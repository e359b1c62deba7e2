"""The batch: what is trained on is exactly the completion, and ids are the engine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporay.models.collate import collate_groups, collate_samples
from temporay.models.families._base import Family
from temporay.operators.media import ShownMedium
from temporay.operators.records import FinishReason, Group, Prompt, Rollout

CHAT = "<|im_start|>user\n{video}{question}<|im_end|>\n<|im_start|>assistant\n"
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"


def prompt(key: str, *, seed: int | None, question: str = "Which way?", num_frames: int = 4) -> Prompt:
    """Return a prompt with random frames, or a blind one without a seed."""
    media: tuple[ShownMedium, ...] = ()
    if seed is not None:
        frames_THWC = np.random.default_rng(seed).integers(0, 256, (num_frames, 32, 48, 3), dtype=np.uint8)
        media = (ShownMedium(frames_THWC=frames_THWC, fps=4.0),)
    return Prompt(key=key, text=CHAT.format(video=VIDEO if media else "", question=question), media=media)


def test_mask_covers_target_and_end_of_turn_alone(family: Family, processor: Any, tiny_model: Path) -> None:
    prompts = [prompt("a", seed=0), prompt("b", seed=1, question="Is it a red circle or not?")]
    targets = ["<think>It moves left.</think><answer>(A)</answer>", "(B) right"]
    batch = collate_samples(family, processor, prompts, targets)
    tokenizer = processor.tokenizer
    encoded = family.encode(processor, prompts)
    for b, target in enumerate(targets):
        scored = batch.completion_ids_BT[b][batch.completion_mask_BT[b].bool()].tolist()
        assert scored[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(scored[:-1]) == target
        row = batch.input_ids_RL[b].tolist()
        assert row[: batch.lengths_R[b]] == [*encoded.prompt_ids[b], *scored]
        assert set(row[batch.lengths_R[b] :]) <= {tokenizer.pad_token_id}
        before = batch.predictors_BT[b][batch.completion_mask_BT[b].bool()]
        assert torch.equal(batch.input_ids_RL.flatten()[before + 1], torch.tensor(scored))
    assert min(batch.lengths_R) < batch.input_ids_RL.shape[1]
    assert batch.attention_pairs == sum(length * length for length in batch.lengths_R)
    types = family.token_types(processor, batch.input_ids_RL)["mm_token_type_ids"]
    grid_V3 = batch.model_inputs["video_grid_thw"]
    expected, _ = family.load_model(tiny_model, torch.float32).model.get_rope_index(
        batch.input_ids_RL, types, video_grid_thw=grid_V3
    )
    for b, length in enumerate(batch.lengths_R):
        assert torch.equal(batch.model_inputs["position_ids"][:, b, :length], expected[:, b, :length])


def test_text_only_batch_has_no_video_inputs(family: Family, processor: Any) -> None:
    batch = collate_samples(family, processor, [prompt("a", seed=None)], ["left"])
    assert set(batch.model_inputs) == {"position_ids"} and not batch.has_video
    assert batch.completion_mask_BT.sum() == len(processor.tokenizer("left")["input_ids"]) + 1


def test_a_prompt_without_target_is_refused(family: Family, processor: Any) -> None:
    with pytest.raises(ValueError, match="non-empty target"):
        collate_samples(family, processor, [prompt("a", seed=0)], [""])


def rollout(*completion_ids: int) -> Rollout:
    return Rollout(
        completion_ids=completion_ids,
        logprobs=tuple(-0.1 * i for i in completion_ids),
        text="",
        finish_reason=FinishReason.STOP,
        weight_versions=(0,) * len(completion_ids),
    )


def test_groups_are_one_row_with_each_prompt_once(family: Family, processor: Any) -> None:
    prompts = [prompt("a", seed=0), prompt("blind", seed=None), prompt("c", seed=2, num_frames=6)]
    ids = family.encode(processor, prompts).prompt_ids
    groups = [
        Group(key="a", prompt_ids=ids[0], rollouts=(rollout(7, 8), rollout(9))),
        Group(key="blind", prompt_ids=ids[1], rollouts=(rollout(10),)),
        Group(key="c", prompt_ids=ids[2], rollouts=(rollout(11), rollout(12), rollout(13, 14, 15), rollout())),
    ]
    batch = collate_groups(family, processor, prompts, groups, [[1.0, -1.0], [0.5], [2.0, None, -2.0, 1.0]])
    assert batch.input_ids_RL.tolist() == [[*ids[0], 7, 8, 9, *ids[1], 10, *ids[2], 11, 13, 14, 15]]
    assert batch.lengths_R == (batch.input_ids_RL.shape[1],)
    assert [(g.prompt, g.completions) for g in batch.groups] == [
        (len(ids[0]), (2, 1)),
        (len(ids[1]), (1,)),
        (len(ids[2]), (1, 3)),
    ]
    assert batch.advantages_B is not None and batch.engine_logprobs_BT is not None
    assert batch.advantages_B.tolist() == [1.0, -1.0, 0.5, 2.0, -2.0]
    mask = batch.completion_mask_BT.bool()
    assert batch.completion_ids_BT[mask].tolist() == [7, 8, 9, 10, 11, 13, 14, 15]
    lasts = [ids[0][-1], 7, ids[0][-1], ids[1][-1], ids[2][-1], ids[2][-1], 13, 14]
    assert batch.input_ids_RL[0, batch.predictors_BT[mask]].tolist() == lasts
    torch.testing.assert_close(
        batch.engine_logprobs_BT[mask], torch.tensor([-0.1 * i for i in (7, 8, 9, 10, 11, 13, 14, 15)])
    )
    assert (batch.engine_logprobs_BT[~mask] == 0).all()
    for name, tensor in family.encode(processor, prompts).media_tensors.items():
        assert torch.equal(batch.model_inputs[name], tensor)
    positions_3L = batch.model_inputs["position_ids"][:, 0]
    start = len(ids[0])
    following = int(positions_3L[:, :start].max()) + 1
    assert positions_3L[:, start : start + 4].tolist() == [[following, following + 1, following, 0]] * 3


def test_foreign_prompt_ids_raise(family: Family, processor: Any) -> None:
    prompts = [prompt("a", seed=0)]
    ids = family.encode(processor, prompts).prompt_ids[0]
    group = Group(key="a", prompt_ids=(*ids[:3], ids[3] + 1, *ids[4:]), rollouts=(rollout(7),))
    with pytest.raises(RuntimeError, match="from position 3"):
        collate_groups(family, processor, prompts, [group], [[1.0]])
