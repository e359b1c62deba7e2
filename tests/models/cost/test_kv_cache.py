"""The counted size of a KV cache is what vLLM's own admission takes, for the shapes of real models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.cost.kv_cache import BLOCK_SIZE, KvDtype, KvShape, kv_shape_of, least_blocks
from temporay.models.engines._settings import EngineSettings

from tests.models.qwen3_vl_forms import MAX_POSITION, Size, write_form
from tests.models.tiny_models import CORPUS

pytestmark = pytest.mark.xdist_group("vllm")  # one process loads vLLM for all files that use it

MIB = 1 << 20


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
@pytest.mark.parametrize("size", ["2b", "4b", "8b"])
def test_the_least_cache_is_admitted_and_less_is_not(size: Size, dtype: KvDtype, tmp_path: Path) -> None:
    write_form(tmp_path, size, CORPUS)
    shape = kv_shape_of(tmp_path)
    length = 4704 + 2048 + 100  # 48 frames of 448 px, a long answer, a question
    least_mib = -(-shape.bytes_of_blocks(least_blocks(length), dtype) // MIB)
    given = EngineSettings(dtype=dtype, max_model_len=length, max_num_seqs=8, kv_cache_mib=least_mib)
    one_block_mib = -(-shape.bytes_of_blocks(1, dtype) // MIB)
    assert admitted(tmp_path, given)
    assert not admitted(tmp_path, given.model_copy(update={"kv_cache_mib": least_mib - one_block_mib}))
    assert not admitted(tmp_path, EngineSettings(dtype=dtype))  # what serves a tiny model


def test_bytes_of_a_token() -> None:
    shape = KvShape(num_layers=36, num_kv_heads=8, head_dim=128, max_position=MAX_POSITION)
    assert shape.bytes_per_token("bfloat16") == 147_456
    assert shape.bytes_of_blocks(2, "float32") == 2 * BLOCK_SIZE * 294_912


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_vl", "qwen2_5_vl"])
def test_the_shape_of_every_family(family: str, tiny_models: Any) -> None:
    shape = kv_shape_of(tiny_models(family))
    assert (shape.num_kv_heads, shape.num_layers) == (1, 2) and shape.head_dim >= 32 and shape.max_position >= 4096
