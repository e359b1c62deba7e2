"""A model of a few thousand weights that can read a small dataset, and a quickstart that takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from temporay.models.tiny import TinyShape, build
from temporay.operators.dataset.reader import Dataset

SHAPE = TinyShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)

# What is other than in the quickstart, by dotted name. Every stage is real, and nothing is learned.
SMALL_PIPELINE: dict[str, Any] = {
    "seed": 3,
    "num_samples": 24,
    "num_rl_samples": 6,
    "num_test_samples": 6,
    "num_data_workers": 1,
    "base_model.num_steps": 2,
    "base_model.batch_size": 4,
    "base_model.threads": 1,
    "sft.num_steps": 2,
    "sft.batch_size": 4,
    "sft.threads": 1,
    "sft.optimizer.warmup_steps": 1,
    "grpo.num_steps": 2,
    "grpo.prompts_per_step": 2,
    "grpo.group_size": 2,
    "grpo.max_tokens": 6,
    "grpo.threads": 1,
    "grpo.guards.max_agreement": 1.0,  # two steps teach no model to look
    "evaluate.max_tokens": 6,
    "pool.engine": "local",
}


def write_model(data: Path, out: Path, seed: int = 0) -> Path:
    """Write random weights, and a tokenizer made of the dataset's own targets."""
    dataset = Dataset.open(data)
    build(out, [dataset.sample(i).target for i in range(len(dataset))] * 5, SHAPE, seed)
    return out
