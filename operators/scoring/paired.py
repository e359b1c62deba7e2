"""Two result sets on the same questions: the difference of their means, its interval, and how likely it is by chance.

The same questions are easy for both, so the difference varies less than either mean. With right and wrong answers to
independent questions the test is McNemar's, exact. Otherwise the signs of the videos' differences are flipped at
random: without a true difference, each video could as well favor the other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.scoring.clustered import half_width
from temporay.operators.scoring.metrics import UNKNOWN, ConfidenceInterval
from temporay.operators.seeding import rng_at

NUM_FLIPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """How much better the first result set is than the second."""

    difference: ConfidenceInterval  # mean of first minus second, with the clustered error; ``n`` questions in both
    p_value: float  # two-sided; NaN without a common question
    test: Literal["mcnemar", "sign_flip"]
    wins: int  # questions on which the first scores higher
    losses: int
    only_first: int  # questions that one set alone has: they are not compared
    only_second: int


def compare_paired(
    first: Mapping[str, float],
    second: Mapping[str, float],
    clusters: Mapping[str, str] | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> PairedComparison:
    """Compare scores by question.

    Args:
        first: question → score.
        clusters: question → video; None: all questions are independent.
    """
    names = [name for name in first if name in second]
    differences = [first[name] - second[name] for name in names]
    videos = [name if clusters is None else clusters[name] for name in names]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    binary = {first[name] for name in names} | {second[name] for name in names} <= {0.0, 1.0}
    exact = binary and len(set(videos)) == len(videos)
    p_value = mcnemar_p(wins, losses) if exact else sign_flip_p(differences, videos, seed)
    interval = UNKNOWN
    if names:
        mean = math.fsum(differences) / len(names)
        half = half_width(differences, videos, level=level) if len(set(videos)) > 1 else math.inf
        interval = ConfidenceInterval(value=mean, low=mean - half, high=mean + half, n=len(names))
    return PairedComparison(
        difference=interval,
        p_value=p_value if names else math.nan,
        test="mcnemar" if exact else "sign_flip",
        wins=wins,
        losses=losses,
        only_first=len(first) - len(names),
        only_second=len(second) - len(names),
    )


def mcnemar_p(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value: how often a fair coin is as uneven on the questions that differ."""
    n, fewer = wins + losses, min(wins, losses)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / (1 << n))


def sign_flip_p(differences: list[float], clusters: list[str], seed: int = 0, num_flips: int = NUM_FLIPS) -> float:
    """Return the two-sided p-value of a sum of differences, when whole clusters change their sign at random.

    The observed signs count as one of the flips, so that no p-value is 0 (Phipson and Smyth, 2010).
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    sums_C = np.bincount([numbers[name] for name in clusters], differences) if clusters else np.zeros(1)
    rng = rng_at(seed, "sign_flip")
    observed, as_far = abs(float(sums_C.sum())), 0
    for done in range(0, num_flips, 1_000):
        signs_FC = rng.integers(2, size=(min(1_000, num_flips - done), len(sums_C)), dtype=np.int8) * 2 - 1
        flipped_F: npt.NDArray[np.float64] = np.abs(signs_FC @ sums_C)
        as_far += int(np.sum(flipped_F >= observed * (1 - 1e-12)))
    return (as_far + 1) / (num_flips + 1)
