"""Questions with options beside questions about a number: one is right or wrong, the other is closer or farther."""

from typing import Any

from temporay.operators.benchmarks._base import BenchmarkItem, ScoringProtocol
from temporay.operators.scoring.mra import mean_relative_accuracy, published_mra


def choice_or_closeness(item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
    """Return ``score``: 1 for the right option, else 0; for a number, its mean relative accuracy."""
    if answer is None:
        return {"score": 0.0}
    if item.options:
        return {"score": float(answer == item.gold)}
    closeness = published_mra if protocol == "official" else mean_relative_accuracy
    return {"score": closeness(answer, item.gold)}
