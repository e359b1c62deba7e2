"""The contract of every family, Qwen3-VL against transformers' own model and processor, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporay.models.families._base import FAMILIES, Family, family_of
from temporay.models.families._qwen_vl import LinearPatchEmbed
from temporay.operators.components import available, load
from temporay.operators.errors import UserError
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt
from temporay.operators.sampling import ShownFrames
from temporay.operators.videos.reading import MAX_SIDES_RATIO, MIN_SIDE, TIMELINE_FPS, TakenFrames
from transformers import Qwen3VLForConditionalGeneration


@pytest.fixture
def model(family: Family, tiny_model: Path) -> Any:
    return family.load_model(tiny_model, torch.float32)


def prompt(
    processor: Any, shape: tuple[int, ...], key: str = "p", fps: float = 4.0, shown: ShownFrames | None = None
) -> Prompt:
    frames_THWC = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    text = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "Which way?"}]}],
        tokenize=False,
        add_generation_prompt=True,
    )
    return Prompt(key=key, text=text, media=(ShownMedium(frames_THWC=frames_THWC, fps=fps, shown=shown),))


@pytest.fixture(params=available(FAMILIES))
def every(request: pytest.FixtureRequest, tiny_models: Callable[[str], Path]) -> tuple[Family, Any, Any]:
    """Each family with a tiny model and its processor; ``tests.models.tiny_models`` builds them."""
    path = tiny_models(request.param)
    family = family_of(path)
    assert type(family) is load(FAMILIES, request.param)
    return family, family.load_processor(path), family.load_model(path, torch.float32)


def test_every_parameter_is_in_the_part_its_family_states(every: tuple[Family, Any, Any]) -> None:
    family, _, model = every
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert {family.part_of(name) for name in names} == {"vision_tower", "projector", "text", "head"}
    for prefix in (*family.vision_tower, *family.projector, *family.head):
        assert any(name.startswith(prefix) for name in names), prefix
    blocks = {id(block) for block in family.shard_blocks(model)}
    parts = [family.part_of(name) for name, module in model.named_modules() if id(module) in blocks]
    assert parts == sorted(parts, reverse=True) and set(parts) == {"vision_tower", "text"}  # as they are computed


def test_every_family_encodes_a_batch_like_its_prompts(every: tuple[Family, Any, Any]) -> None:
    family, processor, model = every
    prompts = [prompt(processor, (8, 48, 48, 3)), prompt(processor, (5, 32, 64, 3))]
    together, alone = family.encode(processor, prompts), [family.encode(processor, [p]) for p in prompts]
    assert together.prompt_ids == tuple(encoded.prompt_ids[0] for encoded in alone)
    work = family.vision_work(model, together.media_tensors)
    each = [family.vision_work(model, encoded.media_tensors) for encoded in alone]
    assert work.num_patches == sum(w.num_patches for w in each) > 0
    assert work.attention_pairs == sum(w.attention_pairs for w in each)
    num_media = sum(
        int((family.token_types(processor, torch.tensor([ids]))["mm_token_type_ids"] > 0).sum())
        for ids in together.prompt_ids
    )
    assert work.num_merged == num_media
    assert set(family.banned_token_ids(processor)) & set(together.prompt_ids[0])


@pytest.mark.parametrize(("num_frames", "side_px"), [(8, 48), (24, 96), (2, 32)])
def test_clips_pass_unresized(family: Family, processor: Any, num_frames: int, side_px: int) -> None:
    encoded = family.encode(processor, [prompt(processor, (num_frames, side_px, side_px, 3))])
    assert encoded.media_tensors["video_grid_thw"].tolist() == [[num_frames // 2, side_px // 8, side_px // 8]]
    num_video_tokens = encoded.prompt_ids[0].count(processor.video_token_id)
    assert num_video_tokens == num_frames // 2 * (side_px // 16) ** 2


def test_timestamps_are_those_of_the_frames(family: Family, processor: Any) -> None:
    """Two frames at 4 fps are at 0 s and 0.25 s: their mean is written as 0.1 s. Odd clips repeat the last frame."""
    encoded = family.encode(processor, [prompt(processor, (5, 48, 48, 3))])
    text = processor.tokenizer.decode(encoded.prompt_ids[0])
    assert [part.split(" seconds>")[0] for part in text.split("<") if " seconds>" in part] == ["0.1", "0.6", "1.0"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(2, MIN_SIDE, MIN_SIDE * MAX_SIDES_RATIO, 3), (3, 448, MIN_SIDE, 3)])
def test_the_most_extreme_shapes_of_a_users_video_are_taken(
    every: tuple[Family, Any, Any], shape: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    family, processor, _ = every
    encoded = family.encode(processor, [prompt(processor, shape)])
    num_t, num_h, num_w = encoded.media_tensors["video_grid_thw"][0].tolist()
    assert num_t == 1 + (shape[0] > 2) and (num_w > num_h) == (shape[2] > shape[1])
    assert "ambiguous" not in caplog.text


def test_timestamps_of_a_users_video_are_its_own_at_any_rate(family: Family, processor: Any) -> None:
    """Ten frames in one second and one in each of the next: each pair is told the mean of its own two times."""
    times_s = (0.0, 0.1, 0.2, 1.0, 2.0, 35.0)
    taken = TakenFrames(places=tuple(range(6)), times_s=times_s, width=48, height=48)
    encoded = family.encode(processor, [prompt(processor, (6, 48, 48, 3), fps=TIMELINE_FPS, shown=taken.shown)])
    text = processor.tokenizer.decode(encoded.prompt_ids[0])
    assert [part.split(" seconds>")[0] for part in text.split("<") if " seconds>" in part] == ["0.1", "0.6", "18.5"]


def test_a_batch_with_a_blind_prompt_is_encoded_like_its_prompts(family: Family, processor: Any) -> None:
    prompts = [prompt(processor, (8, 48, 48, 3)), prompt(processor, (4, 32, 64, 3))]
    blind = Prompt(key="blind", text="Which way?")
    together = family.encode(processor, [prompts[0], blind, prompts[1]])
    alone = [family.encode(processor, [p]) for p in (prompts[0], blind, prompts[1])]
    assert together.prompt_ids == tuple(e.prompt_ids[0] for e in alone)
    for name, tensor in together.media_tensors.items():
        assert torch.equal(tensor, torch.cat([e.media_tensors[name] for e in alone if e.media_tensors]))
    assert alone[1].media_tensors == {}


def test_the_same_model_as_transformers(family: Family, processor: Any, model: Any, tiny_model: Path) -> None:
    """Except for banned tokens, which have no probability and are not in the state dict."""
    plain = Qwen3VLForConditionalGeneration.from_pretrained(tiny_model).eval()
    encoded = family.encode(processor, [prompt(processor, (4, 48, 48, 3))])
    ids = torch.tensor(encoded.prompt_ids)
    inputs = {"input_ids": ids, **family.token_types(processor, ids), **encoded.media_tensors}
    floats = model.model.visual.patch_embed.normalized(encoded.media_tensors["pixel_values_videos"])
    ours, theirs = model(**inputs).logits, plain(**{**inputs, "pixel_values_videos": floats}).logits
    banned = list(family.banned_token_ids(processor))
    allowed = [i for i in range(ours.shape[-1]) if i not in banned]
    torch.testing.assert_close(ours[..., allowed], theirs[..., allowed])
    assert ours.softmax(-1)[..., banned].max() == 0
    assert {processor.tokenizer.decode([i]) for i in banned} >= {"<|video_pad|>", "<|image_pad|>"}
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_pixels_are_bytes_until_the_model_makes_the_processors_floats(every: tuple[Family, Any, Any]) -> None:
    """To the last bit, for every value that a byte has."""
    family, processor, model = every
    frames_THWC = np.arange(4 * 48 * 64 * 3, dtype=np.uint8).reshape(4, 48, 64, 3)
    shown = dataclasses.replace(
        prompt(processor, (4, 48, 64, 3)), media=(ShownMedium(frames_THWC=frames_THWC, fps=4.0),)
    )
    pixels_ND = family.encode(processor, [shown]).media_tensors["pixel_values_videos"]
    assert pixels_ND.dtype == torch.uint8 and len(pixels_ND.unique()) == 256
    theirs = processor.video_processor([frames_THWC], return_tensors="pt", do_sample_frames=False)
    assert torch.equal(model.model.visual.patch_embed.normalized(pixels_ND), theirs["pixel_values_videos"])


def test_patch_embedding_gradient() -> None:
    """The linear product has the convolution's values and gradients."""
    conv = torch.nn.Conv3d(3, 16, kernel_size=(2, 8, 8), stride=(2, 8, 8))
    patches_ND = torch.randn(5, 3 * 2 * 8 * 8)
    gradients = []
    for forward in (
        LinearPatchEmbed(conv, [0.0] * 3, [1 / 255] * 3, 1 / 255),
        lambda x: conv(x.view(-1, 3, 2, 8, 8)).view(-1, 16),
    ):
        conv.zero_grad()
        forward(patches_ND).square().sum().backward()  # type: ignore[no-untyped-call]
        assert conv.weight.grad is not None
        gradients.append(conv.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_fsdp_blocks_are_vision_and_text_layers(family: Family, model: Any) -> None:
    names = {type(block).__name__ for block in family.shard_blocks(model)}
    assert names == {"Qwen3VLVisionBlock", "Qwen3VLTextDecoderLayer"}


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def set_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove("config.json"), "is not a model folder"),
        (remove("model.safetensors"), r"no \*\.safetensors"),
        (set_config(auto_map={"AutoModel": "own.Model"}), "never run"),
        (set_config(model_type="bert"), "'bert' model; give one of: qwen2_5_vl, qwen2_vl, qwen3_vl"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
    ],
)
def test_family_of_refuses(tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_vl"}))
    (tmp_path / "model.safetensors").touch()
    assert family_of(tmp_path).model_types == ("qwen3_vl",)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message):
        family_of(tmp_path)


@pytest.mark.parametrize("side", ["left", "right"])
def test_positions_of_qwen3_vl_are_those_of_transformers(
    family: Family, processor: Any, model: Any, tiny_model: Path, side: str
) -> None:
    plain = Qwen3VLForConditionalGeneration.from_pretrained(tiny_model)
    prompts = [prompt(processor, shape) for shape in ((8, 48, 48, 3), (5, 64, 32, 3), (3, 32, 96, 3))]
    encoded = family.encode(processor, prompts)
    rows = {"input_ids": [list(ids) for ids in encoded.prompt_ids]}
    padded = processor.tokenizer.pad(rows, padding_side=side, return_tensors="pt")
    types = family.token_types(processor, padded["input_ids"])["mm_token_type_ids"]
    for mask in (padded["attention_mask"], None):
        theirs, ours = (
            one.model.get_rope_index(
                padded["input_ids"], types, video_grid_thw=encoded.media_tensors["video_grid_thw"], attention_mask=mask
            )
            for one in (plain, model)
        )
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "processor_config.json"])
@pytest.mark.parametrize("text", ["[]", "3", '{"tokenizer_class": 3, "image_processor": 3}'])
def test_a_file_of_another_form_is_one_sentence(tiny_model: Path, tmp_path: Path, name: str, text: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=r"the tokenizer or processor in .* cannot be read \(\w+: .*; download the mo"):
        family_of(folder).load_processor(folder)
