from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from operators.errors import UserError
from operators.recipe import Recipe, open_source
from operators.shards import RECIPE_FILE, Dataset, recipe_json, write_index, write_json, write_shard
from workflows import preview


@pytest.fixture
def dataset(recipe: Recipe, tmp_path: Path) -> Dataset:
    folder = tmp_path / "data"
    folder.mkdir()
    source = open_source(recipe, folder)
    described = recipe_json(recipe, source)
    write_json(folder / RECIPE_FILE, described)
    for shard in range(recipe.num_shards):
        write_shard(recipe, source, described["recipe_hash"], shard, folder)
    write_index(recipe, folder)
    return Dataset.open(folder)


def test_page_and_picture_show_the_first_samples_of_every_task(dataset: Dataset, tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "picture.anything"
    preview.main([str(dataset.path), "--per-task", "2", "--out", str(page), "--picture", str(picture)])
    text = page.read_text()
    for i in range(len(dataset)):
        assert (dataset.sample(i).key in text) == (i < 4)
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.height > 600


def test_without_a_picture_none_is_written(dataset: Dataset, tmp_path: Path) -> None:
    preview.main([str(dataset.path), "--out", str(tmp_path / "page.html")])
    assert not list(tmp_path.glob("*.png"))


def test_what_cannot_be_read_or_written_is_the_users_to_mend(dataset: Dataset, tmp_path: Path) -> None:
    page = ["--out", str(tmp_path / "page.html")]
    for option in ("--out", "--picture"):
        with pytest.raises(UserError, match=f"cannot write .*; give another {option}"):
            preview.main([str(dataset.path), *page, option, str(tmp_path / "nowhere" / "x")])
    with pytest.raises(UserError, match="not a dataset"):
        preview.main([str(tmp_path), *page])
    with (dataset.path / "shard-000000.tar").open("r+b") as file:
        file.seek(dataset.rows[0]["offset"])
        file.write(bytes(2000))
    with pytest.raises(UserError, match="make the dataset again"):
        preview.main([str(dataset.path), *page, "--picture", str(tmp_path / "x.png")])
    assert 'class="bad">clip_' in (tmp_path / "page.html").read_text()
