"""Datasets as ``temporay generate`` writes them, without Ray."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.drawn_coco import write_drawn_coco
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import open_source
from temporay.operators.dataset.shards import (
    DRAWN_FOLDER,
    METADATA_FILE,
    RECIPE_FILE,
    recipe_json,
    write_index,
    write_shard,
)
from temporay.operators.files import write_json
from temporay.operators.sampling import EVERY_FRAME

CANVAS = Canvas(
    width=32,
    height=32,
    fps=4.0,
    num_frames=(6, 8),
    num_scenes=(2, 2),
    frames_per_scene=(2, 2),
    jitter="none",
    sampling=EVERY_FRAME,
)


def write_dataset(folder: Path, **changes: Any) -> Path:
    """Write a small dataset of drawn motion with clips of 32 px; return its folder."""
    settings = {"tasks": ("motion_direction",), "num_samples": 8, "canvas": CANVAS, "instruct": False, **changes}
    return write_recipe(Recipe(**settings), folder).path


def renamed_copy(folder: Path, out: Path, split: str = "test") -> Path:
    """Copy a dataset under the name of another split: the same clips and questions count as other samples."""
    shutil.copytree(folder, out)
    index = out / METADATA_FILE
    table = pq.read_table(index)
    column = table.schema.get_field_index("split")
    pq.write_table(table.set_column(column, table.schema.field(column), [[split] * table.num_rows]), index)
    return out


def damage_clip(folder: Path, i: int) -> str:
    """Fill one clip of a dataset with zeros; return its name."""
    row = Dataset.open(folder).rows[i]
    with (folder / row["shard"]).open("r+b") as file:
        file.seek(row["offset"])
        file.write(bytes(row["nbytes"]))
    return str(row["id"])


def write_recipe(recipe: Recipe, folder: Path) -> Dataset:
    """Write all shards of a recipe and its index."""
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.shows_images and recipe.coco.captions is None:
        write_drawn_coco(folder / DRAWN_FOLDER, recipe.drawn)
    source = open_source(recipe, folder / DRAWN_FOLDER)
    described = recipe_json(recipe, source)
    write_json(folder / RECIPE_FILE, described)
    for shard in range(recipe.num_shards):
        write_shard(recipe, source, described["recipe_hash"], shard, folder)
    write_index(recipe, folder)
    return Dataset.open(folder)
