"""The cost of GRPO's loop itself, and the gain of overlapping its halves: `make bench-loop` prints the table.

Engines and trainer only wait for as long as their work would take. The rest of a step's time is the loop's own. Prompts
are decoded, rewards computed in Ray tasks, files and lines written as in any run.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from temporay.models.families._base import family_of
from temporay.operators.dataset.reader import Dataset
from temporay.operators.records import FinishReason, Group, Prompt, Rollout, Sampling
from temporay.operators.seeding import rng_at
from temporay.workflows.grpo.batches import TrainingBatch, UpdateReport
from temporay.workflows.grpo.learner import Update
from temporay.workflows.grpo.loop import Loop, both_halves
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.rollouts.media import StoredPrompt
from temporay.workflows.rollouts.published_weights import PublishedWeights
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session

from tests.small_data import write_dataset
from tests.small_runs import write_model

REWARD = "tests.workflows.varied_rewards:Varied"


@dataclass(frozen=True)
class Settings:
    steps: int = 40
    repeats: int = 3
    prompts: int = 16
    stage_s: float = 0.15  # duration of generate, train and sync in the measurement of the overhead
    median_s: float = 0.25  # median duration of the heavy-tailed generation; training takes as long
    sigma: float = 0.8  # deviation of its logarithm: the slowest of 40 takes about six times the median


class WaitingPool:
    """Engines with a given duration for each step, which write something different every time."""

    def __init__(self, processor: Any, seconds: Sequence[float], sync_s: float) -> None:
        self.processor = processor
        self._seconds = iter(seconds)
        self._sync_s = sync_s
        self._version = 0

    async def generate(self, prompts: Sequence[Prompt | StoredPrompt], sampling: Sampling) -> list[Group]:
        if not prompts:
            return []
        version = self._version
        await asyncio.sleep(next(self._seconds))
        return [
            Group(
                key=prompt.key,
                prompt_ids=(1, 2, 3),
                rollouts=tuple(
                    Rollout(
                        completion_ids=(g + 1,) * 64,
                        logprobs=(-1.0,) * 64,
                        text=f"<think>{g}</think><answer>A</answer>",
                        finish_reason=FinishReason.STOP,
                        weight_versions=(version,) * 64,
                    )
                    for g in range(sampling.num_rollouts)
                ),
            )
            for prompt in prompts
        ]

    async def sleep(self, *, keep_weights: bool) -> None:
        """Do nothing: it has no memory."""

    async def load_weights(self, weights: PublishedWeights) -> None:
        await asyncio.sleep(self._sync_s)
        self._version = weights.version

    def counters(self) -> dict[str, float]:
        return {}

    def settings(self) -> dict[str, Any]:
        return {}


class WaitingTrainer:
    """A trainer that takes a given time and learns nothing."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def update(self, step: int, batch: TrainingBatch) -> Update:
        await asyncio.sleep(self._seconds)
        report = UpdateReport(metrics={}, trained=tuple(one.group.key for one in batch.groups))
        return Update(report=report, weights=PublishedWeights(version=step + 1, checksum=0))

    async def mark_logged(self, step: int) -> None:
        """Do nothing: nothing is saved."""


@dataclass(frozen=True)
class Fixture:
    data: Path
    model: Path
    out: Path


def measure(
    fixture: Fixture, settings: Settings, generate_s: Sequence[float], train_s: float, sync_s: float, staleness: int
) -> tuple[float, list[dict[str, Any]]]:
    """Return the wall seconds of all steps, and their rows."""
    config = GrpoConfig(
        data=fixture.data,
        model=fixture.model,
        out=fixture.out / f"{time.time_ns()}",
        num_steps=len(generate_s),
        prompts_per_step=settings.prompts,
        max_staleness=staleness,
        rewards={"weights": {REWARD: 1.0}},  # type: ignore[arg-type] # pydantic makes it
        guards={"canary_every": 0},  # type: ignore[arg-type]
    )
    run_dir = RunDir.open(config.out, config, kind="grpo")
    pool = WaitingPool(family_of(fixture.model).load_processor(fixture.model), generate_s, sync_s)
    loop = Loop.open(config, run_dir, Dataset.open(fixture.data), pool, WaitingTrainer(train_s), 0)
    start = time.perf_counter()
    asyncio.run(both_halves(loop, 0))
    return time.perf_counter() - start, run_dir.rows("grpo")


def overhead(fixture: Fixture, settings: Settings) -> list[float]:
    """Return the share of a step outside its stages, without the first step, which starts the tasks."""
    shares = []
    for _ in range(settings.repeats):
        stage = settings.stage_s
        _, rows = measure(fixture, settings, [stage] * settings.steps, stage, stage, 0)
        inside = [sum(row[f"seconds_{name}"] for name in ("generate", "reward", "train", "sync")) for row in rows[1:]]
        whole = [row["seconds"] for row in rows[1:]]
        shares.append(1.0 - sum(inside) / sum(whole))
    return shares


def predicted(generate_s: Sequence[float], other_s: float, staleness: int) -> float:
    """Return when the last update ends, by the rule of the buffer: batches start when they may, train in order."""
    generated: list[float] = []
    trained: list[float] = []
    for step, seconds in enumerate(generate_s):
        may_begin = trained[step - 1 - staleness] if step > staleness else 0.0
        generated.append(max(may_begin, generated[-1] if generated else 0.0) + seconds)
        trained.append(max(generated[-1], trained[-1] if trained else 0.0) + other_s)
    return trained[-1]


def gains(fixture: Fixture, settings: Settings) -> list[tuple[float, float]]:
    """Return measured and predicted gain of staleness 1 over 0, with heavy-tailed generation times."""
    found = []
    for repeat in range(settings.repeats):
        generate_s = settings.median_s * np.exp(
            settings.sigma * rng_at("bench", repeat).standard_normal(settings.steps)
        )
        walls, rewards = {}, []
        for staleness in (0, 1):
            walls[staleness], rows = measure(fixture, settings, list(generate_s), settings.median_s, 0.02, staleness)
            rewards += [row["seconds_reward"] for row in rows[1:]]
        reward_s = statistics.median(rewards)  # part of making a batch, with its duration on this machine
        making = [seconds + reward_s for seconds in generate_s]
        other_s = settings.median_s + 0.02
        found.append((walls[0] / walls[1], predicted(making, other_s, 0) / predicted(making, other_s, 1)))
    return found


def main() -> None:
    settings = tyro.cli(Settings)
    with tempfile.TemporaryDirectory() as folder, ray_session():
        data = write_dataset(Path(folder) / "data", num_samples=64)
        fixture = Fixture(data=data, model=write_model(data, Path(folder) / "model"), out=Path(folder))
        measure(fixture, settings, [0.0] * 3, 0.0, 0.0, 0)  # warm-up: the processes of the reward tasks start
        shares = overhead(fixture, settings)
        print(
            f"outside generate, reward, train, sync ({settings.stage_s:g} s): median {statistics.median(shares):.1%}"
            f", {min(shares):.1%} to {max(shares):.1%} of {len(shares)} runs of {settings.steps} steps; bound 5 %"
        )
        for measured, expected in gains(fixture, settings):
            print(
                f"staleness 1 against 0, heavy-tailed: {measured:.3f} x, the buffer's rule predicts {expected:.3f} x "
                f"({measured / expected - 1:+.1%}; bound 10 %)"
            )


if __name__ == "__main__":
    main()
