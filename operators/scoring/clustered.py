"""Accuracy when several questions are about the same video: their scores are not independent.

    SE² = s² / n + (1 / n²) · Σ over clusters Σ over pairs i ≠ j (x_i - mean)(x_j - mean)

s² is the variance with n - 1. Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), equation 4; lmms-eval computes
the same number. Values stand in the order of their clusters' names: ``values[i]`` belongs to ``clusters[i]``.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from temporay.operators.scoring.metrics import UNKNOWN, ConfidenceInterval, normal_quantile, wilson_interval
from temporay.operators.seeding import rng_at

NUM_RESAMPLES = 1_000
ClusterT = TypeVar("ClusterT")


def clustered_error(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Return the clustered standard error of the mean; NaN of fewer than two values.

    Raises:
        ValueError: there are not as many values as clusters.
    """
    n = len(values)
    sums, _ = cluster_sums(values, clusters)
    if n < 2:
        return math.nan
    distances_N = np.asarray(values) - np.mean(values)
    squares = float(np.sum(distances_N**2))
    pairs = float(np.sum(sums**2)) - squares
    return math.sqrt(max(0.0, squares / (n - 1) / n + pairs / n**2))


def design_effect(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Return how many clustered questions are worth one independent question, at least 1.

    Where all values are the same, nothing tells how alike the questions of a video are. Then they count as one.
    """
    n = len(values)
    independent = float(np.var(values, ddof=1)) / n if n > 1 else 0.0
    if independent == 0.0:
        return n / len(set(clusters)) if n else 1.0
    return max(1.0, clustered_error(values, clusters) ** 2 / independent)


def clustered_interval(values: Sequence[float], clusters: Sequence[str], *, level: float = 0.95) -> ConfidenceInterval:
    """Return the mean of scores in [0, 1] with Wilson's interval of as many independent questions.

    Unlike the mean plus and minus two errors, it does not shrink to nothing where all scores are the same.
    """
    n = len(values)
    if n == 0:
        return UNKNOWN
    return wilson_interval(math.fsum(values) / n, n / design_effect(values, clusters), n, level=level)


def cluster_bootstrap(
    units: Sequence[ClusterT],
    metric: Callable[[list[ClusterT]], float],
    *,
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> ConfidenceInterval:
    """Return any metric of some units with the percentile interval of resamples of whole units; ``n`` counts units.

    For a mean of scores, ``clustered_interval`` holds near 0 and 1 too. A single unit says nothing of others.

    Args:
        units: all that depends on each other, such as the questions of a video, or of a group that is scored together.
        metric: of units, some of which come several times.
    """
    if not units:
        return UNKNOWN
    value, rng = metric(list(units)), rng_at(seed, "cluster_bootstrap")
    if len(units) == 1:
        return ConfidenceInterval(value=value, low=-math.inf, high=math.inf, n=1)
    found = [metric([units[i] for i in rng.integers(len(units), size=len(units))]) for _ in range(num_resamples)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return ConfidenceInterval(value=value, low=float(low), high=float(high), n=len(units))


def half_width(values: Sequence[float], clusters: Sequence[str], *, level: float = 0.95) -> float:
    """Return how far a normal interval with the clustered error reaches to each side of the mean."""
    return normal_quantile(level) * clustered_error(values, clusters)


def cluster_sums(
    values: Sequence[float], clusters: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return for every cluster the sum of its values' distances to the mean, and its size.

    Raises:
        ValueError: there are not as many values as clusters.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values need as many names of clusters, not {len(clusters)}")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    index_N = np.array([numbers[name] for name in clusters], dtype=np.int64)
    distances_N = np.asarray(values, dtype=np.float64) - (np.mean(values) if values else 0.0)
    return np.bincount(index_N, distances_N).astype(np.float64), np.bincount(index_N).astype(np.float64)
