"""``temporay compare``: two evaluations of the same questions, by task and arm: difference, interval, p-value.

RUN/samples.jsonl of both               → scores by question → paired comparison
lmms-eval's log, or RUN/lmms_eval       → the same, by the place of a question in its task
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import tyro
from temporay.operators.errors import UserError
from temporay.operators.scoring.evaluation import EvaluationRow, compare_rows, read_rows
from temporay.operators.scoring.lmms_eval import LoggedTask, common_scores, read_log
from temporay.operators.scoring.paired import PairedComparison, compare_paired
from temporay.operators.scoring.power import EXAMPLE_DIFFERENCE, questions_needed
from temporay.operators.settings import Settings
from temporay.workflows.evaluate import ROWS
from temporay.workflows.evaluation import lmms_log


class CompareConfig(Settings):
    """Settings of ``temporay compare``."""

    first: tyro.conf.Positional[Path]  # a run of ``temporay evaluate``, or results of lmms-eval
    second: tyro.conf.Positional[Path]
    metric: str = lmms_log.METRIC  # of logs of lmms-eval: the scores that are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One task under one arm in both evaluations."""

    task: str
    arm: str
    first: float  # mean score of the questions in both
    second: float
    result: PairedComparison


def run(config: CompareConfig) -> list[Compared]:
    """Compare what two evaluations have in common.

    Raises:
        UserError: one of them cannot be read, or they have no question in common.
    """
    for path in (config.first, config.second):
        if not path.exists():
            raise UserError(f"{path} does not exist; give a run of `temporay evaluate`, or results of lmms-eval")
    first, second = config.first / ROWS, config.second / ROWS
    if first.exists() and second.exists():
        found = compare_runs(read_rows(first), read_rows(second))
    else:
        found = compare_logs(_log_of(config.first), _log_of(config.second), config.metric)
    if not found:
        raise UserError(f"{config.first} and {config.second} have no question in common; compare the same benchmark")
    return found


def compare_runs(first: list[EvaluationRow], second: list[EvaluationRow]) -> list[Compared]:
    """Compare two runs of ``temporay evaluate`` by task and arm, and over all tasks where there are several."""
    cells = [_cells(rows) for rows in (first, second)]
    found = []
    for task, arm in cells[0]:
        one, other = cells[0][task, arm], cells[1].get((task, arm), [])
        keys = {row.key for row in one} & {row.key for row in other}
        one, other = ([row for row in rows if row.key in keys] for rows in (one, other))
        if keys:
            scores = [fmean(row.score for row in rows) for rows in (one, other)]
            result = compare_rows(one, other)
            found.append(Compared(task=task, arm=arm, first=scores[0], second=scores[1], result=result))
    return found


def compare_logs(first: Mapping[str, LoggedTask], second: Mapping[str, LoggedTask], metric: str) -> list[Compared]:
    """Compare the tasks that two logs have in common; if each has a single one, these.

    Raises:
        UserError: the same question has another right answer in the other log, or a log has no such metric.
    """
    pairs = [(first[task], second[task]) for task in first if task in second]
    if not pairs and len(first) == len(second) == 1:
        pairs = list(zip(first.values(), second.values(), strict=True))
    found = []
    for one, other in pairs:
        scores = common_scores(one, other, metric)
        keys = scores[0].keys() & scores[1].keys()
        means = [fmean(some[key] for key in keys) for some in scores]
        result = compare_paired(*scores)
        found.append(Compared(task=one.task, arm="ordered", first=means[0], second=means[1], result=result))
    return found


def _cells(rows: list[EvaluationRow]) -> dict[tuple[str, str], list[EvaluationRow]]:
    cells: dict[tuple[str, str], list[EvaluationRow]] = {}
    several = len({row.task for row in rows}) > 1
    for row in rows:
        for task in [row.task, *(["all"] if several else [])]:
            cells.setdefault((task, row.arm), []).append(row)
    return cells


def _log_of(path: Path) -> dict[str, LoggedTask]:
    own = path / lmms_log.FOLDER
    return {task.task: task for task in read_log(own if own.is_dir() else path)[1]}


def tell(found: list[Compared]) -> None:
    """Print a line for every task and arm."""
    for one in found:
        result, interval = one.result, one.result.difference
        print(
            f"{one.task}, {one.arm}: {one.first:.1%} and {one.second:.1%} on {interval.n} common questions, difference "
            f"{interval.value:+.1%} ({interval.low:+.1%} to {interval.high:+.1%}), p {result.p_value:.2g}; "
            f"better on {result.wins}, worse on {result.losses}{_left_out(result)}"
        )
        print(f"  {needed(result)}")


def needed(result: PairedComparison) -> str:
    """Say how many questions would show a small difference, if the two differ on as many of them as here."""
    n = result.difference.n
    discordant = max((result.wins + result.losses) / n, EXAMPLE_DIFFERENCE)
    questions = questions_needed(EXAMPLE_DIFFERENCE, discordant=discordant)
    return f"a difference of {EXAMPLE_DIFFERENCE:.0%} would be seen with {questions} independent questions (power 80 %)"


def _left_out(result: PairedComparison) -> str:
    alone = [(result.only_first, "first"), (result.only_second, "second")]
    return "".join(f"; {count} only in the {name}" for count, name in alone if count)
