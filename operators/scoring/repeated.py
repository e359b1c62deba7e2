"""Several answers to every question: how good they are on average and by majority, and how much they agree.

The first four figures have the names and definitions of lmms-eval.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

MOSTLY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """Figures in [0, 1] over questions that were answered several times; NaN where nothing can be told."""

    num_questions: int
    expected_accuracy: float  # mean of all scores
    consensus_accuracy: float  # share of questions of which more than half of the answers are right
    internal_variance: float  # mean variance of a question's scores, with k - 1
    consistency_rate: float  # share of questions whose scores are all the same
    agreement: float  # share of pairs of answers to a question that are the same; an unread answer agrees with none
    plurality_accuracy: float  # share of questions whose most frequent answer is right; ties count by their share


def repeated(scores: Sequence[Sequence[float]], answers: Sequence[Sequence[Hashable | None]]) -> Repeated:
    """Return the figures.

    Args:
        scores: of every question, one per answer, in [0, 1].
        answers: what was read, in the same places; None where nothing was.

    Raises:
        ValueError: a question has no answer, or not as many answers as scores.
    """
    for own_scores, own_answers in zip(scores, answers, strict=True):
        if not own_scores or len(own_scores) != len(own_answers):
            raise ValueError(f"a question has {len(own_scores)} scores and {len(own_answers)} answers")
    spreads = [variance(own) for own in scores if len(own) > 1]
    agreements = [_agreement(own) for own in answers if len(own) > 1]
    return Repeated(
        num_questions=len(scores),
        expected_accuracy=_mean([score for own in scores for score in own]),
        consensus_accuracy=_mean([float(sum(own) > MOSTLY * len(own)) for own in scores]),
        internal_variance=_mean(spreads),
        consistency_rate=_mean([float(len(set(own)) == 1) for own in scores]),
        agreement=_mean(agreements),
        plurality_accuracy=_mean([_plurality(*own) for own in zip(scores, answers, strict=True)]),
    )


def _agreement(answers: Sequence[Hashable | None]) -> float:
    counts = Counter(answer for answer in answers if answer is not None)
    pairs = sum(count * (count - 1) for count in counts.values())
    return pairs / (len(answers) * (len(answers) - 1))


def _plurality(scores: Sequence[float], answers: Sequence[Hashable | None]) -> float:
    """Return the score of the most frequent answer, or the mean score of those that are as frequent."""
    score_of = dict(zip(answers, scores, strict=True))
    counts = Counter(answer for answer in answers if answer is not None)
    most = max(counts.values(), default=0)
    return fmean(score_of[answer] for answer, count in counts.items() if count == most) if most else 0.0


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else math.nan
