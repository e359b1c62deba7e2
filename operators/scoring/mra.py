"""Mean relative accuracy (MRA) of VSI-Bench (arXiv 2412.14171): how close a number is to the true one.

    MRA = mean over θ in {0.50, 0.55, …, 0.95} of 1(|answered - true| / |true| < 1 - θ)

The inequality is strict in the paper. Published code has ``≤``, and computes 1 - θ in floating point, so that an error
of exactly 20 % is above the threshold 0.2, but one of 25 % is not above 0.25.
"""

import numpy as np

NUM_THRESHOLDS = 10  # 0.05 apart
PUBLISHED_THRESHOLDS = tuple(float(1 - theta) for theta in np.linspace(0.5, 0.95, NUM_THRESHOLDS))


def mean_relative_accuracy(said: float, true: float) -> float:
    """Return the share of the thresholds that the relative error is below; for a true 0, whether 0 was said."""
    if true == 0:
        return float(said == 0)
    error = abs(said - true) / abs(true)
    return sum(error < k / (2 * NUM_THRESHOLDS) for k in range(1, NUM_THRESHOLDS + 1)) / NUM_THRESHOLDS


def published_mra(said: float, true: float) -> float:
    """Return MRA as published code computes it; for a true 0, whether 0 was said."""
    if true == 0:
        return float(said == 0)
    error = abs(said - true) / abs(true)
    return sum(error <= threshold for threshold in PUBLISHED_THRESHOLDS) / NUM_THRESHOLDS
