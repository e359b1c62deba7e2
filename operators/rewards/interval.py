"""Temporal overlap of the answered interval with the true one: tIoU, for questions that ask from when to when.

This is the plain overlap of TimeLens (arXiv 2512.14698), ``temporay.operators.scoring.spans.temporal_iou``. An
unreadable or empty interval is worth 0. An answer names an option or gives seconds: "from 1.2 s to 3.4 s", "1.2 to
3.4", "1.2 - 3.4 seconds".
"""

import re
from typing import ClassVar

from temporay.operators.records import AnswerKind, Question, TimeSpan
from temporay.operators.rewards._base import ValueReward
from temporay.operators.scoring.spans import temporal_iou

MAX_CHARS = 64
_SECONDS = r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(?: ?s| ?seconds)?"
_SPAN = re.compile(rf"(?:[Ff]rom )?{_SECONDS} ?(?:to|-) ?{_SECONDS}\.?")


class Interval(ValueReward):
    """tIoU in [0, 1]; None for questions that do not ask for an interval."""

    kind: ClassVar[AnswerKind] = "interval"

    def read(self, text: str, question: Question) -> TimeSpan | None:
        text = text.strip(" \t\r\n")
        match = _SPAN.fullmatch(text) if len(text) <= MAX_CHARS else None
        if match is None:
            return None
        start_s, end_s = float(match[1]), float(match[2])
        return (start_s, end_s) if start_s < end_s else None

    def compare(self, said: TimeSpan, true: TimeSpan) -> float:
        return temporal_iou(said, true)
