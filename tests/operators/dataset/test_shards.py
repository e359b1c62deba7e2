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
from temporay.operators.dataset.card import write_card
from temporay.operators.dataset.content_hash import content_hash
from temporay.operators.dataset.drawn_coco import DrawnScenes, write_drawn_coco
from temporay.operators.dataset.markers import counts_of, marker_path, read_markers, shard_name
from temporay.operators.dataset.reader import Dataset, read_recipe
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.replacing import settle, to_retry
from temporay.operators.dataset.rows import ROW_SCHEMA
from temporay.operators.dataset.samples import make_sample_at, open_source, render_address
from temporay.operators.dataset.shards import DEAD_LETTER_FILE, RECIPE_FILE, recipe_json, write_index, write_shard
from temporay.operators.errors import UserError
from temporay.operators.files import write_json
from temporay.operators.pixels.clip import decode
from temporay.operators.records import ScenePlan


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
        assert made.clip is not None
        assert dataset.sample(i) == made.sample
        assert dataset.clip_bytes(i) == made.clip.data
        assert np.array_equal(dataset.frames(i), decode(made.clip.data))
    assert [row["shard"] for row in dataset.rows] == [shard_name(n) for n in [0] * 5 + [1] * 5 + [2] * 2]


def test_a_virtual_dataset_holds_rows_only_and_renders_the_same_frames(recipe: Recipe, tmp_path: Path) -> None:
    virtual = recipe.model_copy(update={"storage": "virtual"})
    dataset = make(virtual, tmp_path / "v")
    with tarfile.open(tmp_path / "v" / shard_name(0)) as tar:
        assert {Path(name).suffix for name in tar.getnames()} == {".json"}
    for i in (0, 1, 11):
        source = open_source(recipe, tmp_path)
        made = make_sample_at(recipe, source, i)
        assert dataset.sample(i) == made.sample
        assert np.array_equal(dataset.frames(i), render_address(recipe, source, made.sample.address))


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


def test_tar_members_say_nothing_about_the_machine(recipe: Recipe, tmp_path: Path) -> None:
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


@pytest.fixture
def breakable(recipe: Recipe, tmp_path: Path) -> Recipe:
    """Forty samples over images of their own, so that some can be broken."""
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=1))
    coco = CocoPaths(captions=captions, images=images)
    return recipe.model_copy(update={"coco": coco, "num_samples": 40, "samples_per_shard": 9, "test_fraction": 0.0})


def break_images(recipe: Recipe) -> dict[Path, bytes]:
    """Cuts two images short and removes one; gives back what they were."""
    assert recipe.coco.images is not None
    some = sorted(recipe.coco.images.iterdir())[:3]
    were = {path: path.read_bytes() for path in some}
    for path in some[:2]:
        path.write_bytes(were[path][:100])
    some[2].unlink()
    return were


@pytest.mark.parametrize("twins", [False, True])
def test_samples_with_broken_images_are_replaced_and_listed(breakable: Recipe, tmp_path: Path, twins: bool) -> None:
    broken = breakable.model_copy(update={"twins": twins})
    break_images(broken)
    dataset = make(broken, tmp_path / "d")
    assert len(dataset) == 40, "shards stay full"
    dead = pq.read_table(tmp_path / "d" / DEAD_LETTER_FILE).to_pylist()
    reasons = {letter["reason"].removeprefix("twin_") for letter in dead}
    assert reasons == {"image_corrupt", "image_missing"}
    assert {json.loads(letter["address_json"])["task"] for letter in dead} == {"first_last"}
    for letter in dead:
        assert dataset.rows[letter["sample_index"]]["id"] == letter["replaced_by"] != letter["id"]
    counts = counts_of(r for marker in read_markers(tmp_path / "d", broken.num_shards) for r in marker.samples)
    assert sum(n for name, n in counts.items() if "image_" in name) == len(dead)
    assert "dead_letter.parquet" in (tmp_path / "d" / "README.md").read_text()


@pytest.mark.parametrize("twins", [False, True])
def test_repaired_samples_take_their_place_back(breakable: Recipe, tmp_path: Path, twins: bool) -> None:
    recipe = breakable.model_copy(update={"twins": twins})
    make(recipe, tmp_path / "undisturbed")
    were = break_images(recipe)
    dataset = make(recipe, tmp_path / "d")
    untouched = {n: (tmp_path / "d" / shard_name(n)).stat().st_mtime_ns for n in range(recipe.num_shards)}
    again = {i for marker in read_markers(dataset.path, recipe.num_shards) for i in to_retry(marker)}
    assert settle(recipe, open_source(recipe, tmp_path), dataset.path, again) == 0, "they are still broken"
    assert {n: (tmp_path / "d" / shard_name(n)).stat().st_mtime_ns for n in untouched} == untouched
    for path, data in were.items():
        path.write_bytes(data)
    assert 0 < settle(recipe, open_source(recipe, tmp_path), dataset.path, again) < 40
    with pytest.raises(UserError, match="is not finished"):
        Dataset.open(dataset.path)
    write_index(recipe, dataset.path)
    write_card(dataset.path)
    assert contents(tmp_path / "d") == contents(tmp_path / "undisturbed")


def test_duplicates_are_replaced_as_if_made_one_after_the_other(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(plan: ScenePlan) -> str:
        """So few different parameter sets that many samples share one."""
        return f"{3 * (int(content_hash(plan), 16) % 40):016x}"  # all of split train

    monkeypatch.setattr("temporay.operators.dataset.samples.content_hash", coarse)
    few = recipe.model_copy(update={"num_samples": 24})
    source = open_source(few, tmp_path)
    taken: set[str] = set()
    wanted = []
    for i in range(24):
        made = make_sample_at(few, source, i, taken)
        taken.add(made.content_hash)
        wanted.append(made.sample)
    folder = tmp_path / "d"
    make(few, folder)
    dataset = Dataset.open(folder)
    assert len(set(dataset.table["param_hash"].to_pylist())) < 24, "shards know nothing of each other"
    changed = [i for i in range(24) if dataset.sample(i) != wanted[i]]
    assert len({i // few.samples_per_shard for i in changed}) > 1, "in several shards"
    assert settle(few, source, folder) == len(changed)
    write_index(few, folder)
    dataset = Dataset.open(folder)
    assert [dataset.sample(i) for i in range(24)] == wanted
    assert len(set(dataset.table["param_hash"].to_pylist())) == 24
    assert settle(few, source, folder) == 0
    written = contents(folder)
    marker_path(folder, 2).unlink()
    write_shard(few, source, dataset.recipe_hash, 2, folder)  # a shard made anew after the others were settled
    settle(few, source, folder)
    write_index(few, folder)
    assert {name for name, data in contents(folder).items() if written.get(name) != data} == set()


def test_a_dataset_of_broken_images_alone_is_an_error(breakable: Recipe, tmp_path: Path) -> None:
    assert breakable.coco.images is not None
    for path in breakable.coco.images.iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"gave no sample of first_last, most often for image_corrupt"):
        make(breakable, tmp_path / "d")


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
    with pytest.raises(ValueError, match=r"of 3 shards in .* has no marker"):
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
