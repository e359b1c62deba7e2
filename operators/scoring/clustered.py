"""Accuracy when several questions are about the same video: their scores are not independent.

    SE² = s² / n + (1 / n²) · Σ over clusters Σ over pairs i ≠ j (x_i - mean)(x_j - mean)

s² is the variance with n - 1. Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), equation 4; lmms-eval computes
the same number. Values stand in the order of their clusters' names: ``values[i]`` belongs to ``clusters[i]``.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from temporay.operators.scoring.metrics import UNKNOWN, ConfidenceInterval, normal_quantile, wilson_interval
from temporay.operators.seeding import rng_at

NUM_RESAMPLES = 2_000


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
    values: Sequence[float],
    clusters: Sequence[str],
    *,
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> ConfidenceInterval:
    """Return the mean with the percentile interval of resamples of whole clusters."""
    if not values:
        return UNKNOWN
    mean = math.fsum(values) / len(values)
    sums_C, sizes_C = cluster_sums(values, clusters)
    means_R = _resampled_means(sums_C, sizes_C, num_resamples, seed)
    low, high = np.quantile(means_R, [(1 - level) / 2, (1 + level) / 2])
    return ConfidenceInterval(value=mean, low=mean + float(low), high=mean + float(high), n=len(values))


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


def _resampled_means(
    sums_C: npt.NDArray[np.float64], sizes_C: npt.NDArray[np.float64], num_resamples: int, seed: int
) -> npt.NDArray[np.float64]:
    """Return the mean of every resample; one resample at a time, because many videos times 2,000 fill the memory."""
    rng = rng_at(seed, "cluster_bootstrap")
    means = np.empty(num_resamples)
    for r in range(num_resamples):
        chosen = rng.integers(len(sums_C), size=len(sums_C))
        means[r] = sums_C[chosen].sum() / sizes_C[chosen].sum()
    return means
