"""How close the answered number is to the true one, for questions that ask how many or how far.

Within a tolerance, 1 or 0; or the mean relative accuracy of ``temporay.operators.scoring.mra``. An answer names an
option or gives digits, with the unit of the options or without one. A digit that is a name (a tile, a symbol) makes no
question of this kind: the next one is no nearer.
"""

import math
import re
from typing import ClassVar

from pydantic import Field
from temporay.operators.records import AnswerKind, Quantity, Question
from temporay.operators.rewards._base import ValueReward
from temporay.operators.scoring.mra import mean_relative_accuracy

MAX_CHARS = 32
_NUMBER = re.compile(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?)(?: ([A-Za-z]+))?\.?")


class Number(ValueReward):
    """In [0, 1]; None for questions that do not ask for a quantity."""

    kind: ClassVar[AnswerKind] = "number"
    relative_tolerance: float | None = Field(default=0.0, ge=0)  # share of the true number; None: MRA

    def read(self, text: str, question: Question) -> Quantity | None:
        """Return a number in ASCII digits and its unit, which may be ""; None for anything else."""
        text = text.strip(" \t\r\n")
        match = _NUMBER.fullmatch(text) if len(text) <= MAX_CHARS else None
        return None if match is None else (float(match[1]), match[2] or "")

    def compare(self, said: Quantity, true: Quantity) -> float:
        if said[1] not in ("", true[1]):
            return 0.0
        if self.relative_tolerance is None:
            return mean_relative_accuracy(said[0], true[0])
        return float(math.isclose(said[0], true[0], rel_tol=0.0, abs_tol=self.relative_tolerance * abs(true[0])))
