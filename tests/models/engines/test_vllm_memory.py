"""On a CPU, vLLM multiplies by packed copies of weights; an engine holds those that it computes with, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.engines._base import Engine
from temporay.models.families._base import Family

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),  # vLLM's start warns
    pytest.mark.xdist_group("vllm"),  # one process loads vLLM for all files that use it
    pytest.mark.skipif(torch.cuda.is_available(), reason="vLLM packs weights on CPUs only"),
]


@pytest.fixture
def engine(engines: Callable[..., Engine]) -> Any:
    return engines("vllm", "qwen3_vl", 1)


@pytest.fixture
def state(family: Family, tiny_model: Path) -> Any:
    return family.load_model(tiny_model, torch.float32).state_dict()


def model_of(engine: Any) -> torch.nn.Module:
    model: torch.nn.Module = engine._llm.llm_engine.model_executor.driver_worker.worker.model_runner.model
    return model


def packed_layers(engine: Any) -> set[str]:
    return {name for name, layer in model_of(engine).named_modules() if "cpu_linear" in vars(layer)}


def test_embeddings_are_not_packed(engine: Any, state: Any) -> None:
    """After the start and after new weights. The output layer, which is tied to the embedding, stays packed."""
    for version in (0, 41):
        if version:
            engine.load_weights([state], version)
        packed = packed_layers(engine)
        assert "language_model.lm_head" in packed
        assert "language_model.model.embed_tokens" not in packed
        assert len(packed) > 4


def test_packed_weights_go_before_new_ones_come(engine: Any, state: Any) -> None:
    seen: list[set[str]] = []

    def watched() -> Any:
        seen.append(packed_layers(engine))
        yield state

    engine.load_weights(watched(), 42)
    assert seen == [set()]
