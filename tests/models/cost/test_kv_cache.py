"""The counted size of a KV cache is what vLLM's own admission takes, for the shapes of real models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models import tiny
from temporay.models.cost.kv_cache import BLOCK_SIZE, KvDtype, KvShape, kv_shape_of, least_blocks
from temporay.models.engines._base import EngineSettings
from temporay.models.tiny import TinyShape

from tests.models.tiny_models import CORPUS

MIB = 1 << 20
MAX_POSITION = 262_144
HEADS = {"num_key_value_heads": 8, "head_dim": 128}
# Text parts of Qwen3-VL, from their published config.json.
TEXT = {
    "2b": {"num_hidden_layers": 28, "num_attention_heads": 16, "hidden_size": 2048, **HEADS},
    "4b": {"num_hidden_layers": 36, "num_attention_heads": 32, "hidden_size": 2560, **HEADS},
    "8b": {"num_hidden_layers": 36, "num_attention_heads": 32, "hidden_size": 4096, **HEADS},
}


def write_real_form(out: Path, size: str) -> Path:
    """Write a folder with the text shape of a real model, a small tokenizer and no weights."""
    shape = TinyShape(max_position=MAX_POSITION)
    tokenizer = tiny.train_tokenizer(CORPUS, shape)
    config = tiny.model_config(tokenizer, shape).to_dict()
    config["text_config"] |= TEXT[size]
    config["architectures"] = ["Qwen3VLForConditionalGeneration"]
    tiny.processor(tokenizer, shape).save_pretrained(out)
    (out / "config.json").write_text(json.dumps(config))
    return out


def admitted(path: Path, settings: EngineSettings) -> bool:
    """Ask vLLM's own check whether an engine with these settings would start."""
    pytest.importorskip("vllm")
    from temporay.models.engines.vllm import llm_arguments
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.core.kv_cache_utils import check_enough_kv_cache_memory
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    config: Any = EngineArgs(**llm_arguments(path, settings, [1])).create_engine_config()
    model, parallel = config.model_config, config.parallel_config
    layer = {
        "block_size": config.cache_config.block_size,
        "num_kv_heads": model.get_num_kv_heads(parallel),
        "head_size": model.get_head_size(),
        "dtype": getattr(torch, settings.dtype),
    }
    specs = {f"layer {i}": FullAttentionSpec(**layer) for i in range(model.get_num_layers(parallel))}
    assert settings.kv_cache_mib is not None
    try:
        check_enough_kv_cache_memory(config, specs, settings.kv_cache_mib * MIB)
    except ValueError as error:
        assert "KV cache is needed" in str(error)
        return False
    return True


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("size", TEXT)
def test_the_least_cache_is_admitted_and_less_is_not(size: str, dtype: KvDtype, tmp_path: Path) -> None:
    path = write_real_form(tmp_path, size)
    shape = kv_shape_of(path)
    length = 4704 + 2048 + 100  # 48 frames of 448 px, a long answer, a question
    least_mib = -(-shape.bytes_of_blocks(least_blocks(length), dtype) // MIB)
    given = EngineSettings(dtype=dtype, max_model_len=length, max_num_seqs=8, kv_cache_mib=least_mib)
    one_block_mib = -(-shape.bytes_of_blocks(1, dtype) // MIB)
    assert admitted(path, given)
    assert not admitted(path, given.model_copy(update={"kv_cache_mib": least_mib - one_block_mib}))
    assert not admitted(path, EngineSettings(dtype=dtype))  # what serves a tiny model


def test_bytes_of_a_token() -> None:
    shape = KvShape(num_layers=36, num_kv_heads=8, head_dim=128, max_position=MAX_POSITION)
    assert shape.bytes_per_token("bfloat16") == 147_456
    assert shape.bytes_of_blocks(2, "float32") == 2 * BLOCK_SIZE * 294_912


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_vl", "qwen2_5_vl"])
def test_the_shape_of_every_family(family: str, tiny_models: Any) -> None:
    shape = kv_shape_of(tiny_models(family))
    assert (shape.num_kv_heads, shape.num_layers) == (1, 2) and shape.head_dim >= 32 and shape.max_position >= 4096
