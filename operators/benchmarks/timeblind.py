"""TimeBlind (arXiv 2602.00288): two videos alike but for time, and two questions whose answers are opposite on them.

The official protocol is that of ``Baiqi-Li/TimeBlind``. Its reader searches the whole reply.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.benchmarks._choice import (
    YES_NO,
    ChoiceBenchmark,
    gold_letter,
    letter_index,
    options_in_question,
)
from temporay.operators.benchmarks._files import Row, placed
from temporay.operators.benchmarks._groups import all_right, grouped

NUM_QUESTIONS = 2400
ROLES = ("q0_i0", "q0_i1", "q1_i0", "q1_i1")  # question and video, by index modulo 4
SUFFIXES = {"yes_no": " Please output Yes or No.", "multiple_choice": " Please output A or B."}
_ANNOUNCED = r"(?:final(?: answer)?|answer|prediction)\s*[:：]\s*"
_YES_NO = tuple(
    re.compile(form, re.IGNORECASE) for form in (rf"{_ANNOUNCED}(yes|no)\b", r"\b(yes|no)\b(?=[\s.,!?)]|$)")
)
_A_B = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{_ANNOUNCED}([AB])\b",
        r"(?:option|choice)\s*[:：]?\s*([AB])\b",
        r"[(\[{]\s*([AB])\s*[)\]}]",
        r"\b([AB])\s*[.)]\b",
        r"(?<![A-Za-z0-9/])([AB])(?![A-Za-z0-9/])",
    )
)


class Timeblind(ChoiceBenchmark):
    """2,400 questions: 600 instances of two videos times two questions."""

    title = "TimeBlind"
    source = "https://huggingface.co/datasets/BaiqiL/TimeBlind"
    license = "as the page of the dataset states"
    how_to_get = "clone the dataset BaiqiL/TimeBlind from the Hub: data.jsonl and the folder videos"
    metric = "I-Acc: share of instances with all four answers right"
    differs = (
        "official takes the first yes, no, A or B of a reply, also the article a, and counts all four answers of an "
        "instance as wrong if one is missing; strict reads one option or none and counts the missing one alone"
    )

    @property
    def size(self) -> int:
        return NUM_QUESTIONS

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, "data.jsonl", "TimeBlind/data.jsonl"):
            index, kind, question = int(row.number("index")), row.text("type"), row.text("question")
            if kind not in SUFFIXES:
                raise row.fault(f"its type is {kind!r}, which is none of {', '.join(SUFFIXES)}")
            options = YES_NO if kind == "yes_no" else options_in_question(question)
            video = row.text("video_path")
            yield BenchmarkItem(
                id=str(index),
                task=kind,
                question=question,
                options=options,
                gold=_gold(row, options),
                lettered=kind == "multiple_choice",
                videos=(placed(folder, [video.removeprefix("TimeBlind/"), video]),),
                cluster=str(index // 4),  # both videos: they are made to be alike
                group=str(index // 4),
                role=ROLES[index % 4],
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return f"{item.question}{SUFFIXES[item.task]}"

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        plain = " ".join(text.split())
        forms = _A_B if item.lettered else _YES_NO
        found = next(filter(None, (form.search(plain) for form in forms)), None)
        if found is None:
            return None
        return letter_index(found[1], 2) if item.lettered else YES_NO.index(found[1].capitalize())

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        instances = grouped(scored)
        if protocol == "official":
            complete = [group for group in instances if all(one.text is not None for one in group)]
            share = len(complete) / max(1, len(instances))
        else:
            complete, share = instances, 1.0
        kept = [one for group in complete for one in group]
        figures = {
            "I_Acc": all_right(complete),
            "Acc": percent(one.values["score"] for one in kept),
            "Q_Acc": all_right(grouped(kept, lambda one: f"{one.item.group} {one.item.role[:2]}")),
            "V_Acc": all_right(grouped(kept, lambda one: f"{one.item.group} {one.item.role[3:]}")),
        }
        return {name: value * share for name, value in figures.items()}


def _gold(row: Row, options: Sequence[str]) -> int:
    if options == YES_NO:
        return row.index_of(row.text("answer").strip().rstrip(".").capitalize(), YES_NO)
    return gold_letter(row, "answer", len(options))
