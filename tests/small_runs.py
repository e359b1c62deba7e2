"""A small dataset and a model of a few thousand weights that can read it, as several tests need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from temporay.models.tiny import TinyShape, build
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import open_source
from temporay.operators.dataset.shards import DRAWN_FOLDER, RECIPE_FILE, recipe_json, write_index, write_shard
from temporay.operators.files import write_json

CANVAS = Canvas(
    width=32, height=32, fps=4.0, num_frames=(6, 8), num_scenes=(2, 2), frames_per_scene=(2, 2), jitter="none"
)
SHAPE = TinyShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)


def write_dataset(folder: Path, **changes: Any) -> Path:
    """Clips of 32 px of drawn motion, in shards like those of ``temporay generate``."""
    settings = {"tasks": ("motion_direction",), "num_samples": 8, "canvas": CANVAS, "instruct": False, **changes}
    return write_recipe(Recipe(**settings), folder)


def write_recipe(recipe: Recipe, folder: Path) -> Path:
    """All shards of a recipe and its index, without Ray."""
    folder.mkdir(parents=True, exist_ok=True)
    source = open_source(recipe, folder / DRAWN_FOLDER)
    identity = recipe_json(recipe, source)
    write_json(folder / RECIPE_FILE, identity)
    for shard in range(recipe.num_shards):
        write_shard(recipe, source, identity["recipe_hash"], shard, folder)
    write_index(recipe, folder)
    return folder


def write_model(data: Path, out: Path) -> Path:
    """Random weights, and a tokenizer made of the dataset's own targets."""
    dataset = Dataset.open(data)
    build(out, [dataset.sample(i).target for i in range(len(dataset))] * 5, SHAPE, seed=0)
    return out
