"""What rewards and a curriculum teach at equal rollouts: `make bench-learning` prints the table, about an hour.

A run of the quickstart gives the fine-tuned policy. From there, every arm gets the same number of prompts and rollouts
on the same data (pairs of twins, three levels), with three seeds. All are measured on the same held-out pairs:

    accuracy     right or wrong, as SynRL (arXiv 2603.17693) trains
    twin         both of a pair right, or nothing
    process      accuracy, and half as much for a chain of thought whose claims agree with the event log
    curriculum   accuracy, with levels chosen by how much signal they give
    contrast     accuracy, and half as much for right answers of a group that the same frames shuffled do not give

Differences to ``accuracy`` are paired: by held-out pair, averaged over the seeds. Intervals are over pairs, so they say
nothing about other seeds; the figures of each seed are printed beside them.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from safetensors.torch import load_file
from temporay.models.engines._settings import EngineSettings
from temporay.operators.dataset.reader import Dataset
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.operators.scoring.metrics import mean_interval
from temporay.workflows.config import converted, replaced
from temporay.workflows.data import generate
from temporay.workflows.evaluation.asking import ask, greedy
from temporay.workflows.evaluation.questions import SampleQuestions
from temporay.workflows.grpo import loop as grpo
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.learner.learner import MODEL
from temporay.workflows.presets import generate as datasets
from temporay.workflows.presets.run import quickstart
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.published_weights import publish
from temporay.workflows.rollouts.settings import ResolvedPool
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session

ARMS: dict[str, dict[str, Any]] = {
    "accuracy": {"rewards.weights": {"accuracy": 1.0}},
    "twin": {"rewards.weights": {"twin": 1.0}},
    "process": {"rewards.weights": {"accuracy": 1.0, "process": 0.5}},
    "curriculum": {"rewards.weights": {"accuracy": 1.0}, "curriculum.enabled": True},
    "contrast": {"rewards.weights": {"accuracy": 1.0, "shuffled_contrast": 0.5}},
}
POOL = ResolvedPool(settings=EngineSettings(max_model_len=1024))
FIRST_VERSION = 1 << 40  # versions of weights that are only evaluated: engines distinguish weights by number


@dataclass(frozen=True)
class Settings:
    run: Path  # a finished run of the quickstart
    out: Path  # folder of the arms' runs; the same command resumes where it was stopped
    task: str = "first_last"
    levels: tuple[int, ...] = (0, 1, 2)
    num_scenes: tuple[int, int] = (2, 5)  # fewest, and most at the highest level: so that levels differ
    seeds: tuple[int, ...] = (0, 1, 2)
    num_steps: int = 12  # few, because all ways end near 100 %
    prompts_per_step: int = 24
    num_rl_samples: int = 600
    num_test_samples: int = 360
    threads: int | None = None  # of the training worker; None: all cores


@dataclass(frozen=True)
class Outcome:
    """The result of an arm with one seed."""

    pairs: Mapping[str, tuple[float, float]]  # by pair: mean accuracy of its two, and 1 if both are right
    useful_groups: float
    useful_by_mixture: str  # steered and static shares of a curriculum


def main() -> None:
    settings = tyro.cli(Settings)
    with ray_session():
        data = {split: make_data(settings, split, settings.out / split) for split in ("rl", "test")}
        with RolloutPool.started(POOL, settings.run / "sft" / MODEL) as pool:
            before = measure(pool, settings.run / "sft" / MODEL, data["test"], 0)
            print(f"before: accuracy {accuracy(before):.3f}, both of a pair {both(before):.3f}", flush=True)
            outcomes = {
                arm: [learn(settings, pool, data, arm, seed, settings.out / f"{arm}-{seed}") for seed in settings.seeds]
                for arm in ARMS
            }
    print(table(settings, outcomes))


def make_data(settings: Settings, split: str, out: Path) -> Path:
    """Make pairs of twins on all levels, drawn and asked as in the quickstart."""
    recipe = datasets.quickstart().recipe
    num_samples = {"rl": settings.num_rl_samples, "test": settings.num_test_samples}[split]
    changes = {
        "tasks": (settings.task,),
        "weights": (),
        "split": split,
        "num_samples": num_samples,
        "twins": True,
        "levels": settings.levels,
    }
    generate.build(replaced(recipe, {**changes, "canvas.num_scenes": settings.num_scenes}), out, 2)
    return out


def learn(settings: Settings, pool: RolloutPool, data: Mapping[str, Path], arm: str, seed: int, out: Path) -> Outcome:
    """Run GRPO from the fine-tuned policy, then measure the held-out pairs."""
    changes = {**ARMS[arm], "seed": seed, "num_steps": settings.num_steps, "guards.canary_every": 0}
    changes["threads"] = settings.threads
    asked = replaced(quickstart().grpo, {**changes, "prompts_per_step": settings.prompts_per_step})
    config = converted(GrpoConfig, asked, data=data["rl"], model=settings.run / "sft" / MODEL, out=out)
    asyncio.run(load_model(pool, config.model, 0))
    summary = grpo.run_with(config, pool)
    rows = [row for row in RunDir(path=out, resumed=True).rows("grpo") if "useful_steered" in row]
    later = rows[len(rows) // 2 :]
    mixture = ""
    if later:
        steered = statistics.mean(row["useful_steered"] for row in later)
        static = statistics.mean(row["useful_static"] for row in later if "useful_static" in row)
        mixture = f"{steered:.0%} steered, {static:.0%} static"
    version = FIRST_VERSION + 1000 * list(ARMS).index(arm) + seed
    pairs = by_pair(measure(pool, out / MODEL, data["test"], version))
    outcome = Outcome(pairs=pairs, useful_groups=summary["useful_groups"], useful_by_mixture=mixture)
    print(f"{arm} seed {seed}: {seed_figures(outcome)}", flush=True)
    return outcome


def measure(pool: RolloutPool, model: Path, data: Path, version: int) -> list[EvaluationRow]:
    """Return greedy answers of a model to the held-out samples."""

    async def answers() -> list[EvaluationRow]:
        dataset = Dataset.open(data)
        await load_model(pool, model, version)
        questions = SampleQuestions.of(dataset, range(len(dataset)), "")
        return await ask(pool, questions, ("ordered",), greedy(quickstart().grpo.max_tokens))

    return asyncio.run(answers())


async def load_model(pool: RolloutPool, model: Path, version: int) -> None:
    await pool.load_weights(publish(load_file(model / "model.safetensors").items(), version))


def by_pair(rows: Sequence[EvaluationRow]) -> dict[str, tuple[float, float]]:
    correct: dict[str, list[bool]] = {}
    for row in rows:
        correct.setdefault(row.key.removesuffix("-twin"), []).append(row.correct)
    return {pair: (sum(both) / len(both), float(all(both))) for pair, both in correct.items()}


def accuracy(rows: Sequence[EvaluationRow]) -> float:
    return statistics.mean(row.correct for row in rows)


def both(rows: Sequence[EvaluationRow]) -> float:
    return statistics.mean(value for _, value in by_pair(rows).values())


def seed_figures(outcome: Outcome) -> str:
    single, paired = (statistics.mean(values) for values in zip(*outcome.pairs.values(), strict=True))
    return f"accuracy {single:.3f}, both of a pair {paired:.3f}, useful groups {outcome.useful_groups:.0%}"


def table(settings: Settings, outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """Return a table by arm: the seeds, and the paired difference to plain accuracy with its 95 % interval."""
    lines = [f"{settings.num_steps} steps of {settings.prompts_per_step} prompts, {len(settings.seeds)} seeds each"]
    for arm, found in outcomes.items():
        for place, name in enumerate(("accuracy", "both of a pair")):
            seeds = [statistics.mean(values[place] for values in one.pairs.values()) for one in found]
            difference = ""
            if arm != "accuracy":
                pairs = found[0].pairs
                base = outcomes["accuracy"]
                gaps = [
                    statistics.mean(
                        one.pairs[pair][place] - other.pairs[pair][place]
                        for one, other in zip(found, base, strict=True)
                    )
                    for pair in pairs
                ]
                gap = mean_interval(gaps)
                difference = f"  against accuracy {gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
            listed = " ".join(f"{value:.3f}" for value in seeds)
            lines.append(f"{arm:<11} {name:<15} {statistics.mean(seeds):.3f} ({listed}){difference}")
        useful = statistics.mean(one.useful_groups for one in found)
        mixtures = "; ".join(one.useful_by_mixture for one in found if one.useful_by_mixture)
        lines.append(f"{arm:<11} useful groups   {useful:.0%}{f'  second half: {mixtures}' if mixtures else ''}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
