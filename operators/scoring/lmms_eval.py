"""Results in the log layout of lmms-eval v0.7, written and read, so that results of both compare.

    FOLDER/<model>/20261130_210000_results.json             figures of every task
    FOLDER/<model>/20261130_210000_samples_<task>.jsonl     what the model wrote, one line per question

``<model>`` is made of the last two parts of the model's path. A question is known by its place in its task
(``doc_id``), because the hash of a question (``doc_hash``) also covers fields that only one of the two tools has.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from temporay.operators.errors import UserError
from temporay.operators.files import read_json, write_json, write_text
from temporay.operators.scoring.clustered import clustered_error

UNKNOWN_ERROR = "N/A"  # lmms-eval's word for an error that is not known
FILTER = "none"  # lmms-eval's name for replies taken as they are
OWN_FIELDS = ("doc_id", "target", "filtered_resps", "resps", "token_counts", "doc_hash", "input_media", "input")
_STAMP = re.compile(r"(?P<stamp>\d{8}_\d{6})_results\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSample:
    """One question of a task, and what the model wrote for it."""

    doc_id: int  # place in the task, from 0
    target: str  # the right answer, as text
    input: str  # the prompt
    response: str
    scores: Mapping[str, float]  # by metric; a metric that has no number for this question is left out
    doc: Mapping[str, Any]  # the question as published; empty when read, because it is not logged
    cluster: str = ""  # the video; "" when read


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedTask:
    """All of one task: its figures, and its questions in order."""

    task: str
    metrics: Mapping[str, float]  # over all questions
    samples: tuple[LoggedSample, ...]
    original: int  # questions that the task has; fewer may be logged


def model_folder(model: str) -> str:
    """Return the name of a model's folder: the last two parts of its path, joined by two underscores."""
    return re.sub(r'["<>:/|\\?*\[\]]+', "__", "/".join(model.rstrip("/").split("/")[-2:]))


def doc_hash(doc: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a question's indented JSON."""
    return hashlib.sha256(json.dumps(doc, indent=2, ensure_ascii=False).encode()).hexdigest()


def write_log(
    folder: Path,
    model: str,
    tasks: Sequence[LoggedTask],
    config: Mapping[str, Any],
    *,
    started: datetime,
    ended: datetime,
) -> Path:
    """Write the results of one model, samples first and figures last.

    Args:
        config: how the run was made, as JSON values.
        started: with its time zone; the names of the files begin with it.

    Returns:
        the file of figures.

    Raises:
        UserError: the folder cannot be written.
    """
    place = folder / model_folder(model)
    place.mkdir(parents=True, exist_ok=True)
    stamp = f"{started.astimezone(UTC):%Y%m%d_%H%M%S}"
    for task in tasks:
        lines = [json.dumps(_line(sample), ensure_ascii=False) + "\n" for sample in task.samples]
        write_text(place / f"{stamp}_samples_{task.task}.jsonl", "".join(lines))
    path = place / f"{stamp}_results.json"
    seconds = (ended - started).total_seconds()
    write_json(
        path,
        _results(model, tasks, config)
        | {
            "date": started.timestamp(),
            "start_time": started.timestamp(),
            "end_time": ended.timestamp(),
            "total_evaluation_time_seconds": str(seconds),
        },
    )
    return path


def read_log(path: Path) -> tuple[str, list[LoggedTask]]:
    """Read the results of one model: its name, and its tasks.

    Args:
        path: a file of figures, or a folder; the newest results below a folder are taken.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    advice = "give the folder that lmms-eval wrote with --log_samples, or its file *_results.json"
    found = [path] if path.is_file() else sorted(path.rglob("*_results.json"), key=lambda file: file.name)
    match = _STAMP.fullmatch(found[-1].name) if found else None
    if match is None:
        raise UserError(f"{path} has no results of lmms-eval; {advice}")
    results = read_json(found[-1], advice)
    tasks = [
        _read_task(found[-1].with_name(f"{match['stamp']}_samples_{task}.jsonl"), task, figures, results, advice)
        for task, figures in results.get("results", {}).items()
        if task not in results.get("group_subtasks", {}) or not results["group_subtasks"][task]
    ]
    return str(results.get("model_name", "")), tasks


def common_scores(first: LoggedTask, second: LoggedTask, metric: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the scores of both by question, for ``paired.compare_paired``.

    Raises:
        UserError: a question has another right answer in the other log, or one of the two has no such metric.
    """
    targets = {sample.doc_id: sample.target for sample in first.samples}
    for sample in second.samples:
        if targets.get(sample.doc_id, sample.target) != sample.target:
            raise UserError(
                f"question {sample.doc_id} has the answer {targets[sample.doc_id]!r} in {first.task} and "
                f"{sample.target!r} in {second.task}; compare two logs of the same task in the same release"
            )
    scores = []
    for log in (first, second):
        known = {str(sample.doc_id): sample.scores[metric] for sample in log.samples if metric in sample.scores}
        if not known:
            names = sorted({name for sample in log.samples for name in sample.scores})
            raise UserError(f"{log.task} has no scores called {metric!r} (it has: {', '.join(names) or 'none'})")
        scores.append(known)
    return scores[0], scores[1]


def _line(sample: LoggedSample) -> dict[str, Any]:
    """Return one line of samples. ``resps`` is left out, as it equals the filtered replies."""
    return {
        "doc_id": sample.doc_id,
        "target": sample.target,
        "filtered_resps": sample.response,
        "token_counts": [None],
        "doc_hash": doc_hash(sample.doc),
        "input": sample.input,
        **sample.scores,
    }


def _results(model: str, tasks: Sequence[LoggedTask], config: Mapping[str, Any]) -> dict[str, Any]:
    names = [task.task for task in tasks]
    hashes = {
        task.task: "".join(f"sample_{n}{doc_hash(sample.doc)}" for n, sample in enumerate(task.samples))
        for task in tasks
    }
    return {
        "results": {task.task: _figures(task) for task in tasks},
        "group_subtasks": {name: [] for name in names},
        "configs": {name: {"task": name} for name in names},
        "versions": dict.fromkeys(names, "Yaml"),
        "n-shot": dict.fromkeys(names, 0),
        "higher_is_better": {task.task: dict.fromkeys(task.metrics, True) for task in tasks},
        "n-samples": {task.task: {"original": task.original, "effective": len(task.samples)} for task in tasks},
        "config": dict(config),
        "task_hashes": {name: hashlib.sha256(joined.encode()).hexdigest() for name, joined in hashes.items()},
        "model_source": "temporay",
        "model_name": model,
        "model_name_sanitized": model_folder(model),
    }


def _figures(task: LoggedTask) -> dict[str, Any]:
    """Return the figures of one task: every metric, with both errors where it is a mean of scores."""
    figures: dict[str, Any] = {"alias": task.task, "samples": len(task.samples)}
    for metric, value in task.metrics.items():
        scored = [(sample.scores[metric], sample.cluster) for sample in task.samples if metric in sample.scores]
        values = [score for score, _ in scored]
        independent = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        clusters = [cluster for _, cluster in scored]
        clustered = clustered_error(values, clusters) if len(set(clusters)) > 1 else math.nan
        figures |= {
            f"{metric},{FILTER}": value,
            f"{metric}_stderr,{FILTER}": _known(independent),
            f"{metric}_stderr_clt,{FILTER}": _known(independent),
            f"{metric}_stderr_clustered,{FILTER}": _known(clustered),
        }
    return figures


def _known(error: float) -> float | str:
    return UNKNOWN_ERROR if math.isnan(error) else error


def _read_task(path: Path, task: str, figures: Any, results: Mapping[str, Any], advice: str) -> LoggedTask:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        samples = tuple(_sample(line) for line in lines)
        metrics = {
            name.partition(",")[0]: float(value)
            for name, value in figures.items()
            if "," in name and "_stderr" not in name and isinstance(value, int | float)
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({type(error).__name__}: {error}); {advice}") from error
    counted = results.get("n-samples", {}).get(task, {})
    return LoggedTask(task=task, metrics=metrics, samples=samples, original=counted.get("original", len(samples)))


def _sample(line: Mapping[str, Any]) -> LoggedSample:
    replies = line["filtered_resps"]
    while isinstance(replies, list):
        replies = replies[0] if replies else ""
    scores = {name: _score(value) for name, value in line.items() if name not in OWN_FIELDS}
    return LoggedSample(
        doc_id=int(line["doc_id"]),
        target=str(line["target"]),
        input=str(line.get("input", "")),
        response=str(replies),
        scores={name: score for name, score in scores.items() if score is not None},
        doc={},
    )


def _score(value: Any) -> float | None:
    """Return the number of one metric: itself, or the field ``score`` of a dict."""
    value = value.get("score") if isinstance(value, Mapping) else value
    return float(value) if isinstance(value, bool | int | float) else None
