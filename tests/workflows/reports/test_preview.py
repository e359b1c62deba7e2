from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.shards import (
    DEAD_LETTER_FILE,
    DEAD_LETTER_SCHEMA,
    RECIPE_FILE,
)
from temporay.operators.errors import UserError
from temporay.operators.files import write_json
from temporay.operators.pixels.clip import decode
from temporay.workflows.__main__ import dispatch

from tests.small_data import write_recipe


@pytest.fixture
def dataset(recipe: Recipe, tmp_path: Path) -> Dataset:
    return write_recipe(recipe, tmp_path / "data")


def test_page_and_picture_show_the_first_samples_of_every_task(dataset: Dataset, tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "picture.anything"
    dispatch(["preview", str(dataset.path), "--per-task", "2", "--out", str(page), "--picture", str(picture)])
    text = page.read_text()
    for i in range(len(dataset)):
        assert (dataset.sample(i).key in text) == (i < 4)
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.height > 600


def test_a_pair_is_one_card_with_both_clips_and_their_tracks(recipe: Recipe, tmp_path: Path) -> None:
    twins = recipe.model_copy(update={"twins": True, "storage": "virtual", "style": "detailed"})
    dataset = write_recipe(twins, tmp_path / "twins")
    dispatch(["preview", str(dataset.path), "--per-task", "3", "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text()
    assert text.count("<article") == text.count('data-status="pair"') == 4  # two whole pairs of each task
    clips = [base64.b64decode(data) for data in re.findall(r'<script type="text/plain">([^<]+)', text)]
    assert [len(decode(clip)) for clip in clips[:2]] == [dataset.sample(i).clip.num_frames for i in (0, 1)]
    overlays = [json.loads(data) for data in re.findall(r'<script type="application/json">([^<]+)', text)]
    first, twin = (overlay["tracks"][-1]["xy"] for overlay in overlays[:2])
    assert first != twin and len(first) == len(twin) == dataset.sample(0).clip.num_frames
    assert "No tracks" not in text and "not in the log" not in text and "claims, all in the log" in text


def test_dead_letters_are_shown_with_their_reasons(dataset: Dataset, tmp_path: Path) -> None:
    address = json.dumps({"task": "first_last", "level": 1})
    letters = [{"id": f"k{n}", "reason": "clip_dull", "detail": "why", "address_json": address} for n in range(5)]
    pq.write_table(pa.Table.from_pylist(letters, schema=DEAD_LETTER_SCHEMA), dataset.path / DEAD_LETTER_FILE)
    dispatch(["preview", str(dataset.path), "--per-task", "3", "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text()
    assert text.count('data-status="dead"') == 3 and '<b class="bad">clip_dull</b> why' in text


def test_without_its_images_a_dataset_is_shown_without_tracks(recipe: Recipe, tmp_path: Path) -> None:
    nowhere = CocoPaths(captions=tmp_path / "captions.json", images=tmp_path)
    dataset = write_recipe(recipe, tmp_path / "data")
    described = json.loads((dataset.path / RECIPE_FILE).read_text())
    write_json(dataset.path / RECIPE_FILE, {**described, "coco": json.loads(nowhere.model_dump_json())})
    dispatch(["preview", str(dataset.path), "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text()
    assert text.count("No tracks:") == 12 and "captions.json" in text


def test_without_a_picture_none_is_written(dataset: Dataset, tmp_path: Path) -> None:
    dispatch(["preview", str(dataset.path), "--out", str(tmp_path / "page.html")])
    assert not list(tmp_path.glob("*.png"))


def test_unreadable_and_unwritable_files_are_user_errors(dataset: Dataset, tmp_path: Path) -> None:
    page = ["--out", str(tmp_path / "page.html")]
    for option in ("--out", "--picture"):
        with pytest.raises(UserError, match=f"cannot write .*; give another {option}"):
            dispatch(["preview", str(dataset.path), *page, option, str(tmp_path / "nowhere" / "x")])
    with pytest.raises(UserError, match="not a dataset"):
        dispatch(["preview", str(tmp_path), *page])
    with (dataset.path / "shard-000000.tar").open("r+b") as file:
        file.seek(dataset.rows[0]["offset"])
        file.write(bytes(2000))
    with pytest.raises(UserError, match="make the dataset again"):
        dispatch(["preview", str(dataset.path), *page, "--picture", str(tmp_path / "x.png")])
    assert 'class="bad">clip_' in (tmp_path / "page.html").read_text()
