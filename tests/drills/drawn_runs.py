"""What the drill trains: drawn clips, a model of a few thousand weights, and the arguments of its commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.small_data import write_dataset
from tests.small_runs import write_model

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
    "guards.canary-every": 4,
    "guards.canary-prompts": 2,
    "guards.canary-tokens": 8,
    "guards.max-agreement": 1.0,  # random weights see little
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
    def max_staleness(self) -> int:
        return int(str(self.settings.get("max-staleness", 0)))

    def arguments(self, folder: Path, out: Path) -> list[str]:
        paths = {"data": folder / "data", "model": folder / "model", "out": out}
        pairs = [(f"--{name}", str(value)) for name, value in {**self.settings, **paths}.items()]
        return [self.stage, "tiny", *(word for pair in pairs for word in pair)]


SETUPS = {
    "sft": Setup(stage="sft", settings=SFT),
    "sft, 2 workers": Setup(stage="sft", settings={**SFT, "num-workers": 2}),
    "grpo": Setup(stage="grpo", settings=GRPO),
    "grpo, 2 engines": Setup(
        stage="grpo",
        settings={
            **GRPO,
            "pool.num-engines": 2,
            "pool.prompts-per-call": 1,  # what is batched with what would depend on who is alive, and rounding on that
            "scale-rewards": "task",
            "loss.beta": 0.05,
        },
    ),
    "grpo, vllm": Setup(stage="grpo", settings={**GRPO, **FEW_STEPS, "pool.engine": "vllm"}),
    "grpo, staleness 1": Setup(stage="grpo", settings={**GRPO, "max-staleness": 1}),
}


def write_inputs(folder: Path) -> None:
    """Write FOLDER/data and FOLDER/model."""
    write_model(write_dataset(folder / "data", num_samples=10), folder / "model")
