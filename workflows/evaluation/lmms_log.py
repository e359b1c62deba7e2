"""The answers to a benchmark's own questions in the log layout of lmms-eval, for its viewers and for comparisons."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from temporay.operators.benchmarks._base import BenchmarkItem
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.operators.scoring.lmms_eval import LoggedSample, LoggedTask, write_log
from temporay.workflows.evaluation.benchmark_questions import BenchmarkQuestions

FOLDER = "lmms_eval"  # in a run's folder
METRIC = "acc"


def write(
    out: Path,
    name: str,
    questions: BenchmarkQuestions,
    rows: Sequence[EvaluationRow],
    config: Mapping[str, Any],
    *,
    started: datetime,
    ended: datetime,
) -> Path:
    """Write one log of the first answers to whole clips, a task of the benchmark for each task of the log.

    Args:
        name: of the benchmark; it begins the name of every task.
        config: how the run was made, as JSON values, with its model.

    Raises:
        UserError: the folder cannot be written.
    """
    shutil.rmtree(out / FOLDER, ignore_errors=True)  # of a call that was killed after it had written it
    first = {row.key: row for row in rows if row.arm == "ordered" and row.answer == 0}
    by_task: dict[str, list[LoggedSample]] = {}
    for item, doc_id in zip(questions.items, questions.doc_ids, strict=True):
        by_task.setdefault(item.task, []).append(_sample(questions, item, doc_id, first[item.id]))
    tasks = [
        LoggedTask(
            task=name if len(by_task) == 1 else f"{name}_{task}",
            metrics={METRIC: fmean(sample.scores[METRIC] for sample in samples)},
            samples=tuple(sorted(samples, key=lambda sample: sample.doc_id)),
            original=max(questions.benchmark.sizes.get(task, 0), len(samples)),
        )
        for task, samples in by_task.items()
    ]
    return write_log(out / FOLDER, str(config["model"]), tasks, config, started=started, ended=ended)


def _sample(questions: BenchmarkQuestions, item: BenchmarkItem, doc_id: int, row: EvaluationRow) -> LoggedSample:
    return LoggedSample(
        doc_id=doc_id,
        target=questions.benchmark.write_answer(item, item.gold),
        input=questions.benchmark.prompt(item),
        response=row.text,
        scores={METRIC: row.score},
        doc={name: value for name, value in asdict(item).items() if name != "extra"},
        cluster=item.cluster,
    )
