"""A random Qwen2.5-VL small enough for tests, in the layout that AutoProcessor, transformers and vLLM load."""

from __future__ import annotations

from pathlib import Path

import torch
from temporay.models.tiny import (
    CHAT_TEMPLATE,
    END_OF_TEXT,
    END_OF_TURN,
    IMAGE_PAD,
    VIDEO_PAD,
    VISION_END,
    VISION_START,
    TinyShape,
    train_tokenizer,
)
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

PATCH_PX = 8


def build_qwen2_5_vl(out: Path) -> None:
    """Two layers of text, two of vision of which one attends within windows of 4 × 4 patches."""
    tokenizer = train_tokenizer(["Which way does the red circle move?\n(A) left\nIt moves left."] * 20, TinyShape())
    token_id = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
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
            "bos_token_id": token_id(END_OF_TEXT),
            "eos_token_id": token_id(END_OF_TURN),
            "pad_token_id": token_id(END_OF_TEXT),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": PATCH_PX,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
            "window_size": 4 * PATCH_PX,
            "initializer_range": 0.06,
        },
        image_token_id=token_id(IMAGE_PAD),
        video_token_id=token_id(VIDEO_PAD),
        vision_start_token_id=token_id(VISION_START),
        vision_end_token_id=token_id(VISION_END),
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2_5_VLForConditionalGeneration(config).to(torch.float32)
    model.save_pretrained(out)
    size = {"shortest_edge": (2 * PATCH_PX) ** 2, "longest_edge": 256 * 256}
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=dict(size), patch_size=PATCH_PX),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=dict(size), patch_size=PATCH_PX, cap_pixels_per_frame=False),
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(out)
