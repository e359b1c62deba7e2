"""Random models of two layers, one for each family, in the layout that AutoProcessor, transformers and vLLM load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from temporay.models import tiny
from temporay.models.tiny import TinyShape, train_tokenizer
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

PATCH_PX = 8
CORPUS = ["Which way does the red circle move?\n(A) left\n(B) right\nIt moves left."] * 20
# Config, model, processor, and what the vision part has of its own: in Qwen2.5-VL, one layer of two attends in windows.
OLDER: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "qwen2_vl": (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLProcessor,
        {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2},
    ),
    "qwen2_5_vl": (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
            "window_size": 4 * PATCH_PX,
        },
    ),
}
BUILT = ("qwen3_vl", *OLDER)


def build_tiny_model(family: str, out: Path) -> None:
    """Write a model folder of one family."""
    if family == "qwen3_vl":
        shape = TinyShape(
            hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1
        )
        tiny.build(out, CORPUS, shape, seed=0)
        return
    config_class, model_class, processor_class, vision = OLDER[family]
    tokenizer = train_tokenizer(CORPUS, TinyShape())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model_class(older_config(config_class, tokenizer, vision)).to(torch.float32).save_pretrained(out)
    size = {"shortest_edge": (2 * PATCH_PX) ** 2, "longest_edge": 256 * 256}
    processor_class(
        image_processor=Qwen2VLImageProcessor(size=dict(size), patch_size=PATCH_PX),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=dict(size), patch_size=PATCH_PX, cap_pixels_per_frame=False),
        chat_template=tiny.CHAT_TEMPLATE,
    ).save_pretrained(out)


def older_config(config_class: Any, tokenizer: Any, vision: dict[str, Any]) -> Any:
    token_id = tokenizer.convert_tokens_to_ids
    return config_class(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 4096,
            "initializer_range": 0.06,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 6, 6]},
            "bos_token_id": token_id(tiny.END_OF_TEXT),
            "eos_token_id": token_id(tiny.END_OF_TURN),
            "pad_token_id": token_id(tiny.END_OF_TEXT),
        },
        vision_config={"depth": 2, "num_heads": 2, "patch_size": PATCH_PX, "initializer_range": 0.06, **vision},
        image_token_id=token_id(tiny.IMAGE_PAD),
        video_token_id=token_id(tiny.VIDEO_PAD),
        vision_start_token_id=token_id(tiny.VISION_START),
        vision_end_token_id=token_id(tiny.VISION_END),
        tie_word_embeddings=True,
    )
