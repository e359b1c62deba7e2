from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from temporay.operators.dataset.card import write_card
from temporay.operators.dataset.lint import Problem, lint_index, lint_shard
from temporay.operators.dataset.markers import marker_path, read_marker, shard_name
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.shards import (
    METADATA_FILE,
    METADATA_SCHEMA,
    StoredSample,
    read_samples,
    write_index,
    write_samples,
)
from temporay.operators.records import ANSWER_OPEN, THINK_OPEN

from tests.small_data import write_recipe


def make(recipe: Recipe, folder: Path) -> Dataset:
    dataset = write_recipe(recipe, folder)
    write_card(folder)
    return dataset


def lint(folder: Path) -> list[Problem]:
    dataset = Dataset.open(folder)
    found = list(lint_index(dataset))
    return found + [problem for n in range(dataset.recipe.num_shards) for problem in lint_shard(folder, n)]


def rewritten(dataset: Dataset, change: Callable[[StoredSample], StoredSample]) -> Path:
    """Change one sample of the first shard; renew checksum, marker and index, so that only its content is wrong."""
    stats = read_marker(dataset.path, 0)
    assert stats is not None
    entries = list(read_samples(dataset.path, stats))
    entries[0] = change(entries[0])
    write_samples(entries, stats.recipe_hash, 0, dataset.path)
    write_index(dataset.recipe, dataset.path)
    return dataset.path


def with_row(**cells: Any) -> Callable[[StoredSample], StoredSample]:
    def change(entry: StoredSample) -> StoredSample:
        row = {**json.loads(entry.files["json"]), **cells}
        return StoredSample(files={**entry.files, "json": json.dumps(row).encode()}, record=entry.record)

    return change


@pytest.mark.parametrize(
    "change", [{}, {"twins": True}, {"storage": "virtual"}, {"style": "detailed"}, {"style": "answer_only"}]
)
def test_a_sound_dataset_has_no_problem(recipe: Recipe, tmp_path: Path, change: dict[str, Any]) -> None:
    dataset = make(recipe.model_copy(update={**change, "num_samples": 13}), tmp_path / "d")
    assert lint(tmp_path / "d") == []
    sample, is_direct = dataset.sample(0), change.get("style") == "answer_only"
    assert (sample.rationale == "") == is_direct
    assert sample.target.startswith(ANSWER_OPEN if is_direct else THINK_OPEN)
    assert dataset.recipe.instruction.startswith("Answer with" if is_direct else "Think")


def test_a_wrong_answer_is_found_from_the_event_log(recipe: Recipe, tmp_path: Path) -> None:
    dataset = make(recipe, tmp_path / "d")
    right = dataset.sample(0).question
    wrong = (right.answer_index + 1) % len(right.options)
    folder = rewritten(dataset, with_row(answer="ABCD"[wrong], answer_text=right.options[wrong]))
    (problem,) = lint(folder)
    assert problem.where == dataset.rows[0]["id"]
    assert f"its answer is {'ABCD'[wrong]}, but its event log gives {right.letter}" in str(problem)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"question": "Really?"}, "its question is not the one"),
        ({"rationale": "Because."}, "its reasoning is not the one"),
        ({"num_frames": 99}, "its row says (99, 48, 48, 3)"),
        ({"task": "rotation"}, "its task 'rotation' is not one of the recipe"),
        ({"more": 1}, "other columns than the schema"),
    ],
)
def test_a_changed_row_is_found(recipe: Recipe, tmp_path: Path, cells: dict[str, Any], words: str) -> None:
    folder = rewritten(make(recipe, tmp_path / "d"), with_row(**cells))
    assert any(words in str(problem) for problem in lint(folder))


def test_a_clip_that_cannot_be_read_is_found(recipe: Recipe, tmp_path: Path) -> None:
    dataset = make(recipe, tmp_path / "d")
    folder = rewritten(
        dataset,
        lambda entry: StoredSample(files={**entry.files, "mp4": bytes(len(entry.files["mp4"]))}, record=entry.record),
    )
    (problem,) = lint(folder)
    assert "its clip cannot be shown: clip_undecodable" in str(problem)


def test_shards_that_differ_from_their_marker_are_found(recipe: Recipe, tmp_path: Path) -> None:
    dataset = make(recipe, tmp_path / "d")
    path = tmp_path / "d" / shard_name(1)
    data = bytearray(path.read_bytes())
    data[dataset.rows[5]["offset"] + dataset.rows[5]["nbytes"] - 1] ^= 1  # in the padding: the clip still decodes
    path.write_bytes(bytes(data))
    assert [str(problem) for problem in lint(tmp_path / "d")] == [
        "shard-000001.tar: its bytes are not those its marker was written for (SHA-256)"
    ]
    path.write_bytes(bytes(data)[:1000])
    assert any("has 1000 bytes, its marker says" in str(problem) for problem in lint(tmp_path / "d"))
    path.unlink()
    marker_path(tmp_path / "d", 2).unlink()
    assert [str(problem) for problem in lint(tmp_path / "d")] == [
        "shard-000001.tar: is missing, but its marker is there",
        "shard-000002.tar: has no marker; run the same generate command again",
    ]


def test_an_index_that_does_not_fit_its_shards_is_found(recipe: Recipe, tmp_path: Path) -> None:
    dataset = make(recipe.model_copy(update={"twins": True}), tmp_path / "d")
    rows = [dict(row) for row in dataset.rows]

    def found(*changed: dict[str, Any]) -> str:
        table = dataset.table.from_pylist(list(changed), schema=METADATA_SCHEMA)
        pq.write_table(table, tmp_path / "d" / METADATA_FILE)
        return "\n".join(map(str, lint(tmp_path / "d")))

    assert found(*rows) == ""
    assert "11 rows, but the recipe makes 12" in found(*rows[1:])
    assert "has only the twin of a pair" in found(*rows[1:])
    assert "holds other samples than metadata.parquet says" in found(*rows[1:])
    assert "2 samples have the id" in found(rows[0], *rows)
    assert "2 samples have the param_hash" in found({**rows[0], "param_hash": rows[1]["param_hash"]}, *rows[1:])
    other = f"{int(rows[0]['param_hash'], 16) + 1:016x}"
    assert "its parameters belong to split" in found({**rows[0], "param_hash": other}, *rows[1:])
    assert "its clip is not where" in found({**rows[0], "offset": 7}, *rows[1:])
    assert "have the same answer" in found({**rows[0], "answer": rows[1]["answer"]}, *rows[1:])
    assert "ask different questions" in found({**rows[0], "question": "?"}, *rows[1:])
    pq.write_table(dataset.table.drop_columns(["seed"]), tmp_path / "d" / METADATA_FILE)
    assert "columns are not those of the schema (seed)" in str(next(lint_index(Dataset.open(tmp_path / "d"))))
