"""From easy to hard: `make bench-easy-to-hard` trains on levels 0 and 1, and tests on all five.

Each level shows more scenes than the one before. One model is fine-tuned on the two easy levels. From it, two ways go
on with the same levels: more fine-tuning, and GRPO. They are compared where they have learned from the same number of
tokens: those of targets on one side, those of sampled completions on the other.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from temporay.operators.dataset.reader import Dataset
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.operators.scoring.metrics import accuracy_interval
from temporay.workflows.base_model import make_base_model
from temporay.workflows.config import converted, replaced
from temporay.workflows.data import generate
from temporay.workflows.grpo import loop as grpo
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.learner.learner import MODEL
from temporay.workflows.presets import generate as datasets
from temporay.workflows.presets.run import quickstart
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session
from temporay.workflows.sft import loop as sft
from temporay.workflows.sft.settings import SftConfig

from tests.benchmarks.learning import POOL, load_model, measure

EASY, ALL = (0, 1), (0, 1, 2, 3, 4)
SCENES = (2, 8)  # fewest, and most at the highest level
SIZES = {"train": 4400, "rl": 600, "test": 600}
LEVELS = {"train": EASY, "rl": EASY, "test": ALL}


@dataclass(frozen=True)
class Settings:
    out: Path  # the same command goes on where it was stopped
    seeds: tuple[int, ...] = (0, 1)
    grpo_steps: tuple[int, ...] = (10, 20, 30)  # after these both ways are measured
    threads: int = 2


@dataclass(frozen=True)
class Point:
    """One measurement of one way."""

    way: str
    n: int  # how many measurements of this way came before
    tokens: int  # learned from, after the common start
    by_level: Mapping[int, Sequence[bool]]  # held-out answers: right or wrong


def main() -> None:
    settings = tyro.cli(Settings)
    with ray_session():
        points = [point for seed in settings.seeds for point in one_seed(settings, seed, settings.out / f"seed-{seed}")]
    print(table(points, len(settings.seeds)))


def one_seed(settings: Settings, seed: int, out: Path) -> list[Point]:
    """Make data and the common start, then go both ways."""
    data = {split: make_data(seed, split, out / "data" / split) for split in SIZES}
    base = out / "base"
    if not base.exists():
        dataset = Dataset.open(data["train"])
        made = replaced(quickstart().base_model, {"seed": seed, "threads": settings.threads})
        make_base_model(made, [dataset.sample(i) for i in range(len(dataset))], run_dir_of(out), base)
    common = fine_tune(settings, seed, data, base, out / "start", quickstart().sft.num_steps)
    with RolloutPool.started(POOL, common) as pool:
        answers = measure(pool, common, data["test"], version(0, seed))
        points = [Point(way="start", n=0, tokens=0, by_level=by_level(answers))]
        for n, num_steps in enumerate(settings.grpo_steps):
            asyncio.run(load_model(pool, common, 0))
            reinforced = reinforce(settings, seed, data, common, out / "grpo", num_steps, pool)
            tokens = learned_tokens(out / "grpo", "grpo")
            answers = measure(pool, reinforced, data["test"], version(2 * n + 1, seed))
            points.append(Point(way="GRPO", n=n, tokens=tokens, by_level=by_level(answers)))
            per_step = learned_tokens(out / "start", "sft") / quickstart().sft.num_steps
            further = fine_tune(settings, seed, data, common, out / "sft", round(tokens / per_step), constant=True)
            answers = measure(pool, further, data["test"], version(2 * n + 2, seed))
            tokens = learned_tokens(out / "sft", "sft")
            points.append(Point(way="SFT", n=n, tokens=tokens, by_level=by_level(answers)))
    return points


def run_dir_of(out: Path) -> RunDir:
    return RunDir.open(out / "base-run", quickstart().base_model, kind="base_model")


def version(n: int, seed: int) -> int:
    """Return a number that no other weights of the benchmark have: engines tell weights apart by it."""
    return (1 << 40) + 1000 * seed + n


def make_data(seed: int, split: str, out: Path) -> Path:
    """Make a split on its levels, drawn and asked as in the quickstart."""
    recipe = datasets.quickstart().recipe
    canvas = {"canvas.num_scenes": SCENES, "seed": seed, "split": split, "num_samples": SIZES[split]}
    tasks = {"tasks": ("scene_at", "first_last"), "weights": ()} if split == "test" else {}
    generate.build(replaced(recipe, {**canvas, **tasks, "levels": LEVELS[split]}), out, 2)
    return out


def fine_tune(
    settings: Settings, seed: int, data: Mapping[str, Path], model: Path, out: Path, num_steps: int, **how: Any
) -> Path:
    """Fine-tune on the easy levels; a folder that has fewer steps goes on to this many."""
    # As many steps as asked for: ways are compared at equal tokens.
    changes: dict[str, Any] = {
        "seed": seed,
        "num_steps": num_steps,
        "threads": settings.threads,
        "stop_when_exact": None,
    }
    if how.get("constant"):
        constant = {"schedule": "constant", "lr": 3e-4, "warmup_steps": 5, "final_lr_ratio": 0.0, "decay_start": 0.0}
        changes |= {f"optimizer.{name}": value for name, value in constant.items()}
    config = replaced(quickstart().sft, changes)
    sft.run(converted(SftConfig, config, data=data["train"], model=model, out=out))
    return out / MODEL


def reinforce(
    settings: Settings,
    seed: int,
    data: Mapping[str, Path],
    model: Path,
    out: Path,
    num_steps: int,
    pool: RolloutPool,
) -> Path:
    """Reinforce on the easy levels; a folder that has fewer steps goes on to this many."""
    config = replaced(quickstart().grpo, {"seed": seed, "num_steps": num_steps, "threads": settings.threads})
    grpo.run_with(converted(GrpoConfig, config, data=data["rl"], model=model, out=out), pool)
    return out / MODEL


def learned_tokens(run: Path, stage: str) -> int:
    """Return how many tokens of targets or completions the updates of a run have learned from."""
    return int(sum(row.get("tokens", 0) for row in RunDir(path=run, resumed=True).rows(stage)))


def by_level(rows: Sequence[EvaluationRow]) -> dict[int, list[bool]]:
    """Return right and wrong answers by the level in their key."""
    found: dict[int, list[bool]] = defaultdict(list)
    for row in rows:
        found[int(row.key.split("-")[-2])].append(row.correct)
    return dict(sorted(found.items()))


def table(points: Sequence[Point], num_seeds: int) -> str:
    """Return accuracy by level for every measurement, pooled over the seeds, with intervals of 95 %."""
    lines = [f"trained on levels {EASY}, {num_seeds} seeds", "", "| way | tokens | " + " | ".join(map(str, ALL)) + " |"]
    lines.append("|---" * (2 + len(ALL)) + "|")
    rows: dict[tuple[str, int], list[Point]] = defaultdict(list)
    for point in points:
        rows[point.way, point.n].append(point)
    for (way, _), found in rows.items():
        cells = []
        for level in ALL:
            answers = [right for point in found for right in point.by_level[level]]
            one = accuracy_interval(answers)
            cells.append(f"{100 * one.value:.1f} ± {50 * (one.high - one.low):.1f}")
        lines.append(f"| {way} | {statistics.mean(p.tokens for p in found):,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
