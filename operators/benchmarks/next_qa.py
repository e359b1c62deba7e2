"""NExT-QA (CVPR 2021): why, how and when, about videos of daily life, with five options.

The official protocol is that of lmms-eval, whose reader draws an option at random for a reply without one. Here that
draw is the same in every run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.benchmarks._choice import ChoiceBenchmark, accuracies, guessed, lettered, mmmu_choice
from temporay.operators.benchmarks._files import Row, placed

NUM_OPTIONS = 5
SIZES = {"CW": 3329, "TN": 1399, "CH": 1173, "TC": 1165, "DO": 600, "DL": 483, "DC": 322, "TP": 93}
NUM_QUESTIONS = {"test": 8564, "val": 4996}
KINDS = {"causal": ("CW", "CH"), "temporal": ("TN", "TC", "TP"), "descriptive": ("DC", "DL", "DO")}
FOLDERS = ("NExTVideo", "videos")


class NextQa(ChoiceBenchmark):
    """8,564 questions (test): causal, temporal and descriptive."""

    split: Literal["test", "val"] = "test"

    title = "NExT-QA"
    source = "https://github.com/doc-doc/NExT-QA"
    license = "MIT"
    how_to_get = (
        "copy dataset/nextqa from github.com/doc-doc/NExT-QA, or download lmms-lab/NExTQA from the Hub, and the videos "
        "into NExTVideo/<video>.mp4"
    )
    metric = "accuracy over all questions, and of causal, temporal and descriptive ones"
    differs = "official guesses an option for a reply without one; strict counts that reply as wrong"

    @property
    def sizes(self) -> Mapping[str, int]:
        return SIZES if self.split == "test" else {}

    @property
    def size(self) -> int:
        return NUM_QUESTIONS[self.split]

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        places = ("", "nextqa/", "dataset/nextqa/")
        names = [f"MC/{self.split}-*.parquet", *(f"{place}{self.split}.csv" for place in places)]
        rows = self.rows(folder, *names)
        numbered = all(str(row.fields.get("answer")) in "01234" for row in rows)  # one release has the words instead
        for row in rows:
            video = row.text("video", "video_id")
            options = tuple(row.text(f"a{n}") for n in range(NUM_OPTIONS))
            yield BenchmarkItem(
                id=f"{video}_{row.text('qid')}",
                task=row.text("type"),
                question=row.text("question"),
                options=options,
                gold=_gold(row, options, numbered),
                videos=(placed(folder, [f"{place}/{video}.mp4" for place in FOLDERS]),),
                cluster=video,
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return f"{item.question.strip()}\n{lettered([option.strip() for option in item.options])}"

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        found = mmmu_choice(text, item.options)
        return guessed(item) if found is None else found

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        kinds = {
            f"accuracy, {kind}": percent(one.values["score"] for one in scored if one.item.task in tasks)
            for kind, tasks in KINDS.items()
        }
        return accuracies(scored) | kinds


def _gold(row: Row, options: Sequence[str], numbered: bool) -> int:
    return int(row.text("answer")) if numbered else row.index_of(row.text("answer"), options)
