from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image
from temporay.operators.audit.certificate import audit
from temporay.operators.dataset.card import SHEET_FILE, write_card, write_sheet
from temporay.operators.dataset.markers import labels_checked, read_markers
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.rows import ROW_SCHEMA
from temporay.operators.dataset.shards import AUDIT_FILE
from temporay.operators.files import write_json

from tests.small_data import write_recipe


@pytest.fixture
def dataset(recipe: Recipe, tmp_path: Path) -> Dataset:
    virtual = recipe.model_copy(update={"storage": "virtual", "num_samples": 100, "samples_per_shard": 100})
    return write_recipe(virtual, tmp_path)


def test_the_front_matter_describes_every_column(dataset: Dataset) -> None:
    write_card(dataset.path)
    _, front, body = (dataset.path / "README.md").read_text().split("---\n", 2)
    matter = yaml.safe_load(front)
    columns = next(f for f in matter["dataset_info"]["features"] if f["name"] == "json")["struct"]
    assert [column["name"] for column in columns] == ROW_SCHEMA.names
    assert matter["configs"][0]["data_files"] == [{"split": "train", "path": "shard-*.tar"}]
    assert matter["size_categories"] == ["n<1K"]
    assert "# temporay, split train" in body


def test_the_card_counts_samples_and_names_sources(dataset: Dataset) -> None:
    write_card(dataset.path)
    text = (dataset.path / "README.md").read_text()
    assert "| first_last | 50 |" in text and "| motion_direction | 50 |" in text
    assert "no known copyright restrictions" in text and "Not audited yet" in text
    assert str(dataset.path) not in text


def test_the_card_shows_a_sample_of_every_task(dataset: Dataset) -> None:
    write_card(dataset.path)
    assert SHEET_FILE not in (dataset.path / "README.md").read_text()
    write_sheet(dataset.path)
    write_card(dataset.path)
    assert f"]({SHEET_FILE})" in (dataset.path / "README.md").read_text()
    with Image.open(dataset.path / SHEET_FILE) as sheet:
        colors = sheet.convert("RGB").getcolors(1 << 20)
    assert colors is not None and len(colors) > 100  # frames, not an empty page


def test_the_card_shows_the_audit(dataset: Dataset) -> None:
    write_json(dataset.path / AUDIT_FILE, audit(dataset.rows))
    write_card(dataset.path)
    text = (dataset.path / "README.md").read_text()
    assert "Not audited yet" not in text and "| passed |" in text


def test_the_card_says_which_labels_pixels_confirm(dataset: Dataset) -> None:
    write_card(dataset.path)
    text = (dataset.path / "README.md").read_text()
    checked = labels_checked(read_markers(dataset.path, 1))
    assert checked["motion_direction"] == {"agrees": 50, "differs": 0, "unsure": 0}
    decided = sum(n["agrees"] for n in checked.values())
    assert f"Labels checked from rendered pixels: {decided}, wrong: 0, not decidable: {100 - decided}." in text
    assert "| motion_direction | 50 | 0 | 0 |" in text


def test_every_photograph_is_named_with_its_license(dataset: Dataset) -> None:
    write_card(dataset.path)
    header, *lines = (dataset.path / "ATTRIBUTION.tsv").read_text().splitlines()
    assert header.split("\t") == ["image_id", "file_name", "license_id", "license", "source_url"]
    shown = {source["image_id"] for i in range(len(dataset)) for source in dataset.sample(i).sources}
    assert [int(line.split("\t")[0]) for line in lines] == sorted(shown)
    assert {line.split("\t")[3] for line in lines} == {"no known copyright restrictions"}


def test_the_card_says_how_many_images_the_licenses_left(recipe: Recipe, tmp_path: Path) -> None:
    captions = tmp_path / "captions.json"
    assert recipe.coco.captions is not None
    tree = json.loads(recipe.coco.captions.read_text())
    for image in tree["images"][:20]:
        image["license"] = 3
    captions.write_text(json.dumps(tree))
    coco = CocoPaths(captions=captions, images=recipe.coco.images, licenses=(7,))
    some = recipe.model_copy(update={"storage": "virtual", "coco": coco, "test_fraction": 0.0})
    write_recipe(some, tmp_path)
    write_card(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "may be shown: no known copyright restrictions. That left 52 images for this split." in text
    assert "| license: CC BY-NC-ND 2.0 | 20 |" in text
