"""Which models a tensor parallel engine can cut, and tensors in memory that its workers map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.engines._settings import EngineSettings
from temporay.models.engines._shared_tensors import SHARED_MEMORY, SharedTensors
from temporay.models.engines._tensor_parallel import HeadCounts, check_divides, head_counts
from temporay.models.engines.local import Local
from temporay.operators.errors import UserError

pytestmark = pytest.mark.xdist_group("vllm")  # one process loads vLLM for all files that use it

QWEN3_VL_2B = HeadCounts(text=16, key_value=8, vision=16)


@pytest.mark.parametrize("num_workers", [1, 2, 4, 8, 16])  # from 16 on, two workers have the same key-value head
def test_heads_divide(num_workers: int) -> None:
    assert QWEN3_VL_2B.divide_into(num_workers)


@pytest.mark.parametrize(
    ("heads", "num_workers"),
    [
        (QWEN3_VL_2B, 3),
        (QWEN3_VL_2B, 32),
        (HeadCounts(text=12, key_value=4, vision=12), 6),  # neither whole key-value heads nor whole copies
        (HeadCounts(text=16, key_value=8, vision=12), 8),
    ],
)
def test_heads_that_do_not_divide(heads: HeadCounts, num_workers: int) -> None:
    assert not heads.divide_into(num_workers)


def test_a_model_that_cannot_be_cut_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    assert head_counts(tiny_model) == HeadCounts(text=2, key_value=1, vision=4)
    check_divides(tiny_model, 2)
    with pytest.raises(UserError, match=r"tensor_parallel is 3, but .* 2 attention heads, 1 key-value .*; give 1, 2$"):
        check_divides(tiny_model, 3)
    config = json.loads((tiny_model / "config.json").read_text())
    config["vision_config"]["num_heads"] = 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"1 vision heads; give 1$"):
        check_divides(tmp_path, 2)


def test_an_engine_of_one_process_refuses_workers(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="the local engine computes in one process"):
        Local(tiny_model, EngineSettings(tensor_parallel=2))


def test_what_vllm_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes only for several workers, and sleep only where vLLM can: on GPUs."""
    vllm = pytest.importorskip("temporay.models.engines.vllm", reason="vLLM cannot be imported", exc_type=ImportError)

    def told(**changes: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = vllm.llm_arguments(Path("model"), EngineSettings(**changes), [7])
        return arguments

    assert told()["distributed_executor_backend"] == "uni"
    several = told(tensor_parallel=4)
    assert (several["tensor_parallel_size"], several["distributed_executor_backend"]) == (4, "mp")
    assert not told(sleep_mode=True)["enable_sleep_mode"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert told(sleep_mode=True)["enable_sleep_mode"]
    assert not told()["enable_sleep_mode"]
    assert (told()["gpu_memory_utilization"], told(gpu_memory_utilization=0.4)["gpu_memory_utilization"]) == (0.9, 0.4)


def test_tensors_are_mapped_as_they_were() -> None:
    """Types and sizes that leave gaps; a tied tensor takes no second place; the memory outlives the name."""
    tied = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    tensors = {"a": torch.ones(5, dtype=torch.bfloat16), "tied": tied, "scalar": torch.tensor(7), "head": tied}
    with SharedTensors.holding(tensors) as shared:
        assert shared.num_bytes == 3 * 64
        mapped = shared.mapped()
        assert Path(shared.path).parent == Path(SHARED_MEMORY)
    assert not Path(shared.path).exists()
    assert mapped.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert mapped[name].dtype == tensor.dtype
        assert torch.equal(mapped[name], tensor)
