"""Video-Holmes (arXiv 2505.21374): clues that are scattered over suspense short films.

The official protocol is that of lmms-eval, whose reader draws an option at random for a reply without one. Here that
draw is the same in every run.
"""

from collections.abc import Iterator
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem
from temporay.operators.benchmarks._choice import ChoiceBenchmark, gold_letter, guessed, lettered, mmmu_choice
from temporay.operators.benchmarks._files import Row, placed
from temporay.operators.records import LETTERS

FILES = ("test_Video-Holmes.json", "**/test_Video-Holmes.json")
SIZES = {"SR": 292, "IMC": 276, "TCI": 273, "TA": 200, "MHR": 332, "PAR": 194, "CTI": 270}
SUFFIXES = (".mp4", ".MP4", ".mkv", ".webm")


class VideoHolmes(ChoiceBenchmark):
    """1,837 questions with six options over 270 films."""

    title = "Video-Holmes"
    source = "https://huggingface.co/datasets/TencentARC/Video-Holmes"
    license = "as the page of the dataset states"
    how_to_get = "download the dataset TencentARC/Video-Holmes from the Hub and unpack videos.zip"
    metric = "accuracy over all questions, and by kind of question"
    differs = "official guesses an option for a reply without one; strict counts that reply as wrong"
    max_tokens = 64
    published_sizes = SIZES

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, *FILES):
            video, options = row.text("video ID"), _options(row)
            yield BenchmarkItem(
                id=f"{video}/{row.text('Question ID')}",
                task=row.text("Question Type"),
                question=row.text("Question"),
                options=options,
                gold=gold_letter(row, "Answer", len(options)),
                videos=(placed(folder, [f"videos_cropped/{video}{suffix}" for suffix in SUFFIXES]),),
                cluster=video,
                extra={"explanation": row.fields.get("Explanation", "")},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return (
            f"Question: {item.question}\n{lettered(item.options)}\nSelect the best answer to the following "
            "multiple-choice question based on the video. Respond with only the letter (A, B, C, D, E, or F) of the "
            "correct option."
        )

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        found = mmmu_choice(text, item.options)
        return guessed(item) if found is None else found


def _options(row: Row) -> tuple[str, ...]:
    options = row.value("Options")
    if not isinstance(options, dict) or sorted(options) != list(LETTERS[: len(options)]):
        raise row.fault("its options are not lettered A, B, …")
    return tuple(str(options[letter]) for letter in sorted(options))
