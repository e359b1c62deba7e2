"""Mean relative accuracy (MRA) of VSI-Bench (arXiv 2412.14171): how close a number is to the true one.

    MRA = mean over θ in {0.50, 0.55, …, 0.95} of 1(|answered - true| / |true| < 1 - θ)

The inequality is strict in the paper and not strict in its code, which matters where an error is exactly a threshold.
"""

import numpy as np

NUM_THRESHOLDS = 10  # 0.05 apart


def mean_relative_accuracy(said: float, true: float) -> float:
    """Return the share of the thresholds that the relative error is below; for a true 0, whether 0 was said."""
    if true == 0:
        return float(said == 0)
    error = abs(said - true) / abs(true)
    return sum(error < k / (2 * NUM_THRESHOLDS) for k in range(1, NUM_THRESHOLDS + 1)) / NUM_THRESHOLDS


def published_mra(said: float, true: float) -> float:
    """Return MRA as VSI-Bench's code computes it: with ≤, in floating point, and 0 for a true 0."""
    if true == 0:
        return 0.0
    thresholds = np.linspace(0.5, 0.95, NUM_THRESHOLDS)
    return float(np.mean(abs(said - true) / true <= 1 - thresholds))
