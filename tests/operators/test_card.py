from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from operators.audit import audit
from operators.card import write_card
from operators.recipe import Recipe, open_source
from operators.shards import (
    AUDIT_FILE,
    RECIPE_FILE,
    ROW_SCHEMA,
    Dataset,
    recipe_json,
    write_index,
    write_json,
    write_shard,
)


@pytest.fixture
def dataset(recipe: Recipe, tmp_path: Path) -> Dataset:
    virtual = recipe.model_copy(update={"storage": "virtual", "num_samples": 100, "samples_per_shard": 100})
    source = open_source(virtual, tmp_path)
    described = recipe_json(virtual, source)
    write_json(tmp_path / RECIPE_FILE, described)
    write_shard(virtual, source, described["recipe_hash"], 0, tmp_path)
    write_index(virtual, tmp_path)
    return Dataset.open(tmp_path)


def test_the_front_matter_describes_every_column(dataset: Dataset) -> None:
    write_card(dataset.path)
    _, front, body = (dataset.path / "README.md").read_text().split("---\n", 2)
    matter = yaml.safe_load(front)
    columns = next(f for f in matter["dataset_info"]["features"] if f["name"] == "json")["struct"]
    assert [column["name"] for column in columns] == ROW_SCHEMA.names
    assert matter["configs"][0]["data_files"] == [{"split": "train", "path": "shard-*.tar"}]
    assert matter["size_categories"] == ["n<1K"]
    assert "# temporay, split train" in body


def test_the_card_says_how_many_of_what_and_from_where(dataset: Dataset) -> None:
    write_card(dataset.path)
    text = (dataset.path / "README.md").read_text()
    assert "| first_last | 50 |" in text and "| motion_direction | 50 |" in text
    assert "no known copyright restrictions" in text and "Not audited yet" in text
    assert str(dataset.path) not in text


def test_the_card_shows_the_audit(dataset: Dataset) -> None:
    write_json(dataset.path / AUDIT_FILE, audit(dataset.rows))
    write_card(dataset.path)
    text = (dataset.path / "README.md").read_text()
    assert "Not audited yet" not in text and "| passed |" in text
