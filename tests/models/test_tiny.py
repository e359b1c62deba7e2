"""The tiny model's tokenizer and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from temporay.models.tiny import WHOLE_TOKENS, TinyShape, build
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.mark.parametrize("text", WHOLE_TOKENS)
def test_one_token_that_survives_decoding(tokenizer: Any, text: str) -> None:
    ids = tokenizer(f"x{text}y")["input_ids"]
    assert len(ids) == 3
    assert tokenizer.decode(ids, skip_special_tokens=True) == f"x{text}y"


def test_timestamps_are_short(tokenizer: Any) -> None:
    lengths = [len(tokenizer(f"<{tenths / 10:.1f} seconds>")["input_ids"]) for tenths in range(60)]
    assert max(lengths) <= 4


def test_vocabulary_is_whole(tokenizer: Any, tiny_model: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_model)
    assert len(tokenizer) == model.config.text_config.vocab_size
    assert len(tokenizer) % 64 == 0
    text = "Größe 音 \U0001f600 <b>!"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_same_seed_same_weights(tmp_path: Path) -> None:
    shape = TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    states = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        before = torch.random.get_rng_state()
        build(tmp_path / name, ["left right"], shape, seed)
        assert torch.equal(before, torch.random.get_rng_state())
        states.append(load_file(tmp_path / name / "model.safetensors"))
    a, b, c = states
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_chat_template_has_one_video_marker(tiny_model: Path) -> None:
    processor = AutoProcessor.from_pretrained(tiny_model)
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "Which way?"}]}]
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>Which way?<|im_end|>\n<|im_start|>assistant\n"
    )
