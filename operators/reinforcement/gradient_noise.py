"""The gradient noise scale S / |G|²: about as many units a step should average before more of them bring little.

squared norms of a step's gradient, of its first units and of all → estimates of |G|² and S → their averages over steps

G is the true gradient. S is the variance of one unit's gradient, summed over all weights. A gradient of n independent
units has E|g|² = |G|² + S / n: McCandlish et al., arXiv 1812.06162, appendix A.1.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SQUARE, NOISE = "grad_square", "grad_noise"  # names of the estimates of |G|² and S in a step's row
DECAY = 0.98  # of a step's weight in the averages of a run, which so reach back about fifty steps
NUM_STANDARD_ERRORS = 2.0  # that |G|² must be away from 0


def gradient_estimates(
    first_square: float, whole_square: float, *, num_first_units: int, num_units: int
) -> dict[str, float]:
    """Estimate |G|² and S from one step, both without bias; |G|² may be negative.

    Args:
        first_square: squared norm of what the first units add to the whole gradient, which is a mean over all units.
        whole_square: squared norm of the whole gradient.
    """
    first_square = first_square * (num_units / num_first_units) ** 2  # of the mean over the first units
    return {
        SQUARE: (num_units * whole_square - num_first_units * first_square) / (num_units - num_first_units),
        NOISE: (first_square - whole_square) / (1 / num_first_units - 1 / num_units),
    }


def noise_scale(rows: Sequence[Mapping[str, Any]], decay: float = 1.0) -> dict[str, float | None]:
    """Return the mean of S over steps by that of |G|², in units. The mean of the quotients would be biased.

    Args:
        rows: of the steps, the newest last; those without estimates are left out.
        decay: how much less a step weighs than the one after it; 1: all weigh the same.

    Returns:
        ``noise_scale``, None while |G|² is within two standard errors of 0: the gradient is hidden in its noise. And
        ``noise_scale_low``, the quotient with |G|² two standard errors larger. Nothing from fewer than two estimates.
    """
    measured = [(row[SQUARE], row[NOISE]) for row in rows if SQUARE in row]
    if len(measured) < 2:
        return {}
    squares_S, noises_S = np.array(measured).T
    weights_S = decay ** np.arange(len(measured) - 1, -1, -1.0)
    weights_S /= weights_S.sum()
    square, noise = float(weights_S @ squares_S), max(0.0, float(weights_S @ noises_S))
    num_steps = 1 / float(weights_S @ weights_S)  # that would say as much if all weighed the same
    error = math.sqrt(float(weights_S @ (squares_S - square) ** 2) / (num_steps - 1))
    high = square + NUM_STANDARD_ERRORS * error
    return {
        "noise_scale": noise / square if square > NUM_STANDARD_ERRORS * error else None,
        "noise_scale_low": noise / high if high > 0 else None,
    }
