"""Every primitive of the directory passes the audit of all three tiers, at small size, as one family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from temporay.operators.audit.certificate import attack_task, failures, judge_task
from temporay.operators.audit.thumbnails import Thumbnails, thumbnails_of
from temporay.operators.canvas import Canvas
from temporay.operators.components import available, load
from temporay.operators.dataset.rows import make_sample, to_row
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.clip import Codec, encode
from temporay.operators.pixels.render import render
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, EASY_SHAPES, paint
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import Address, Frames, Scene
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.seeding import rng_at

PACKAGE = "temporay.operators.primitives"
TASKS = available(PACKAGE)
NUM_PAIRS = 60
LEVEL = 1
NUM_COMPARISONS = 25 * len(TASKS)
SMALL = Canvas(
    width=48,
    height=48,
    fps=6.0,
    num_frames=(8, 14),
    num_scenes=(2, 3),
    frames_per_scene=(2, 4),
    jitter="smooth",
    sampling=EVERY_FRAME,
)
SCENES = tuple(
    Scene(image_id=i, path=f"{color} {shape}", captions=(f"a {color} {shape}",), license_id=None, source_url="")
    for i, (color, shape) in enumerate((color, shape) for color in EASY_COLORS for shape in EASY_SHAPES)
)


def load_scene(scene: Scene) -> Frames:
    image_HWC = np.full((60, 80, 3), 30, np.uint8)
    color, shape = scene.path.split()
    paint(image_HWC, shape, COLORS[color], (40.0, 30.0), 20.0)
    return image_HWC


def sampled(primitive: Primitive) -> tuple[list[Mapping[str, Any]], dict[str, Thumbnails]]:
    """Pairs of a sample and its twin; an address of which either is rejected is left out for both, as in a recipe."""
    rows: list[Mapping[str, Any]] = []
    thumbnails: dict[str, Thumbnails] = {}
    index = 0
    while len(rows) < 2 * NUM_PAIRS:
        index += 1
        chosen = rng_at("test scenes", primitive.task, index).permutation(len(SCENES))
        scenes = tuple(SCENES[i] for i in chosen[: primitive.num_distinct_scenes(SMALL) or len(SCENES)])
        address = Address(task=primitive.task, split="train", index=index, seed=11, level=LEVEL)
        try:
            plans = [primitive.plan(scenes, SMALL, address), primitive.plan(scenes, SMALL, replace(address, twin=True))]
        except SampleRejected:
            continue
        for plan in plans:
            frames_THWC = render(plan, load_scene)
            nbytes = len(encode(frames_THWC, plan.fps, Codec()).data)
            row = to_row(make_sample(primitive, plan, "concise"), recipe_hash="", content_hash="", instruction="")
            rows.append({**row, "nbytes": nbytes})
            thumbnails[row["id"]] = thumbnails_of(frames_THWC, row["id"])
    return rows, thumbnails


@pytest.mark.parametrize("task", TASKS)
def test_a_primitive_gives_nothing_away(task: str) -> None:
    primitive: Primitive = load(PACKAGE, task)()
    rows, thumbnails = sampled(primitive)
    attacked = attack_task(task, rows, thumbnails, primitive.inherent, only_gates=True)
    audited = judge_task(attacked, NUM_COMPARISONS)
    assert audited.passed, "\n".join(failures(audited))
    assert audited.num_stills == len(rows)
    assert {attack.tier for attack in audited.attacks} >= {"priors", "forest"}
