"""A model of a few thousand weights that can read a small dataset."""

from __future__ import annotations

from pathlib import Path

from temporay.models.tiny import TinyShape, build
from temporay.operators.dataset.reader import Dataset

SHAPE = TinyShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)


def write_model(data: Path, out: Path, seed: int = 0) -> Path:
    """Write random weights, and a tokenizer made of the dataset's own targets."""
    dataset = Dataset.open(data)
    build(out, [dataset.sample(i).target for i in range(len(dataset))] * 5, SHAPE, seed)
    return out
