"""How many questions show a difference, before a run.

    n = (z_level + z_power)² · variance / difference² · design effect

Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), section 5. Two models that answer the same questions are
compared by question, and the variance is that of the differences: with right and wrong answers, the share of questions
on which exactly one of the two is right, less the squared difference.
"""

import math
from statistics import NormalDist

from temporay.operators.scoring.metrics import normal_quantile

EXAMPLE_DIFFERENCE = 0.02  # for which the number of questions is told


def questions_needed(
    difference: float, *, discordant: float, power: float = 0.8, level: float = 0.95, design_effect: float = 1.0
) -> int:
    """Return the least number of common questions with which a difference is found as often as ``power``.

    Args:
        difference: of the two accuracies, above 0 and at most ``discordant``.
        discordant: share of questions on which exactly one of the two is right. Without an earlier run,
            ``independent_discordant`` of the two accuracies is the usual worst case.
        design_effect: questions about the same video count for fewer (``clustered.design_effect``).

    Raises:
        ValueError: a number is out of its range.
    """
    if not 0 < difference <= discordant <= 1:
        raise ValueError(f"0 < difference <= discordant <= 1 must hold, not {difference} and {discordant}")
    needed = _standard_errors(power, level) ** 2 * (discordant - difference**2) / difference**2 * design_effect
    return max(2, math.ceil(needed))


def difference_seen(
    num_questions: int, *, discordant: float, power: float = 0.8, level: float = 0.95, design_effect: float = 1.0
) -> float:
    """Return the least difference that so many questions find as often as ``power``; at most ``discordant``.

    Raises:
        ValueError: a number is out of its range.
    """
    if num_questions < 2 or not 0 < discordant <= 1:
        raise ValueError(f"two questions and 0 < discordant <= 1 are needed, not {num_questions} and {discordant}")
    factor = _standard_errors(power, level) ** 2 * design_effect / num_questions
    return min(discordant, math.sqrt(factor * discordant / (1 + factor)))  # solves the formula above for difference


def independent_discordant(first: float, second: float) -> float:
    """Return the share of questions on which exactly one is right, if the two accuracies have nothing in common."""
    return first * (1 - second) + second * (1 - first)


def told_before(num_questions: int, num_videos: int) -> str:
    """Say which difference of two accuracies so many questions will show, before anything is answered.

    Both accuracies are taken to be near one half, and right on questions that have nothing in common: the worst case.
    Questions about one video count as independent ones at best, and as a single one at worst.
    """
    discordant = independent_discordant(0.5, 0.5)
    best, worst = (difference_seen(max(2, n), discordant=discordant) for n in (num_questions, num_videos))
    seen = f"{best:.1%}" + (f" ({worst:.1%} if those about one video are all alike)" if worst > best else "")
    needed = questions_needed(EXAMPLE_DIFFERENCE, discordant=discordant)
    return (
        f"{num_questions} questions about {num_videos} videos show a difference of two models from {seen} on (power "
        f"80 %); {EXAMPLE_DIFFERENCE:.0%} would take {needed} independent questions"
    )


def _standard_errors(power: float, level: float) -> float:
    if not (0 < power < 1 and 0 < level < 1):
        raise ValueError(f"power and level must be between 0 and 1, not {power} and {level}")
    return normal_quantile(level) + NormalDist().inv_cdf(power)
