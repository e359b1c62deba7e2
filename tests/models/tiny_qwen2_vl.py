"""A random Qwen2-VL small enough for tests, in the layout that AutoProcessor, transformers and vLLM load."""

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
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

PATCH_PX = 8


def build_qwen2_vl(out: Path) -> None:
    """Two layers of text, two of vision."""
    tokenizer = train_tokenizer(["Which way does the red circle move?\n(A) left\nIt moves left."] * 20, TinyShape())
    token_id = tokenizer.convert_tokens_to_ids
    config = Qwen2VLConfig(
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
            "embed_dim": 32,
            "hidden_size": 64,
            "mlp_ratio": 2,
            "num_heads": 2,
            "patch_size": PATCH_PX,
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
        model = Qwen2VLForConditionalGeneration(config).to(torch.float32)
    model.save_pretrained(out)
    size = {"shortest_edge": (2 * PATCH_PX) ** 2, "longest_edge": 256 * 256}
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=dict(size), patch_size=PATCH_PX),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=dict(size), patch_size=PATCH_PX, cap_pixels_per_frame=False),
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(out)
