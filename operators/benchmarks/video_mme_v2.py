"""Video-MME-v2: four linked questions a video, with eight options, scored as one group.

A ``relevance`` group earns more than its share for every further right answer. A ``logic`` group is a chain, and earns
nothing behind its first wrong answer. The official protocol is that of lmms-eval, which has the authors' formulas.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.benchmarks._choice import (
    ChoiceBenchmark,
    accuracies,
    after_announcement,
    gold_letter,
    lettered,
    without_letters,
)
from temporay.operators.benchmarks._files import Row, placed
from temporay.operators.benchmarks._groups import grouped

FILES = ("test-*.parquet", "**/test-*.parquet", "**/test.parquet")
NUM_QUESTIONS = 3200
QUADRATIC = (0.0, 1 / 16, 4 / 16, 9 / 16, 1.0)  # by number of right answers
# By structure of a chain: what is earned by its length, and where the second of two equal steps stands.
CHAINS: dict[str, tuple[tuple[float, ...], int | None]] = {
    "[1, 2, 3, 4]": (QUADRATIC, None),
    "[1, [2, 3], 4]": ((0.0, 1 / 12, 4 / 12, 7 / 12, 1.0), 2),
    "[[1, 2], 3, 4]": ((0.0, 1 / 10, 2 / 10, 5 / 10, 1.0), 1),
}


class VideoMmeV2(ChoiceBenchmark):
    """3,200 questions over 800 videos."""

    title = "Video-MME-v2"
    source = "https://huggingface.co/datasets/MME-Benchmarks/Video-MME-v2"
    license = "as the page of the dataset states"
    how_to_get = "download the dataset MME-Benchmarks/Video-MME-v2 from the Hub and unpack its videos into videos"
    metric = "mean score of the groups of four questions"
    differs = (
        "official takes the first capital letter of an option, also inside a word; strict reads one option or none"
    )
    max_tokens = 64

    @property
    def size(self) -> int:
        return NUM_QUESTIONS

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, *FILES):
            video, options = row.text("video_id"), _options(row)
            yield BenchmarkItem(
                id=row.text("question_id"),
                task=row.text("group_type"),
                question=row.text("question"),
                options=options,
                gold=gold_letter(row, "answer", len(options)),
                videos=(placed(folder, [f"videos/{video}.mp4", f"{video}.mp4"]),),
                cluster=video,
                group=video,
                role=row.text("question_id").rpartition("-")[2],
                extra={"structure": _structure(row), "level": row.fields.get("level")},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return (
            f"Question: {item.question}\n{lettered(item.options)}\nSelect the best answer to the following "
            "multiple-choice question based on the video. Respond with only the letter (A, B, C, D, E, F, G, or H) of "
            "the correct option."
        )

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        return after_announcement(text, len(item.options))

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        groups = [sorted(group, key=lambda one: int(one.item.role)) for group in grouped(scored)]
        table = {"group score": percent(map(group_score, groups))}
        for kind in dict.fromkeys(one.item.task for one in scored):
            table[f"group score, {kind}"] = percent(group_score(g) for g in groups if g[0].item.task == kind)
        levels = sorted({str(group[-1].item.extra["level"]) for group in groups})
        for level in levels:  # a group has the level of its last question
            table[f"group score, level {level}"] = percent(
                group_score(group) for group in groups if str(group[-1].item.extra["level"]) == level
            )
        return table | accuracies(scored)


def group_score(group: Sequence[ScoredItem]) -> float:
    """Return what a group earns, in [0, 1]. Its questions must be in order."""
    right = [one.values["score"] == 1.0 for one in group]
    if group[0].item.task != "logic":
        return QUADRATIC[sum(right)]
    earned, second = CHAINS[group[0].item.extra["structure"]]
    length = next((n for n, answer in enumerate(right) if not answer), len(right))
    if second is not None and length == second - 1 and len(right) > second and right[second]:
        length += 1  # of two equal steps, the second is right instead of the first
    return earned[length]


def _options(row: Row) -> tuple[str, ...]:
    """Return the options, which are published as a list or as one text."""
    options = row.value("options")
    return without_letters(options.strip().split("\n") if isinstance(options, str) else row.texts("options"))


def _structure(row: Row) -> str:
    if row.text("group_type") != "logic":
        return ""
    try:
        structure = json.dumps(json.loads(row.text("group_structure")))
    except ValueError:
        structure = row.text("group_structure")
    if structure not in CHAINS:
        raise row.fault(f"its group_structure is {structure!r}, which is none of {', '.join(CHAINS)}")
    return structure
