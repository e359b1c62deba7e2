"""VSTAT: following the state of objects through long videos, with options or a number as the answer.

The official protocol is that of lmms-eval. Its reader takes the last integer of a reply.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol, by_task, percent
from temporay.operators.benchmarks._choice import letter_index, mmmu_choice, without_letters
from temporay.operators.benchmarks._files import Row, find_file, read_object
from temporay.operators.benchmarks._mixed import choice_or_closeness
from temporay.operators.records import LETTERS
from temporay.operators.scoring.lenient import lenient_choice, plain_choice, plain_span

INTEGER_POST = "Return only the final count as a single integer.\nAnswer:"
COUNTING_TASKS = ("packing_order", "showing_card_count")  # how their names begin
_ONLY_INTEGER = re.compile(r"(-?\d{1,9})\.?")
_INTEGER = re.compile(r"-?\d+")


class Vstat(Benchmark):
    """Questions about state. ``score`` is accuracy, or MRA for a number."""

    title = "VSTAT"
    source = "https://huggingface.co/datasets/nyu-visionx/vstat"
    license = "as the page of the dataset states"
    how_to_get = (
        "download the dataset nyu-visionx/vstat from the Hub: vstat_qa_clean.json and videos (those of YouTube are "
        "made by the scripts in it)"
    )
    metric = "mean of all scores: accuracy with options, mean relative accuracy of numbers"
    differs = (
        "official takes the last integer of a reply, searches it for a letter, and counts an error that is exactly a "
        "threshold as below it; strict reads one number or option, and no more"
    )
    max_tokens = 64

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        path = find_file(folder, ("vstat_qa_clean.json",), self.how_to_get)
        tree = read_object(path)
        data = tree.get("data", tree)
        whole = Row({"data": data}, str(path))
        if not isinstance(data, dict) or not all(isinstance(asked, list) for asked in data.values()):
            raise whole.fault("it has no questions by category")
        for category, asked in data.items():
            for number, fields in enumerate(asked):
                row = Row(fields if isinstance(fields, dict) else {}, f"{path}, {category}, question {number + 1}")
                choices = without_letters(row.texts("choices")) if row.fields.get("choices") else ()
                video = row.text("video_path")
                yield BenchmarkItem(
                    id=f"{category}/{number}",
                    task=category,
                    question=row.text("question").strip(),
                    options=choices,
                    gold=_index(row, choices) if choices else row.number("answer"),
                    videos=(video,),
                    cluster=video,
                    extra={"source_task": str(row.fields.get("source_task") or "")},
                )

    def prompt(self, item: BenchmarkItem) -> str:
        body = f"Watch the full video carefully before answering.\n\nQuestion: {item.question}"
        if item.options:
            *first, last = list(LETTERS[: len(item.options)])
            letters = f"{first[0]} or {last}" if len(first) == 1 else f"{', '.join(first)}, or {last}"
            return f"{body}\n\nPlease answer with the letter ({letters}).\n\nAnswer with only the option letter."
        post = ""
        if item.extra["source_task"] == "book":
            post = "\n\nReturn only a single integer (positive, negative, or 0).\nAnswer:"
        elif item.extra["source_task"].startswith(COUNTING_TASKS):
            post = f"\n\n{INTEGER_POST}"
        return f"{body}{post}\n\nAnswer with only a single number."

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> float | int | None:
        if item.options:
            return mmmu_choice(text, item.options) if protocol == "official" else plain_choice(text, item.options)
        if protocol == "official":
            found = _INTEGER.findall(text[-4000:])
            return float(found[-1]) if found else None
        match = _ONLY_INTEGER.fullmatch(plain_span(text))
        return float(match[1]) if match else None

    def read_leniently(self, item: BenchmarkItem, text: str) -> float | int | None:
        """Return the option, or the only integer of the reply."""
        if item.options:
            return lenient_choice(text, item.options)
        found = set(_INTEGER.findall(plain_span(text)[-4000:]))
        return float(found.pop()) if len(found) == 1 else None

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        return LETTERS[answer] if item.options else f"{answer:.0f}"

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        return choice_or_closeness(item, answer, protocol)

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        tasks = {task: percent(one.values["score"] for one in found) for task, found in by_task(scored).items()}
        return {
            "average score": percent(one.values["score"] for one in scored),
            "accuracy with options": percent(one.values["score"] for one in scored if one.item.options),
            "MRA of numbers": percent(one.values["score"] for one in scored if not one.item.options),
            **tasks,
        }


def _index(row: Row, choices: Sequence[str]) -> int:
    """Return the right option: its letter, or else ``answer_index``."""
    index = letter_index(str(row.fields.get("answer")).strip(), len(choices))
    if index is None:
        index = int(row.number("answer_index"))
    if not 0 <= index < len(choices):
        raise row.fault(f"its answer is {row.fields.get('answer')!r}, but there are {len(choices)} options")
    return index
