"""VSI-Bench (arXiv 2412.14171): sizes, distances, counts, directions and routes in filmed rooms.

The official protocol is that of ``vision-x-nyu/thinking-in-space``. Of a reply it takes the first word. lmms-eval reads
the first number anywhere instead.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol, by_task, percent
from temporay.operators.benchmarks._choice import gold_letter, letter_index, lettered, without_letters
from temporay.operators.benchmarks._mixed import choice_or_closeness
from temporay.operators.records import LETTERS
from temporay.operators.scoring.lenient import lenient_choice, plain_choice, plain_span

DIRECTIONS = ("object_rel_direction_easy", "object_rel_direction_medium", "object_rel_direction_hard")
SIZES = {
    "object_counting": 565,
    "object_abs_distance": 834,
    "object_size_estimation": 953,
    "room_size_estimation": 288,
    "object_rel_distance": 710,
    "object_rel_direction_easy": 217,
    "object_rel_direction_medium": 378,
    "object_rel_direction_hard": 373,
    "route_planning": 194,
    "obj_appearance_order": 618,
}
FILES = {  # of each of the sets that are published, in the order in which they are tried
    "full": ("test.jsonl", "test-*.parquet", "**/test*.parquet"),
    "debiased": ("test_debiased.parquet", "test_debiased.jsonl"),
    "pruned": ("test_pruned.parquet", "test_pruned.jsonl"),
}
_ONLY_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)(?:\s*[A-Za-z][A-Za-z²³ ]*)?\.?")
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?!\w)")


class VsiBench(Benchmark):
    """5,130 questions, with options or a number as the answer. ``score`` is accuracy, or MRA for a number."""

    part: Literal["full", "debiased", "pruned"] = "full"

    title = "VSI-Bench"
    source = "https://huggingface.co/datasets/nyu-visionx/VSI-Bench"
    license = "Apache-2.0"
    how_to_get = (
        "download the dataset nyu-visionx/VSI-Bench from the Hub: test.jsonl, and the archives of the three folders of "
        "videos, unpacked"
    )
    metric = "mean of eight tasks: accuracy, or mean relative accuracy where the answer is a number"
    differs = (
        "official reads the first word and counts a relative error that is exactly a threshold as below it; "
        "strict reads one number or option, and no more"
    )
    max_tokens = 16

    @property
    def sizes(self) -> Mapping[str, int]:
        return SIZES if self.part == "full" else {}

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, *FILES[self.part]):
            video = f"{row.text('dataset')}/{row.text('scene_name')}.mp4"
            options = without_letters(row.texts("options")) if row.fields.get("options") else ()
            yield BenchmarkItem(
                id=row.text("id"),
                task=row.text("question_type"),
                question=row.text("question"),
                options=options,
                gold=gold_letter(row, "ground_truth", len(options)) if options else row.number("ground_truth"),
                videos=(video,),
                cluster=video,
            )

    def prompt(self, item: BenchmarkItem) -> str:
        start = f"These are frames of a video.\n{item.question}\n"
        if not item.options:
            return f"{start}Please answer the question using a single word or phrase."
        options = f"Options:\n{lettered(item.options)}\n"
        return f"{start}{options}Answer with the option's letter from the given choices directly."

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> float | int | None:
        if protocol == "strict":
            return (
                plain_choice(text, item.options) if item.options else _number(_ONLY_NUMBER.fullmatch(plain_span(text)))
            )
        word = text.split(" ")[0].rstrip(".").strip()
        if item.options:
            return letter_index(word, len(item.options))
        return _number(re.fullmatch(r"([+-]?\d*\.?\d+(?:e[+-]?\d+)?)", word))

    def read_leniently(self, item: BenchmarkItem, text: str) -> float | int | None:
        """Return the option, or the only number that a reply has."""
        if item.options:
            return lenient_choice(text, item.options)
        found = {float(number) for number in _NUMBER.findall(plain_span(text))}
        return found.pop() if len(found) == 1 else None

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        return LETTERS[answer] if item.options else f"{answer:g}"

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        return choice_or_closeness(item, answer, protocol)

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        tasks = {task: percent(one.values["score"] for one in found) for task, found in by_task(scored).items()}
        directions = [tasks.pop(task) for task in DIRECTIONS if task in tasks]
        if directions:
            tasks["object_rel_direction"] = sum(directions) / len(directions)
        return {"overall": sum(tasks.values()) / max(1, len(tasks)), **tasks}


def _number(match: re.Match[str] | None) -> float | None:
    return None if match is None else float(match[1])
