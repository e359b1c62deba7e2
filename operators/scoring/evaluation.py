"""What a model wrote in an evaluation, and how good that is for every primitive.

rows of every column (a model or an arm) -> chance, accuracy with interval, shares of unread and of reasoned answers
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from temporay.operators.files import write_text
from temporay.operators.records import ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from temporay.operators.scoring.arms import WHOLE_CLIP, Arm
from temporay.operators.scoring.clustered import clustered_interval
from temporay.operators.scoring.metrics import ConfidenceInterval
from temporay.operators.scoring.paired import PairedComparison, compare_paired
from temporay.operators.scoring.repeated import Repeated, repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """What the model wrote for one sample under one arm."""

    key: str
    task: str
    arm: Arm
    score: float  # 1 for a right answer, 0 for a wrong one; between them where a benchmark measures closeness
    parsed: str | None  # the option it chose, or its free answer; None when nothing could be read, which is worth 0
    text: str
    chance: float  # expected score of a guess
    lenient_score: float | None = None  # with what a reader for models never trained here makes of the text
    claims: float | None = None  # how much of the chain of thought is true by the event log; None: it is not known
    answer: int = 0  # which of several answers to the same question
    cluster: str = ""  # the video: answers to questions about the same one are not independent; "": a video of its own

    @property
    def correct(self) -> bool:
        return self.score >= 1.0


def credit(row: EvaluationRow) -> float:
    """Return the score of an answer. Without the whole clip, an answer that names no option is a guess.

    Otherwise a model that says nothing without its video would look blind, although it could have guessed. MMMU (arXiv
    2311.16502, official code) chooses an option at random for unread answers; this is the expectation of that choice.
    """
    if row.parsed is None and row.arm not in WHOLE_CLIP:
        return row.chance
    return row.score


def has_reasoning(completion: str) -> bool:
    """Return whether something is said before the end of the chain of thought, and no answer is begun there."""
    before_close, close, _ = completion.rpartition(THINK_CLOSE)
    return bool(close) and ANSWER_OPEN not in before_close and bool(before_close.removeprefix(THINK_OPEN).strip())


def by_arm(rows: Sequence[EvaluationRow]) -> dict[Arm, list[EvaluationRow]]:
    """Return the rows of every arm, arms in the order in which they come."""
    return {arm: [row for row in rows if row.arm == arm] for arm in dict.fromkeys(row.arm for row in rows)}


def by_task(columns: Mapping[Any, Sequence[EvaluationRow]]) -> dict[str, dict[str, Any]]:
    """Return for every primitive its chance, and for every column that asks it an interval and shares of answers.

    Chance is what a uniform guess among the options gets. An answer is unread when it names no option, and reasoned
    when a chain of thought comes before it. ``lenient`` is what a reader gives that also takes an answer which is not
    in its tags, or has a thought inside them; None where it reads none. ``claims`` is what chains of thought are
    worth by the event log, on average, and ``exact`` the share of answers whose chain of thought says all of it and
    nothing else; None where it is not known.
    """
    table = {}
    for task in sorted({row.task for rows in columns.values() for row in rows}):
        every = {name: [row for row in rows if row.task == task] for name, rows in columns.items()}
        asked = {name: rows for name, rows in every.items() if rows}
        table[task] = {
            "chance": fmean(row.chance for rows in asked.values() for row in rows),
            "intervals": {name: asdict(interval_of(rows)) for name, rows in asked.items()},
            "unread": {name: fmean(row.parsed is None for row in rows) for name, rows in asked.items()},
            "reasoned": {name: fmean(has_reasoning(row.text) for row in rows) for name, rows in asked.items()},
            "lenient": {name: lenient_scores(rows).get("score") for name, rows in asked.items()},
            "claims": {name: _mean_claims(rows, lambda worth: worth) for name, rows in asked.items()},
            "exact": {name: _mean_claims(rows, lambda worth: float(worth == 1.0)) for name, rows in asked.items()},
        }
    return table


def _mean_claims(rows: Sequence[EvaluationRow], worth: Callable[[float], float]) -> float | None:
    known = [worth(row.claims) for row in rows if row.claims is not None]
    return fmean(known) if known else None


def interval_of(rows: Sequence[EvaluationRow]) -> ConfidenceInterval:
    """Return the mean credit of some answers; those about one video, and to one question, are not independent."""
    return clustered_interval(list(map(credit, rows)), [row.cluster or row.key for row in rows])


def scores_by_question(rows: Iterable[EvaluationRow]) -> dict[str, float]:
    """Return the credit of every question, the mean of its answers."""
    credits: dict[str, list[float]] = {}
    for row in rows:
        credits.setdefault(row.key, []).append(credit(row))
    return {key: fmean(some) for key, some in credits.items()}


def compare_rows(first: Sequence[EvaluationRow], second: Sequence[EvaluationRow]) -> PairedComparison:
    """Compare answers to the same questions: of one model under two arms, or of two models."""
    clusters = {row.key: row.cluster or row.key for row in [*first, *second]}
    return compare_paired(scores_by_question(first), scores_by_question(second), clusters)


def gaps(arms: Mapping[Arm, Sequence[EvaluationRow]]) -> dict[Arm, PairedComparison]:
    """Compare frames in order with every other arm; nothing where they were not shown."""
    ordered = arms.get("ordered", ())
    return {arm: compare_rows(ordered, rows) for arm, rows in arms.items() if arm != "ordered"} if ordered else {}


def answers_compared(rows: Sequence[EvaluationRow]) -> Repeated | None:
    """Return how much several answers to each question agree; None where each has one."""
    by_key: dict[str, list[EvaluationRow]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    if all(len(some) == 1 for some in by_key.values()):
        return None
    questions = list(by_key.values())
    return repeated(
        [[row.score for row in some] for some in questions], [[row.parsed for row in some] for some in questions]
    )


def lenient_scores(rows: Sequence[EvaluationRow]) -> dict[str, float]:
    """Return the mean score by the lenient reader, and the share of answers of which it thinks otherwise.

    Answers that it does not read, such as numbers of a dataset, are left out; without any there is nothing.
    """
    read = [(row.score, row.lenient_score) for row in rows if row.lenient_score is not None]
    if not read:
        return {}
    return {"score": fmean(lenient for _, lenient in read), "differ": fmean(strict != other for strict, other in read)}


# What the right answer to a question took, the least first.
TAKES: Mapping[str, tuple[Arm, ...]] = {
    "no video": ("blind",),
    "frames in any order": ("single_frame", "shuffled"),
    "frames in order": ("ordered",),
}
NOT_ANSWERED = "not answered"


def taken_shares(arms: Mapping[Arm, Sequence[EvaluationRow]]) -> dict[str, float]:
    """Return the shares of questions by the least that the right answer took; nothing unless all four arms were run.

    Each question counts once, under the first class of ``TAKES`` in which an arm of it was right (Video-Oasis, arXiv
    2603.29616; VBenchComp, arXiv 2505.14321). One answer an arm is right by luck as often as a guess is. So a share
    says something of a set of questions, and little of one of them.
    """
    if not {arm for some in TAKES.values() for arm in some} <= set(arms):
        return {}
    right = {arm: {row.key for row in rows if row.correct} for arm, rows in arms.items()}
    left = {row.key for row in arms["ordered"]}
    total, shares = len(left), {}
    for name, some in TAKES.items():
        found = left & set().union(*(right[arm] for arm in some))
        shares[name] = len(found) / total
        left -= found
    return {**shares, NOT_ANSWERED: len(left) / total}


def write_rows(path: Path, rows: Sequence[EvaluationRow]) -> None:
    """Write one JSON line per sample and arm, for the report and for any other analysis."""
    write_text(path, "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[EvaluationRow]:
    """Read what ``write_rows`` wrote. Only a line feed ends a line: a model may write other separators."""
    return [EvaluationRow(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]
