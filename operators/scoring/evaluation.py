"""What a model wrote in an evaluation, and how good that is for every primitive.

rows of every column (a model or an arm) -> chance, accuracy with interval, shares of unread and of reasoned answers
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from temporay.operators.files import write_text
from temporay.operators.records import ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from temporay.operators.scoring.arms import Arm
from temporay.operators.scoring.metrics import accuracy_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """What the model wrote for one sample under one arm."""

    key: str
    task: str
    arm: Arm
    correct: bool
    parsed: (
        str | None
    )  # the option it chose, or its free answer; None when nothing could be read, which counts as wrong
    text: str
    chance: float


def credit(row: EvaluationRow) -> float:
    """Return 1 for the right option, else 0. In control arms an answer that names no option is a uniform guess.

    Otherwise a model that says nothing without its video would look blind, although it could have guessed. MMMU (arXiv
    2311.16502, official code) chooses an option at random for unread answers; this is the expectation of that choice.
    """
    if row.parsed is None and row.arm != "ordered":
        return row.chance
    return float(row.correct)


def has_reasoning(completion: str) -> bool:
    """Return whether something is said before the end of the chain of thought, and no answer is begun there."""
    before_close, close, _ = completion.rpartition(THINK_CLOSE)
    return bool(close) and ANSWER_OPEN not in before_close and bool(before_close.removeprefix(THINK_OPEN).strip())


def by_arm(rows: Sequence[EvaluationRow]) -> dict[Arm, list[EvaluationRow]]:
    """Return the rows of every arm, arms in the order in which they come."""
    return {arm: [row for row in rows if row.arm == arm] for arm in dict.fromkeys(row.arm for row in rows)}


def by_task(columns: Mapping[Any, Sequence[EvaluationRow]]) -> dict[str, dict[str, Any]]:
    """Return for every primitive its chance, and for every column an interval and shares of answers.

    Chance is what a uniform guess among the options gets. An answer is unread when it names no option, and reasoned
    when a chain of thought comes before it.
    """
    table = {}
    for task in sorted({row.task for rows in columns.values() for row in rows}):
        asked = {name: [row for row in rows if row.task == task] for name, rows in columns.items()}
        table[task] = {
            "chance": fmean(row.chance for rows in asked.values() for row in rows),
            "intervals": {name: asdict(accuracy_interval(list(map(credit, rows)))) for name, rows in asked.items()},
            "unread": {name: fmean(row.parsed is None for row in rows) for name, rows in asked.items()},
            "reasoned": {name: fmean(has_reasoning(row.text) for row in rows) for name, rows in asked.items()},
        }
    return table


def write_rows(path: Path, rows: Sequence[EvaluationRow]) -> None:
    """Write one JSON line per sample and arm, for the report and for any other analysis."""
    write_text(path, "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[EvaluationRow]:
    """Read what ``write_rows`` wrote. Only a line feed ends a line: a model may write other separators."""
    return [EvaluationRow(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]
