"""Settings of GRPO runs that take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.rollouts.settings import ResolvedPool

NUM_STEPS = 4
POOL = ResolvedPool(engine="local")
NO_CANARY = {"canary_every": 0}


def config(data: Path, model: Path, out: Path, **changes: Any) -> GrpoConfig:
    settings = {
        "num_steps": NUM_STEPS,
        "prompts_per_step": 3,
        "group_size": 4,
        "max_tokens": 8,
        "rewards": rewards("Varied"),
        "guards": NO_CANARY,
        "optimizer": {"lr": 1e-3, "schedule": "constant"},
        "threads": 1,
        "checkpoint_every": 2,
        "pool": POOL,
        **changes,
    }
    return GrpoConfig.model_validate({**settings, "data": data, "model": model, "out": out})


def rewards(name: str, **others: float) -> dict[str, Any]:
    return {"weights": {f"tests.workflows.varied_rewards:{name}": 1.0, **others}}
