"""Video-MME (arXiv 2405.21075): 900 videos from 11 seconds to an hour, three questions each.

The official protocol is the authors' for frames without subtitles.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol
from temporay.operators.benchmarks._choice import (
    ChoiceBenchmark,
    accuracies,
    accuracies_by,
    after_announcement,
    gold_letter,
    lettered,
    without_letters,
)
from temporay.operators.benchmarks._files import placed

FILES = ("videomme/test-*.parquet", "**/test-*.parquet")
SIZES = {
    "Temporal Perception": 55,
    "Spatial Perception": 54,
    "Attribute Perception": 222,
    "Action Recognition": 313,
    "Object Recognition": 354,
    "OCR Problems": 139,
    "Counting Problem": 268,
    "Temporal Reasoning": 177,
    "Spatial Reasoning": 56,
    "Action Reasoning": 285,
    "Object Reasoning": 454,
    "Information Synopsis": 323,
}


class VideoMme(ChoiceBenchmark):
    """2,700 questions with four options."""

    title = "Video-MME"
    source = "https://huggingface.co/datasets/lmms-lab/Video-MME"
    license = "for academic research only, as its authors state"
    how_to_get = "download the dataset lmms-lab/Video-MME from the Hub and unpack its videos into data"
    metric = "accuracy over all questions, by length of the video and by task"
    differs = (
        "official takes the first capital letter of an option, also inside a word; strict reads one option or none"
    )
    max_tokens = 16
    published_sizes = SIZES

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, *FILES):
            options, video = row.texts("options"), row.text("videoID")
            yield BenchmarkItem(
                id=row.text("question_id"),
                task=row.text("task_type"),
                question=row.text("question"),
                options=without_letters(options),
                gold=gold_letter(row, "answer", len(options)),
                videos=(placed(folder, [f"data/{video}{suffix}" for suffix in (".mp4", ".MP4", ".mkv")]),),
                cluster=video,
                extra={"duration": row.text("duration"), "domain": row.text("domain")},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return (
            "Select the best answer to the following multiple-choice question based on the video. Respond with only "
            f"the letter (A, B, C, or D) of the correct option.\n{item.question}\n{lettered(item.options)}\n"
            "The best answer is:"
        )

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        return after_announcement(text, len(item.options))

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        return accuracies(scored) | accuracies_by(scored, "duration")
