"""Golden addresses: whatever an address generates stays what it is, until ``GENERATOR_VERSION`` rises.

``make golden`` adds new tasks to the file. It rewrites the others only after ``GENERATOR_VERSION`` rose.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.components import available, load
from temporay.operators.dataset.drawn_coco import DrawnScenes, write_drawn_coco
from temporay.operators.dataset.recipe import LEVELS, CocoPaths, Recipe
from temporay.operators.dataset.rows import to_row
from temporay.operators.dataset.samples import MadeSample, Source, make_unit, open_source
from temporay.operators.pixels.render import render
from temporay.operators.records import GENERATOR_VERSION, ScenePlan
from temporay.operators.sampling import EVERY_FRAME

PACKAGE = "temporay.operators.primitives"
GOLDEN = Path(__file__).parents[2] / "golden" / "addresses.json"
PAIRS_PER_CELL = 2  # a pair is a sample and its twin
CANVAS = Canvas(
    width=96,
    height=72,
    fps=8.0,
    num_frames=(14, 30),
    num_scenes=(2, 6),
    frames_per_scene=(1, 5),
    jitter="paper",
    sampling=EVERY_FRAME,
)
ENCODER = ".".join(map(str, av.library_versions["libavcodec"]))  # another encoder may give other bytes


def golden_recipe(task: str, level: int, coco: CocoPaths) -> Recipe:
    """All that can be drawn at once: photographs, cut-outs, every backdrop and look, drift, twins."""
    return Recipe(
        tasks=(task,),
        num_samples=2 * PAIRS_PER_CELL,
        seed=11,
        test_fraction=0.0,
        level=level,
        canvas=CANVAS,
        twins=True,
        backdrops=("flat", "gradient", "noise", "photo"),
        surfaces=("plain", "shaded", "textured", "outlined"),
        lightings=("dark", "light"),
        camera_drift=True,
        check_pixels=False,
        coco=coco,
    )


def write_source(folder: Path) -> CocoPaths:
    """Drawn scenes as a COCO folder, an object in the middle of each."""
    captions, images = write_drawn_coco(folder, DrawnScenes(side=48, variants=3))
    image_ids = [image["id"] for image in json.loads(captions.read_text())["images"]]
    square = [12, 12, 36, 12, 36, 36, 12, 36]
    instances = {
        "images": [{"id": image_id, "width": 48, "height": 48} for image_id in image_ids],
        "annotations": [
            {"image_id": image_id, "category_id": 1 + image_id % 5, "iscrowd": 0, "segmentation": [square]}
            for image_id in image_ids
        ],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(("dog", "bus", "kite", "chair", "cat"))],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(instances))
    return CocoPaths(captions=captions, images=images, instances=path)


def asked(made: MadeSample, recipe: Recipe) -> dict[str, Any]:
    """Return the row as it is stored, with the reasoning in both styles."""
    primitive = load(PACKAGE, made.plan.address.task)()
    question = primitive.ask(made.plan)
    styles = {style: primitive.explain(made.plan, question, style) for style in ("concise", "detailed")}
    row = to_row(made.sample, recipe_hash="", content_hash=made.content_hash, instruction=recipe.instruction)
    return {**row, **styles}


def digest(*blobs: bytes) -> str:
    state = hashlib.blake2b(digest_size=6)
    for blob in blobs:
        state.update(blob)
    return state.hexdigest()


def hashes(recipe: Recipe, source: Source, made: MadeSample) -> list[str]:
    """Of what is asked, of the frames, of the encoded clip."""
    assert made.clip is not None
    row = json.dumps(asked(made, recipe), sort_keys=True).encode()
    return [digest(row), digest(render(made.plan, source.load_image).tobytes()), digest(made.clip.data)]


def cell(task: str, level: int, coco: CocoPaths) -> list[list[str]]:
    """Return the hashes of one task at one level, sample after twin after sample."""
    recipe = golden_recipe(task, level, coco)
    source = open_source(recipe, Path())
    taken: set[str] = set()
    found = []
    for unit in range(PAIRS_PER_CELL):
        for made in make_unit(recipe, source, unit, taken):
            taken.add(made.content_hash)
            found.append(hashes(recipe, source, made))
    return found


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> CocoPaths:
    return write_source(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def golden() -> Mapping[str, Any]:
    return json.loads(GOLDEN.read_text())  # type: ignore[no-any-return]


def test_no_task_of_the_golden_file_is_gone(golden: Mapping[str, Any]) -> None:
    assert {name.partition("/")[0] for name in golden["addresses"]} <= set(available(PACKAGE))


@pytest.mark.parametrize("task", available(PACKAGE))
def test_addresses_generate_what_they_always_did(task: str, coco: CocoPaths, golden: Mapping[str, Any]) -> None:
    assert golden["generator_version"] == GENERATOR_VERSION, "write the golden file anew with the new version"
    if f"{task}/0" not in golden["addresses"]:
        pytest.skip(f"{task} is new; once it is settled, `make golden` adds its addresses")
    for level in range(LEVELS):
        expected = golden["addresses"][f"{task}/{level}"]
        found = cell(task, level, coco)
        if golden["encoder"] != ENCODER:  # frames are the truth; another build of the encoder packs them otherwise
            expected, found = ([one[:2] for one in many] for many in (expected, found))
        assert found == expected, f"{task} at level {level} changed; restore it or raise GENERATOR_VERSION"


def test_a_changed_word_pixel_or_setting_changes_a_hash(coco: CocoPaths) -> None:
    recipe = golden_recipe("motion_direction", 0, coco)
    source = open_source(recipe, Path())
    made = make_unit(recipe, source, 0)[0]
    before = hashes(recipe, source, made)
    worded = replace(made, sample=replace(made.sample, rationale=made.sample.rationale + " "))
    assert [a == b for a, b in zip(before, hashes(recipe, source, worded), strict=True)] == [False, True, True]
    plan: ScenePlan = replace(made.plan, tracks=(replace(made.plan.tracks[0], radius_px=9.0),))
    assert [a == b for a, b in zip(before, hashes(recipe, source, replace(made, plan=plan)), strict=True)][1] is False
    assert made.clip is not None
    packed = replace(made, clip=replace(made.clip, data=made.clip.data + b"\0"))
    assert [a == b for a, b in zip(before, hashes(recipe, source, packed), strict=True)] == [True, True, False]


def write_golden() -> None:
    """Add the tasks that the file does not have; write all anew when ``GENERATOR_VERSION`` rose."""
    stored = json.loads(GOLDEN.read_text())
    kept = stored["addresses"] if stored["generator_version"] == GENERATOR_VERSION else {}
    encoder = stored["encoder"] if kept else ENCODER
    with tempfile.TemporaryDirectory() as folder:
        coco = write_source(Path(folder))
        wanted = [(task, level) for task in available(PACKAGE) for level in range(LEVELS)]
        cells = {f"{task}/{level}": kept.get(f"{task}/{level}") or cell(task, level, coco) for task, level in wanted}
    rows = ",\n".join(f'  "{name}": {json.dumps(found)}' for name, found in cells.items())
    header = f'{{"generator_version": "{GENERATOR_VERSION}", "encoder": "{encoder}", "addresses": {{\n'
    GOLDEN.write_text(f"{header}{rows}\n}}}}\n")


if __name__ == "__main__":
    write_golden()
