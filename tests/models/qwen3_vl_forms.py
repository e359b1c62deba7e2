"""Qwen3-VL in its real sizes with a small tokenizer: folders for what looks at sizes and not at words.

The sizes are those of the published config.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from temporay.models import tiny
from temporay.models.tiny import TinyShape
from transformers import Qwen3VLConfig

Size = Literal["2b", "4b", "8b", "32b"]
MAX_POSITION = 262_144  # tokens
TEXT: dict[Size, dict[str, Any]] = {
    "2b": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16},
    "4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32},
    "8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32},
    "32b": {"hidden_size": 5120, "intermediate_size": 25600, "num_hidden_layers": 64, "num_attention_heads": 64},
}
OF_ALL_TEXT = {
    "vocab_size": 151_936,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "initializer_range": 0.02,
    "dtype": "bfloat16",
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 5_000_000.0,
        "mrope_section": [24, 20, 20],
        "mrope_interleaved": True,
    },
}
PATCH_PX = 16
VIDEO_PIXELS = {"longest_edge": 25_165_824, "shortest_edge": 4096}  # of all frames together
SMALL_TOWER = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]}
LARGE_TOWER = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]}
OF_ALL_TOWERS = {"num_heads": 16, "patch_size": PATCH_PX, "num_position_embeddings": 2304, "initializer_range": 0.02}


def write_form(out: Path, size: Size, corpus: Iterable[str], max_position: int = MAX_POSITION) -> Qwen3VLConfig:
    """Write config.json, a tokenizer and a processor, without weights; return the config."""
    is_small = size in ("2b", "4b")
    shape = TinyShape(patch_px=PATCH_PX, max_position=max_position)
    tokenizer = tiny.train_tokenizer(corpus, shape)
    tree = tiny.model_config(tokenizer, shape).to_dict()
    tree["text_config"] |= OF_ALL_TEXT | TEXT[size] | {"tie_word_embeddings": is_small}
    tree["vision_config"] |= OF_ALL_TOWERS | (SMALL_TOWER if is_small else LARGE_TOWER)
    tree["vision_config"]["out_hidden_size"] = TEXT[size]["hidden_size"]
    tree |= {"tie_word_embeddings": is_small, "architectures": ["Qwen3VLForConditionalGeneration"]}
    processor = tiny.processor(tokenizer, shape)
    processor.video_processor.size = VIDEO_PIXELS
    processor.save_pretrained(out)
    (out / "config.json").write_text(json.dumps(tree))
    return Qwen3VLConfig(**tree)
