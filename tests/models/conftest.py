"""Tiny model folders, made once per test session."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3-VL of two layers with its own tokenizer and processor."""
    from temporay.models.tiny import TinyShape, build

    out = tmp_path_factory.mktemp("tiny") / "model"
    shape = TinyShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(out, ["Which way does the red circle move?\n(A) left\n(B) right\nIt moves left."] * 20, shape, seed=0)
    return out


@pytest.fixture(scope="session")
def tiny_qwen2_5_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2.5-VL of two layers."""
    from tests.models.tiny_qwen2_5_vl import build_qwen2_5_vl

    out = tmp_path_factory.mktemp("tiny_qwen2_5_vl") / "model"
    build_qwen2_5_vl(out)
    return out


@pytest.fixture(scope="session")
def tiny_qwen2_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2-VL of two layers."""
    from tests.models.tiny_qwen2_vl import build_qwen2_vl

    out = tmp_path_factory.mktemp("tiny_qwen2_vl") / "model"
    build_qwen2_vl(out)
    return out
