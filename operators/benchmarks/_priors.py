"""What a benchmark gives those who do not look: a guess among the options, and always the same position.

Items → priors, by task. A model that is not above the best position has shown nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem

ALL = "all"  # all questions alike
MEAN_OF_TASKS = "mean of tasks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Expected scores, in [0, 1], of those who do not look. None where questions have no options to guess among."""

    task: str
    n: int
    chance: float | None  # a uniform guess
    first: float | None  # always the first option
    best: float | None  # always the position that is right most often in this task
    best_position: int | None  # from 0


def priors(benchmark: Benchmark, items: Sequence[BenchmarkItem]) -> list[Prior]:
    """Return the priors of every task, of the mean of tasks, and of all questions.

    The mean of tasks has no best position: each task may have its own.
    """
    tasks = list(dict.fromkeys(item.task for item in items))
    rows = [_prior(benchmark, task, [item for item in items if item.task == task]) for task in tasks]
    mean = Prior(
        task=MEAN_OF_TASKS,
        n=len(items),
        chance=_mean([row.chance for row in rows]),
        first=_mean([row.first for row in rows]),
        best=_mean([row.best for row in rows]),
        best_position=None,
    )
    return [*rows, mean, _prior(benchmark, ALL, items)]


def _prior(benchmark: Benchmark, task: str, items: Sequence[BenchmarkItem]) -> Prior:
    chances = [chance for chance in map(benchmark.chance, items) if chance is not None]
    asked = [item for item in items if item.options]
    positions = [
        fmean(_score_of(benchmark, item, position) for item in asked)
        for position in range(max((len(item.options) for item in asked), default=0))
    ]
    return Prior(
        task=task,
        n=len(items),
        chance=fmean(chances) if chances else None,
        first=positions[0] if positions else None,
        best=max(positions, default=None),
        best_position=positions.index(max(positions)) if positions else None,
    )


def _score_of(benchmark: Benchmark, item: BenchmarkItem, position: int) -> float:
    """Return the score of one position; 0 where a question has fewer options."""
    if position >= len(item.options):
        return 0.0
    return benchmark.score(item, benchmark.choose(item, position), "strict")["score"]


def _mean(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return fmean(known) if known else None
