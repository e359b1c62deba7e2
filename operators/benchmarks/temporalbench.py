"""TemporalBench (arXiv 2410.10818): a caption against one with a single temporal detail changed.

Every video is asked about several times, with another detail each time. The figure that papers quote is the share of
videos whose questions are all right (MBA). The third part, captioning, needs an embedding model and is not offered.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.benchmarks._choice import (
    ChoiceBenchmark,
    accuracies,
    first_letter,
    gold_letter,
    options_in_question,
)
from temporay.operators.benchmarks._groups import all_right, grouped

SHORT_SIZES = {
    "Action Order": 129,
    "Action Frequency": 530,
    "Action Type": 2802,
    "Motion Magnitude": 320,
    "Motion Direction/Orientation": 1536,
    "Action Effector": 1109,
    "Event Order": 2099,
    "Others": 1342,
}


class Temporalbench(ChoiceBenchmark):
    """9,867 questions about short videos, or those about long ones."""

    part: Literal["short", "long"] = "short"

    title = "TemporalBench"
    source = "https://huggingface.co/datasets/microsoft/TemporalBench"
    license = "MIT"
    how_to_get = "clone the dataset microsoft/TemporalBench from the Hub and unpack its archives of videos"
    metric = "MBA: share of videos with all questions right; BA: accuracy over all questions"
    differs = "official reads the first character alone and leaves missing replies out; strict counts them as wrong"
    max_tokens = 16

    @property
    def sizes(self) -> Mapping[str, int]:
        return SHORT_SIZES if self.part == "short" else {}

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        names = (f"temporalbench_{self.part}_qa.json", f"**/test_{self.part}_qa-*.parquet")
        for row in self.rows(folder, *names):
            question, video = row.text("question"), row.text("video_name")
            options = options_in_question(question)
            yield BenchmarkItem(
                id=row.text("idx"),
                task=row.text("category") if self.part == "short" else row.text("dataset", "source_dataset"),
                question=question,
                options=options,
                gold=gold_letter(row, "GT", len(options)),
                videos=(video,),
                cluster=video,
                group=video,
                extra={"dataset": row.text("dataset", "source_dataset")},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return item.question

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        return first_letter(text, len(item.options))

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        counted = scored if protocol == "strict" else [one for one in scored if one.text is not None]
        datasets = dict.fromkeys(one.item.extra["dataset"] for one in counted)
        by_dataset = {
            f"MBA, {name}": all_right(grouped(one for one in counted if one.item.extra["dataset"] == name))
            for name in datasets
        }
        overall = {"MBA": all_right(grouped(counted)), "BA": percent(one.values["score"] for one in counted)}
        return overall | by_dataset | accuracies(counted, "BA")
