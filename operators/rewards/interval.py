"""Temporal overlap of the interval that is answered with the true one: tIoU, for questions that ask from when to when.

    tIoU = |answered ∩ true| / |answered ∪ true|

The plain overlap of TimeLens (arXiv 2512.14698), where an unreadable or empty interval is worth 0. An interval may be
answered by naming an option or in seconds: "from 1.2 s to 3.4 s", "1.2 to 3.4", "1.2 - 3.4 seconds".
"""

from __future__ import annotations

import re

from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward, spoken_answer

MAX_CHARS = 64
_SECONDS = r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(?: ?s| ?seconds)?"
_SPAN = re.compile(rf"(?:[Ff]rom )?{_SECONDS} ?(?:to|-) ?{_SECONDS}\.?")


class Interval(Reward):
    """tIoU in [0, 1]; None where the right option is no interval."""

    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        question = sample.question
        true_s = read_interval(question.options[question.answer_index])
        if true_s is None:
            return None
        said_s = read_interval(spoken_answer(rollout, sample) or "")
        return 0.0 if said_s is None else temporal_iou(said_s, true_s)


def read_interval(text: str) -> tuple[float, float] | None:
    """Start and end in seconds; None for anything but one interval that lasts."""
    text = text.strip(" \t\r\n")
    match = _SPAN.fullmatch(text) if len(text) <= MAX_CHARS else None
    if match is None:
        return None
    start_s, end_s = float(match[1]), float(match[2])
    return (start_s, end_s) if start_s < end_s else None


def temporal_iou(one_s: tuple[float, float], other_s: tuple[float, float]) -> float:
    """Shared time over covered time of two intervals in seconds that last."""
    shared_s = min(one_s[1], other_s[1]) - max(one_s[0], other_s[0])
    covered_s = max(one_s[1], other_s[1]) - min(one_s[0], other_s[0])  # of intervals that overlap
    return max(0.0, shared_s / covered_s)
