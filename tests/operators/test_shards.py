from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from operators.card import write_card
from operators.errors import UserError
from operators.recipe import CocoPaths, Recipe, make_sample_at, open_source
from operators.shards import (
    DEAD_LETTER_FILE,
    RECIPE_FILE,
    ROW_SCHEMA,
    Dataset,
    marker_path,
    read_marker,
    read_recipe,
    recipe_json,
    shard_name,
    write_index,
    write_json,
    write_shard,
)
from operators.sources.drawn_scenes import DrawnScenes, write_drawn_coco


def make(recipe: Recipe, folder: Path, shards: list[int] | None = None) -> Dataset:
    folder.mkdir(exist_ok=True)
    source = open_source(recipe, folder)
    described = recipe_json(recipe, source)
    write_json(folder / RECIPE_FILE, described)
    for shard in shards or range(recipe.num_shards):
        write_shard(recipe, source, described["recipe_hash"], shard, folder)
    write_index(recipe, folder)
    write_card(folder)
    return Dataset.open(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_is_written_is_read_back(recipe: Recipe, tmp_path: Path) -> None:
    dataset = make(recipe, tmp_path / "d")
    assert len(dataset) == 12 == len(dataset.rows)
    source = open_source(recipe, tmp_path)
    for i in (11, 0, 5):
        made = make_sample_at(recipe, source, i)
        assert made.frames_THWC is not None
        assert dataset.sample(i) == made.sample
        assert np.abs(dataset.frames(i).astype(int) - made.frames_THWC).mean() < 6
    assert [row["shard"] for row in dataset.rows] == [shard_name(n) for n in [0] * 5 + [1] * 5 + [2] * 2]


def test_a_virtual_dataset_holds_rows_only_and_shows_the_very_frames(recipe: Recipe, tmp_path: Path) -> None:
    virtual = recipe.model_copy(update={"storage": "virtual"})
    dataset = make(virtual, tmp_path / "v")
    with tarfile.open(tmp_path / "v" / shard_name(0)) as tar:
        assert {Path(name).suffix for name in tar.getnames()} == {".json"}
    for i in (0, 1, 11):
        made = make_sample_at(recipe, open_source(recipe, tmp_path), i)
        assert dataset.sample(i) == made.sample
        assert np.array_equal(dataset.frames(i), made.frames_THWC)


def test_the_bytes_do_not_depend_on_the_order_of_work_or_the_place_of_files(
    recipe: Recipe, drawn_coco: CocoPaths, tmp_path: Path
) -> None:
    assert drawn_coco.captions is not None and drawn_coco.images is not None
    make(recipe, tmp_path / "one")
    (tmp_path / "link").symlink_to(drawn_coco.images)
    moved = recipe.model_copy(update={"coco": CocoPaths(captions=drawn_coco.captions, images=tmp_path / "link")})
    make(moved, tmp_path / "other", [2, 0, 1])
    one, other = contents(tmp_path / "one"), contents(tmp_path / "other")
    assert {name for name in one if one[name] != other[name]} == {RECIPE_FILE}, "which names the place that was given"


def test_tar_members_carry_nothing_of_the_machine(recipe: Recipe, tmp_path: Path) -> None:
    make(recipe, tmp_path / "d")
    with tarfile.open(tmp_path / "d" / shard_name(0)) as tar:
        members = tar.getmembers()
    assert [Path(m.name).suffix for m in members] == [".mp4", ".json"] * 5
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
    assert all(m.name.count(".") == 1 and "/" not in m.name for m in members)


def test_every_row_has_exactly_the_columns_of_the_schema(recipe: Recipe, tmp_path: Path) -> None:
    make(recipe, tmp_path / "d")
    with tarfile.open(tmp_path / "d" / shard_name(1)) as tar:
        for member in tar:
            if member.name.endswith(".json"):
                file = tar.extractfile(member)
                assert file is not None
                assert list(json.load(file)) == ROW_SCHEMA.names
    table = pq.read_table(tmp_path / "d" / "metadata.parquet")
    assert table.column_names == [*ROW_SCHEMA.names, "shard", "offset", "nbytes"]
    assert sum(column.null_count for column in table.columns) == 0


def test_a_reader_pickles_as_its_path(recipe: Recipe, tmp_path: Path) -> None:
    dataset = make(recipe, tmp_path / "d")
    dataset.frames(0)
    data = pickle.dumps(dataset)
    assert len(data) < 500
    again = pickle.loads(data)
    assert again.rows == dataset.rows and np.array_equal(again.frames(3), dataset.frames(3))


def test_the_recipe_is_read_back(recipe: Recipe, tmp_path: Path) -> None:
    assert make(recipe, tmp_path / "d").recipe == recipe
    assert read_recipe(tmp_path / "d") == recipe


def test_broken_images_drop_their_samples_into_the_dead_letters(recipe: Recipe, tmp_path: Path) -> None:
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=1))
    for path in sorted(images.iterdir())[:3]:
        path.write_bytes(path.read_bytes()[:100])
    sorted(images.iterdir())[3].unlink()
    broken = recipe.model_copy(
        update={"coco": CocoPaths(captions=captions, images=images), "num_samples": 40, "test_fraction": 0.0}
    )
    dataset = make(broken, tmp_path / "d")
    dead = pq.read_table(tmp_path / "d" / DEAD_LETTER_FILE).to_pylist()
    assert 0 < len(dead) == 40 - len(dataset)
    assert {letter["reason"] for letter in dead} == {"image_corrupt", "image_missing"}
    assert {json.loads(letter["address_json"])["task"] for letter in dead} == {"first_last"}
    counted = [read_marker(tmp_path / "d", shard) for shard in range(broken.num_shards)]
    assert sum(n for m in counted if m for k, n in m.counts.items() if k.startswith("dropped_")) == len(dead)
    assert "dead_letter.parquet" in (tmp_path / "d" / "README.md").read_text()


def test_a_dataset_without_a_single_sample_is_an_error(recipe: Recipe, tmp_path: Path) -> None:
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=1))
    for path in images.iterdir():
        path.write_bytes(b"")
    coco = CocoPaths(captions=captions, images=images)
    with pytest.raises(UserError, match=r"no sample could be made .image_corrupt: 12"):
        make(recipe.model_copy(update={"coco": coco, "tasks": ("first_last",)}), tmp_path / "d")


def test_what_is_not_a_finished_dataset_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a dataset of temporay"):
        Dataset.open(tmp_path)
    make(recipe, tmp_path / "d")
    (tmp_path / "d" / "metadata.parquet").unlink()
    with pytest.raises(UserError, match="is not finished"):
        Dataset.open(tmp_path / "d")


def test_a_shard_that_is_not_what_its_marker_says_is_named(recipe: Recipe, tmp_path: Path) -> None:
    make(recipe, tmp_path / "d")
    path = tmp_path / "d" / shard_name(1)
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(UserError, match=r"shard-000001\.tar is not what its marker says"):
        write_index(recipe, tmp_path / "d")
    marker_path(tmp_path / "d", 1).unlink()
    with pytest.raises(ValueError, match="1 of 3 shards have no marker"):
        write_index(recipe, tmp_path / "d")


def test_a_shard_that_fails_leaves_neither_file_nor_marker(recipe: Recipe, tmp_path: Path) -> None:
    source = open_source(recipe, tmp_path)
    (tmp_path / shard_name(0)).mkdir()
    with pytest.raises(UserError, match=r"cannot write .*shard-000000\.tar"):
        write_shard(recipe, source, "hash", 0, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [shard_name(0)]


def test_virtual_frames_are_refused_when_the_images_have_changed(recipe: Recipe, tmp_path: Path) -> None:
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=2))
    coco = CocoPaths(captions=captions, images=images)
    dataset = make(recipe.model_copy(update={"coco": coco, "storage": "virtual"}), tmp_path / "v")
    captions.write_text(captions.read_text().replace("A red circle.", "A red ball."))
    with pytest.raises(UserError, match="have changed since"):
        dataset.frames(0)


FOREIGN_READERS = """
import hashlib, json, sys
import datasets, webdataset
cache, folder, *shards = sys.argv[1:]
loaded = datasets.load_dataset("webdataset", data_files=shards, split="train", cache_dir=cache)
by_card = datasets.load_dataset(folder, split="train", cache_dir=cache)
assert by_card.features == loaded.features, by_card.features
loaded = loaded.cast_column("mp4", datasets.Video(decode=False))
streamed = webdataset.WebDataset(shards, shardshuffle=False)
found = {
    "datasets": [(row["json"], hashlib.sha256(row["mp4"]["bytes"]).hexdigest()) for row in loaded],
    "webdataset": [(json.loads(row["json"]), hashlib.sha256(row["mp4"]).hexdigest()) for row in streamed],
}
print(json.dumps(found))
"""


def test_other_readers_give_the_same_rows(recipe: Recipe, tmp_path: Path) -> None:
    dataset = make(recipe, tmp_path / "d")
    shards = [str(tmp_path / "d" / shard_name(n)) for n in range(3)]
    # in a process of its own: webdataset leaves its files to the garbage collector, which is an error here
    command = [sys.executable, "-c", FOREIGN_READERS, str(tmp_path / "cache"), str(tmp_path / "d"), *shards]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rows = [{name: row[name] for name in ROW_SCHEMA.names} for row in dataset.rows]
    clips = [hashlib.sha256(dataset.clip_bytes(i)).hexdigest() for i in range(len(dataset))]
    ours = [[row, clip] for row, clip in zip(rows, clips, strict=True)]
    assert found["datasets"] == ours
    assert found["webdataset"] == ours
