"""The log layout of lmms-eval: written, read again, and a log of lmms-eval's own form read and compared."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.errors import UserError
from temporay.operators.scoring.clustered import clustered_error
from temporay.operators.scoring.lmms_eval import (
    LoggedSample,
    LoggedTask,
    common_scores,
    model_folder,
    read_log,
    write_log,
)
from temporay.operators.scoring.paired import compare_paired

STARTED = datetime(2026, 11, 30, 21, 0, 5, tzinfo=UTC)
SCORES = (1.0, 1.0, 0.0, 0.0)


def task(scores: tuple[float, ...] = SCORES, name: str = "tvbench") -> LoggedTask:
    samples = [
        LoggedSample(
            doc_id=n,
            target="AB"[n % 2],
            input=f"Which {n}?",
            response="(A) é",
            scores={"accuracy": score},
            doc={"question": n},
            cluster=str(n // 2),
        )
        for n, score in enumerate(scores)
    ]
    return LoggedTask(task=name, metrics={"accuracy": 0.5}, samples=tuple(samples), original=10)


def written(folder: Path) -> Path:
    ended = STARTED + timedelta(seconds=90)
    return write_log(folder, "/models/lab/tiny-8b/", [task()], {"batch_size": 1}, started=STARTED, ended=ended)


def test_files_and_names(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert path == tmp_path / "lab__tiny-8b/20261130_210005_results.json"
    assert model_folder("tiny") == "tiny"
    lines = [
        json.loads(line) for line in (path.parent / "20261130_210005_samples_tvbench.jsonl").read_text().splitlines()
    ]
    assert lines[1] == {
        "doc_id": 1,
        "target": "B",
        "filtered_resps": "(A) é",
        "token_counts": [None],
        "doc_hash": hashlib.sha256(b'{\n  "question": 1\n}').hexdigest(),
        "input": "Which 1?",
        "accuracy": 1.0,
    }


def test_figures(tmp_path: Path) -> None:
    results = json.loads(written(tmp_path).read_text())
    figures = results["results"]["tvbench"]
    assert (figures["alias"], figures["samples"], figures["accuracy,none"]) == ("tvbench", 4, 0.5)
    assert figures["accuracy_stderr_clt,none"] == pytest.approx(0.288675, abs=1e-6)
    assert figures["accuracy_stderr_clustered,none"] == clustered_error(SCORES, list("0011"))
    assert results["n-samples"] == {"tvbench": {"original": 10, "effective": 4}}
    hashes = [hashlib.sha256(f'{{\n  "question": {n}\n}}'.encode()).hexdigest() for n in range(4)]
    joined = "".join(f"sample_{n}{one}" for n, one in enumerate(hashes))
    assert results["task_hashes"] == {"tvbench": hashlib.sha256(joined.encode()).hexdigest()}
    assert (results["config"], results["total_evaluation_time_seconds"]) == ({"batch_size": 1}, "90.0")


def test_an_error_that_is_not_known_has_their_word(tmp_path: Path) -> None:
    one = task((1.0,))
    results = json.loads(write_log(tmp_path, "m", [one], {}, started=STARTED, ended=STARTED).read_text())
    assert results["results"]["tvbench"]["accuracy_stderr,none"] == "N/A"
    assert results["results"]["tvbench"]["accuracy_stderr_clustered,none"] == "N/A"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    for place in (tmp_path, path.parent, path):
        model, (found,) = read_log(place)
        assert (model, found.task, found.metrics, found.original) == (
            "/models/lab/tiny-8b/",
            "tvbench",
            {"accuracy": 0.5},
            10,
        )
        assert [sample.scores["accuracy"] for sample in found.samples] == list(SCORES)
        assert (found.samples[1].response, found.samples[1].target) == ("(A) é", "B")


def write_theirs(folder: Path, scores: list[Any]) -> None:
    """Write as lmms-eval does: dicts as values, nested replies, a group with sub-tasks, errors that are not known."""
    place = folder / "lab__other"
    place.mkdir(parents=True)
    figures = {"alias": "tvbench", "accuracy,none": 0.75, "accuracy_stderr,none": "N/A", "samples": 4}
    results = {
        "results": {"all": {"alias": "all"}, "tvbench": figures},
        "group_subtasks": {"all": ["tvbench"], "tvbench": []},
    }
    (place / "20260101_000000_results.json").write_text(json.dumps(results | {"model_name": "lab/other"}))
    lines = [
        {
            "doc_id": n,
            "target": "AB"[n % 2],
            "filtered_resps": [["B"]],
            "resps": [["B "]],
            "doc_hash": "x",
            "input": "?",
        }
        | {"accuracy": score, "submission": {"pred": "B"}}
        for n, score in enumerate(scores)
    ]
    (place / "20260101_000000_samples_tvbench.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_log_of_lmms_eval_is_compared_with_ours(tmp_path: Path) -> None:
    written(tmp_path / "ours")
    write_theirs(tmp_path / "theirs", [{"score": 1, "pred": "B"}, False, 1, 1.0])
    _, (ours,) = read_log(tmp_path / "ours")
    model, (theirs,) = read_log(tmp_path / "theirs")
    assert (model, theirs.metrics, theirs.samples[0].response) == ("lab/other", {"accuracy": 0.75}, "B")
    found = compare_paired(*common_scores(ours, theirs, "accuracy"))
    assert (found.wins, found.losses, found.difference.value, found.p_value) == (1, 2, -0.25, 1.0)


def test_logs_that_cannot_be_compared(tmp_path: Path) -> None:
    ours = task()
    with pytest.raises(UserError, match=r"no scores called 'iou' .it has: accuracy"):
        common_scores(ours, ours, "iou")
    other = [
        LoggedSample(doc_id=n, target="C", input="", response="", scores={"accuracy": 1.0}, doc={}) for n in range(4)
    ]
    with pytest.raises(UserError, match="question 0 has the answer 'A' in tvbench and 'C' in other"):
        common_scores(ours, LoggedTask(task="other", metrics={}, samples=tuple(other), original=4), "accuracy")


def test_no_log_or_a_damaged_one_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no results of lmms-eval"):
        read_log(tmp_path)
    path = written(tmp_path)
    samples = path.with_name("20261130_210005_samples_tvbench.jsonl")
    for damage in ("{", "[1]", '{"doc_id": 0}'):
        samples.write_text(damage)
        with pytest.raises(UserError, match="cannot be read"):
            read_log(tmp_path)
    samples.unlink()
    with pytest.raises(UserError, match=r"cannot be read .*--log_samples"):
        read_log(tmp_path)
