"""GRPO against TRL's: `make bench-trl` trains one tiny model with both, prints their rewards, and draws the curves.

Both sides of a seed have the same weights at the start, the same prompts in the same order, the same reward function
and the same settings (``trl_sides.py``). Each samples its own completions, so the rewards differ by chance. Differences
are paired by seed. Intervals are Student's, 95 %, over the seeds.

Chance plays no part in the last line: TRL's trainer gets the completions that temporay sampled, and makes weights of
them. Their distance to temporay's is told as a share of the way from the start. One rule is known to differ: TRL counts
the tokens of flat groups in its mean over tokens, and temporay leaves such groups out. So their number is told too.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.torch import load_file
from scipy import stats
from temporay.operators.scoring.metrics import ConfidenceInterval
from temporay.workflows.grpo.loop import run_with
from temporay.workflows.learner.learner import MODEL
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.published_weights import publish
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session
from transformers.utils import logging

from tests.benchmarks.trl_sides import (
    POOL,
    Experiment,
    given_rollouts,
    ours,
    peer,
    rewards_of,
    write_clips,
    write_start,
)

LEVEL = 0.95
COLORS = {"temporay": "#0072b2", "TRL": "#d55e00"}  # told apart by all kinds of color vision


@dataclass(frozen=True)
class Settings:
    seeds: int = 5  # at least 2; each with starting weights, an order of prompts and completions of its own
    steps: int = 40  # batches
    out: Path | None = None  # the picture


@dataclass(frozen=True)
class SeedResult:
    """What both sides reached with one seed."""

    temporay_S: list[float]  # mean reward of every step
    trl_S: list[float]
    gap: float  # distance of the two models that were made of the same completions, as a share of the way
    num_flat: int  # groups of temporay whose completions all had the same reward


def main() -> None:
    settings = tyro.cli(Settings)
    if settings.seeds < 2 or settings.steps < 4:
        raise SystemExit("an interval over seeds needs --seeds 2 or more, quarters need --steps 4 or more")
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    asked = Experiment(steps=settings.steps)
    with ray_session(), tempfile.TemporaryDirectory() as folder:
        results = compare(asked, range(settings.seeds), Path(folder))
    print(table(results))
    if settings.out is not None:
        draw(results, settings.out)


def compare(asked: Experiment, seeds: Sequence[int], folder: Path) -> list[SeedResult]:
    """Train every seed with both sides in turn."""
    data = write_clips(folder / "data")
    models = [write_start(data, folder / f"model-{seed}", seed) for seed in seeds]
    results = []
    with RolloutPool.started(POOL, models[0]) as pool:
        for seed, model in zip(seeds, models, strict=True):
            asyncio.run(pool.load_weights(publish(load_file(model / "model.safetensors").items(), 0)))
            result = one_seed(asked, seed, data, model, folder / f"seed-{seed}", pool)
            results.append(result)
            last = f"temporay {result.temporay_S[-1]:.3f}, TRL {result.trl_S[-1]:.3f}"
            print(f"seed {seed}: reward of the last step {last}; gap {result.gap:.1e}", flush=True)
    return results


def one_seed(asked: Experiment, seed: int, data: Path, model: Path, folder: Path, pool: RolloutPool) -> SeedResult:
    config = ours(asked, data, model, folder / "temporay", seed)
    with contextlib.redirect_stdout(io.StringIO()):  # a line per step
        summary = run_with(config, pool)
    own = peer(asked, config, folder / "trl")
    own.train()
    same = peer(asked, config, folder / "same", given_rollouts(config, asked.iterations))
    same.train()
    start, end = (load_file(path / "model.safetensors") for path in (model, config.out / MODEL))
    rewards_S = [row["reward"] for row in RunDir(path=config.out, resumed=True).rows("grpo")]
    return SeedResult(
        temporay_S=rewards_S,
        trl_S=rewards_of(own),
        gap=distance(same.model.state_dict(), end) / distance(start, end),
        num_flat=summary["groups"]["flat"],
    )


def distance(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    """Return the Euclidean distance of two models over the weights of the second."""
    return math.sqrt(sum(float((one[name] - tensor).double().square().sum()) for name, tensor in other.items()))


def interval(values: Sequence[float]) -> ConfidenceInterval:
    """Return the mean over seeds with Student's interval."""
    n, center = len(values), statistics.fmean(values)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * statistics.stdev(values) / math.sqrt(n)
    return ConfidenceInterval(value=center, low=center - half, high=center + half, n=n)


def spans(steps: int) -> dict[str, slice]:
    """Return the steps of every row of the table."""
    cuts = [round(steps * part / 4) for part in range(5)]
    quarters = {f"quarter {part + 1}": slice(cuts[part], cuts[part + 1]) for part in range(4)}
    return {**quarters, "last step": slice(steps - 1, steps), "all steps": slice(0, steps)}


def table(results: Sequence[SeedResult]) -> str:
    """Return the rewards of both sides, their difference, and how far apart the same completions bring them."""
    lines = [f"mean reward, {len(results)} seeds", "", "| steps | temporay | TRL | difference |", "|---|---|---|---|"]
    for name, span in spans(len(results[0].temporay_S)).items():
        temporay, trl = ([statistics.fmean(side[span]) for side in sides] for sides in both(results))
        gaps = [one - other for one, other in zip(temporay, trl, strict=True)]
        cells = [cell(interval(temporay)), cell(interval(trl)), cell(interval(gaps), "+")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    gap = [result.gap for result in results]
    said = f"{statistics.median(gap):.1e} ({min(gap):.1e} to {max(gap):.1e})"
    flat = sum(result.num_flat for result in results)
    same = f"TRL on temporay's completions: its weights differ by {said} of the way; {flat} groups were flat"
    return "\n".join([*lines, "", same])


def both(results: Sequence[SeedResult]) -> tuple[list[list[float]], list[list[float]]]:
    return [result.temporay_S for result in results], [result.trl_S for result in results]


def cell(found: ConfidenceInterval, sign: str = "") -> str:
    return f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


def draw(results: Sequence[SeedResult], path: Path) -> None:
    """Draw the mean reward of both sides by step, with bands that hold the intervals of each step."""
    figure = Figure(figsize=(8, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (name, color), sides in zip(COLORS.items(), both(results), strict=True):
        found = [interval(values) for values in zip(*sides, strict=True)]
        steps: npt.NDArray[np.int64] = np.arange(1, len(found) + 1)
        axes.plot(steps, [one.value for one in found], color=color, linewidth=2, label=name)
        axes.fill_between(steps, [one.low for one in found], [one.high for one in found], color=color, alpha=0.18)
    axes.set(xlabel="step", ylabel="mean reward of the step", xlim=(1, len(steps)))
    axes.set_title(f"GRPO of the same tiny model: mean of {len(results)} seeds, bands of {LEVEL:.0%}", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
