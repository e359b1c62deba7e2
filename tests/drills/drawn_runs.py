"""What the drill trains: drawn clips, a model of a few thousand weights, and the arguments of its commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.tiny import TinyShape, build
from operators.at_rest.shards import (
    DRAWN_FOLDER,
    RECIPE_FILE,
    Dataset,
    recipe_json,
    write_index,
    write_json,
    write_shard,
)
from operators.primitives._base import Canvas
from operators.recipe import Recipe, open_source

CANVAS = Canvas(
    width=32, height=32, fps=4.0, num_frames=(6, 8), num_scenes=(2, 2), frames_per_scene=(2, 2), jitter="none"
)
SHAPE = TinyShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
MANY = 50  # restarts: a drill takes more than a user would allow

SFT = {
    "num-steps": 32,
    "batch-size": 8,
    "micro-batch-size": 2,
    "threads": 1,
    "checkpoint-every": 4,
    "optimizer.lr": 5e-4,
    "max-failures": MANY,
}
GRPO = {
    "num-steps": 14,
    "prompts-per-step": 3,
    "group-size": 4,
    "max-tokens": 8,
    "threads": 1,
    "checkpoint-every": 3,
    "optimizer.lr": 1e-3,
    "max-failures": MANY,
    "rewards.weights": "tests.drills.slow_rewards:SlowVaried=1",
    "pool.engine": "local",
    "pool.max-restarts": MANY,
}
FEW_STEPS = {"num-steps": 8, "checkpoint-every": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A command and its settings."""

    stage: str  # the command; its step lines in metrics.jsonl carry this name too
    settings: Mapping[str, object]

    @property
    def num_steps(self) -> int:
        return int(str(self.settings["num-steps"]))

    @property
    def on_policy(self) -> bool:
        return not self.settings.get("max-staleness")

    def arguments(self, folder: Path, out: Path) -> list[str]:
        paths = {"data": folder / "data", "model": folder / "model", "out": out}
        pairs = [(f"--{name}", str(value)) for name, value in {**self.settings, **paths}.items()]
        return [self.stage, "tiny", *(word for pair in pairs for word in pair)]


SETUPS = {
    "sft": Setup(stage="sft", settings=SFT),
    "sft, 2 workers": Setup(stage="sft", settings={**SFT, "num-workers": 2}),
    "grpo": Setup(stage="grpo", settings=GRPO),
    "grpo, 2 engines": Setup(
        stage="grpo", settings={**GRPO, "pool.num-engines": 2, "scale-rewards": "task", "loss.beta": 0.05}
    ),
    "grpo, vllm": Setup(stage="grpo", settings={**GRPO, **FEW_STEPS, "pool.engine": "vllm"}),
    "grpo, staleness 1": Setup(stage="grpo", settings={**GRPO, "max-staleness": 1}),
}


def draw(folder: Path) -> None:
    """FOLDER/data and FOLDER/model."""
    data = folder / "data"
    data.mkdir(parents=True)
    recipe = Recipe(tasks=("motion_direction",), num_samples=10, canvas=CANVAS, instruct=False)
    source = open_source(recipe, data / DRAWN_FOLDER)
    identity = recipe_json(recipe, source)
    write_json(data / RECIPE_FILE, identity)
    write_shard(recipe, source, identity["recipe_hash"], 0, data)
    write_index(recipe, data)
    dataset = Dataset.open(data)
    build(folder / "model", [dataset.sample(i).target for i in range(len(dataset))] * 5, SHAPE, seed=0)
