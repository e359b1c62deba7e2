"""Temporal grounding: a query is answered by one span of time, and scored by its overlap with the true one."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.records import TimeSpan
from temporay.operators.scoring.lenient import plain_span
from temporay.operators.scoring.spans import only_span, temporal_iou

THRESHOLDS = (0.3, 0.5, 0.7)


class SpanBenchmark(Benchmark):
    """Queries whose answer is a span, (start, end) in seconds. ``score`` is tIoU."""

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> TimeSpan | None:
        return only_span(plain_span(text)) if protocol == "strict" else self.read_officially(text)

    @abstractmethod
    def read_officially(self, text: str) -> TimeSpan | None:
        """Return the span that the published code takes a text for."""

    def read_leniently(self, item: BenchmarkItem, text: str) -> TimeSpan | None:
        """Return the span of the last line that states exactly one."""
        lines = (only_span(line) for line in reversed(text.splitlines()))
        return next((span for span in lines if span is not None), None)

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        return {"score": 0.0 if answer is None else max(temporal_iou(answer, span) for span in item.spans)}

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        return {"mIoU": percent(one.values["score"] for one in scored), **recalls(scored, "R@{}", "score")}


def recalls(scored: Sequence[ScoredItem], name: str, value: str) -> dict[str, float]:
    """Return the share of questions, in percent, whose overlap reaches each threshold."""
    return {
        name.format(threshold): percent(one.values[value] >= threshold for one in scored) for threshold in THRESHOLDS
    }
