"""VCRBench (arXiv 2505.08455): put the shuffled clips of a procedure into their order.

The official protocol is that of ``pritamqu/VCRBench``: it searches the reply sentence by sentence for an order, and
rounds every figure to two decimals, also before it takes a mean of figures.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from temporay.operators.benchmarks._base import (
    Benchmark,
    BenchmarkItem,
    ScoredItem,
    ScoringProtocol,
    percent,
)
from temporay.operators.benchmarks._files import Row
from temporay.operators.scoring.lenient import plain_span

FILES = ("data.json", "response_*[0-9].json")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_INTEGER = re.compile(r"\d+")
_GOAL = re.compile(r"needed to complete the task: (.+?)\. \n")
ClipOrder = tuple[int, ...]  # numbers of the clips, from 1, in the order of the procedure


class Vcrbench(Benchmark):
    """365 questions of three to seven clips. ``score`` is 1 for the whole order."""

    title = "VCRBench"
    source = "https://huggingface.co/datasets/pritamqu/VCRBench"
    license = "MIT"
    how_to_get = (
        "download the dataset pritamqu/VCRBench from the Hub: data.json and the folder videos (the questions are also "
        "in the files output/*/response_1.json of github.com/pritamqu/VCRBench)"
    )
    metric = "share of orders that are right throughout, and of places that are right"
    differs = (
        "official takes the first sentence that has every clip once and rounds the figures of goals before their mean; "
        "strict wants one order throughout the reply and rounds nothing"
    )
    published_sizes: ClassVar = {"3 clips": 126, "4 clips": 105, "5 clips": 80, "6 clips": 30, "7 clips": 24}

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, *FILES):
            order, goal = _order(row), _goal(row)
            yield BenchmarkItem(
                id=row.text("qid"),
                task=f"{len(order)} clips",
                question=goal,
                gold=order,
                videos=(f"videos/{row.text('video_file')}",),
                cluster=goal,  # clips of one goal come from few recordings
                extra={"goal": goal},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        goal = item.extra["goal"]
        return (
            "The given video consists of multiple short clips, each showing a different segment needed to complete the "
            f"task: {goal}. \nThese clips are randomly shuffled, and your job is to arrange them in the correct order "
            f"to complete the task: {goal}. \nThe clip numbers are mentioned at the beginning of each clip as Clip 1, "
            "Clip 2, and so on.\nIn order to solve this task, first, you should identify the activity that is "
            "performed in each clip, and then use your reasoning and common sense to arrange these clips to "
            "successfully complete the task.\n\nThe final output should be in this format:\n\nCorrect order: <mention "
            "the Clip numbers separated by a comma>"
        )

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> ClipOrder | None:
        if protocol == "official":
            return next(_orders_in(text, len(item.gold)), None)
        found = set(_orders_in(plain_span(text), len(item.gold)))
        return found.pop() if len(found) == 1 else None

    def read_leniently(self, item: BenchmarkItem, text: str) -> ClipOrder | None:
        """Return the order that a reply, which may think aloud, states last."""
        return next(iter([*_orders_in(text, len(item.gold))][::-1]), None)

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        return f"Correct order: {', '.join(f'Clip {clip}' for clip in answer)}"

    def chance(self, item: BenchmarkItem) -> float:
        return 1.0 / math.factorial(len(item.gold))

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        places = 0 if answer is None else sum(said == true for said, true in zip(answer, item.gold, strict=True))
        return {"score": float(answer == item.gold), "right_places": float(places), "places": float(len(item.gold))}

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        digits = 2 if protocol == "official" else None
        goals = _shares(scored, (one.item.extra["goal"] for one in scored), digits)
        sizes = _shares(scored, (one.item.task for one in scored), digits)
        places = sum(one.values["places"] for one in scored)
        right = sum(one.values["right_places"] for one in scored)
        figures = {
            "avg_accuracy": percent(one.values["score"] for one in scored),
            "avg_step_accuracy": percent([right / places] if places else []),
            "weighted_avg_accuracy": sum(goals.values()) / max(1, len(goals)),
        }
        rounded = {name: _rounded(value, digits) for name, value in figures.items()}
        return rounded | {f"accuracy, {name}": value for name, value in (goals | sizes).items()}


def _orders_in(text: str, num_clips: int) -> Iterator[ClipOrder]:
    """Yield every order that a sentence states: the first integer of each part between commas, all clips once."""
    for sentence in _SENTENCE_END.split(text.replace("*", "")):
        found = (_INTEGER.search(part) for part in sentence.split(","))
        order = tuple(int(match[0]) for match in found if match)
        if sorted(order) == list(range(1, num_clips + 1)):
            yield order


def _shares(scored: Sequence[ScoredItem], names: Iterable[str], digits: int | None) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for one, name in zip(scored, names, strict=True):
        groups.setdefault(name, []).append(one.values["score"])
    return {name: _rounded(percent(values), digits) for name, values in groups.items()}


def _rounded(value: float, digits: int | None) -> float:
    return value if digits is None else round(value, digits)


def _order(row: Row) -> ClipOrder:
    """Return the true order: ``ground_truth`` counts from 0, ``answer`` of the published replies from 1."""
    first = 0 if "ground_truth" in row.fields else 1
    order = tuple(int(clip) + 1 - first for clip in row.numbers("ground_truth", "answer"))
    if sorted(order) != list(range(1, len(order) + 1)):
        raise row.fault(f"its order is {order!r}, which does not have every clip once")
    return order


def _goal(row: Row) -> str:
    if "goal" in row.fields:
        return row.text("goal")
    match = _GOAL.search(row.text("question"))
    if match is None:
        raise row.fault("its question names no task")
    return match[1]
