"""How close the number that is answered is to the true one, for questions that ask how many or how far.

Within a tolerance, 1 or 0; or the mean relative accuracy of VSI-Bench (arXiv 2412.14171):

    MRA = mean over θ in {0.50, 0.55, …, 0.95} of 1(|answered - true| / |true| < 1 - θ)

The inequality is strict, as in the paper. A number may be answered by naming an option or in digits, with the unit of
the options or without one.
"""

from __future__ import annotations

import math
import re

from pydantic import Field
from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward, spoken_answer

# Elsewhere a digit is a name (a tile, a symbol) and the next number is no nearer to being right.
QUANTITIES = (
    "bounce_count",
    "chip_containers",
    "distance_estimation",
    "motion_count",
    "recurring_scenes",
    "scene_count",
)
MAX_CHARS = 32
NUM_THRESHOLDS = 10  # of MRA, 0.05 apart
_NUMBER = re.compile(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?)(?: ([A-Za-z]+))?\.?")


class Number(Reward):
    """In [0, 1]; None where the right option is no number of the tasks that ask for a quantity."""

    relative_tolerance: float | None = Field(default=0.0, ge=0)  # share of the true number; None: MRA
    tasks: tuple[str, ...] = QUANTITIES

    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        question = sample.question
        true = read_number(question.options[question.answer_index])
        if true is None or sample.address.task not in self.tasks:
            return None
        said = read_number(spoken_answer(rollout, sample) or "")
        if said is None or said[1] not in ("", true[1]):
            return 0.0
        if self.relative_tolerance is None:
            return mean_relative_accuracy(said[0], true[0])
        return float(math.isclose(said[0], true[0], rel_tol=0.0, abs_tol=self.relative_tolerance * abs(true[0])))


def read_number(text: str) -> tuple[float, str] | None:
    """A number in ASCII digits and its unit, which may be ""; None for anything else."""
    text = text.strip(" \t\r\n")
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_CHARS else None
    return None if match is None else (float(match[1]), match[2] or "")


def mean_relative_accuracy(said: float, true: float) -> float:
    """Share of the thresholds that the relative error stays under; of a true 0, whether 0 was said."""
    if true == 0:
        return float(said == 0)
    error = abs(said - true) / abs(true)
    return sum(error < k / (2 * NUM_THRESHOLDS) for k in range(1, NUM_THRESHOLDS + 1)) / NUM_THRESHOLDS
