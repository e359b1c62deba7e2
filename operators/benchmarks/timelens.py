"""TimeLens-Bench (arXiv 2512.14698): Charades-STA, ActivityNet Captions and QVHighlights with corrected annotations.

The official protocol is that of ``TencentARC/TimeLens``.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol, by_task
from temporay.operators.benchmarks._files import Row, find_file, read_object
from temporay.operators.benchmarks._span import SpanBenchmark
from temporay.operators.records import TimeSpan
from temporay.operators.scoring.spans import clock_seconds

SETS = ("charades", "activitynet", "qvhighlights")
_CLOCK = re.compile(r"\b(?:(\d{1,2}):)?(\d{1,2}):(\d{2}(?:\.\d+)?)\b")
_RANGES = (re.compile(r"(\d+\.?\d*)\s*-\s*(\d+\.?\d*)"), re.compile(r"(\d+\.?\d*)\s+to\s+(\d+\.?\d*)"))
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")


class Timelens(SpanBenchmark):
    """Queries of three sets, each with one span."""

    title = "TimeLens-Bench"
    source = "https://huggingface.co/datasets/TencentARC/TimeLens-Bench"
    license = "as the page of the dataset states"
    how_to_get = "download the dataset TencentARC/TimeLens-Bench from the Hub and unpack video_shards into videos"
    metric = "mean tIoU, and the share of queries with tIoU of at least 0.3, 0.5 and 0.7, of every set"
    differs = (
        "official takes the first span or pair of numbers that a reply has; "
        "strict wants exactly one span that starts before it ends"
    )

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for name in SETS:
            path = find_file(folder, (f"{name}-timelens.json",), self.how_to_get)
            for video, fields in read_object(path).items():
                row = Row(fields if isinstance(fields, dict) else {}, f"{path}, video {video}")
                queries, spans = row.texts("queries"), row.value("spans")
                if not isinstance(spans, list) or len(spans) != len(queries):
                    raise row.fault("it has not as many spans as queries")
                for number, (query, span) in enumerate(zip(queries, spans, strict=True)):
                    times = Row({"span": span}, row.where).numbers("span")
                    if len(times) != 2:
                        raise row.fault(f"its span is {span!r}, which is no start and end")
                    yield BenchmarkItem(
                        id=f"{name}/{video}/{number}",
                        task=name,
                        question=clean_query(query),
                        gold=(times[0], times[1]),
                        spans=((times[0], times[1]),),
                        videos=(f"videos/{name}/{video}.mp4",),
                        cluster=f"{name}/{video}",
                        extra={"duration_s": row.number("duration")},
                    )

    def prompt(self, item: BenchmarkItem) -> str:
        return (
            f"Please find the visual event described by the sentence '{item.question}', determining its starting and "
            "ending times. The format should be: 'The event happens in <start time> - <end time> seconds'."
        )

    def read_officially(self, text: str) -> TimeSpan | None:
        lowered = text.lower()
        clock = [clock_seconds(*match.groups()) for match in _CLOCK.finditer(lowered)]
        if len(clock) > 1:
            return clock[0], clock[1]
        ranged = next(filter(None, (form.search(lowered) for form in _RANGES)), None)
        times = ranged.groups() if ranged else _NUMBER.findall(lowered)
        return (float(times[0]), float(times[1])) if len(times) > 1 else None

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        return f"The event happens in {answer[0]} - {answer[1]} seconds."

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        sets = {
            f"{metric}, {name}": value
            for name, found in by_task(scored).items()
            for metric, value in SpanBenchmark.table(self, found, protocol).items()
        }
        means = [value for name, value in sets.items() if name.startswith("mIoU")]
        return {"mIoU, mean of sets": sum(means) / max(1, len(means)), **sets}


def clean_query(query: str) -> str:
    """Return a query without double spaces and final periods, as the prompt has it."""
    return " ".join(query.split()).strip(".").strip()
