from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from temporay.operators.dataset.coco import CocoScenes
from temporay.operators.dataset.coco_instances import attach_instances
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.samples import make_sample_at, open_source
from temporay.operators.errors import UserError
from temporay.operators.records import Scene

SCENES = CocoScenes(
    scenes=tuple(Scene(image_id=i, path="", captions=("a",), license_id=4, source_url="") for i in (1, 2)),
    dropped={"empty_caption": 3},
)
CATEGORIES = [{"id": 1, "name": "Dog"}, {"id": 2, "name": "traffic light"}, {"id": 3, "name": 7}]


def box(left: float, top: float, width: float, height: float) -> list[float]:
    return [left, top, left + width, top, left + width, top + height, left, top + height]


def annotation(**changes: Any) -> dict[str, Any]:
    return {"image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [box(20, 20, 60, 40)], **changes}


def write(folder: Path, annotations: list[Any], **changes: Any) -> Path:
    images = [{"id": i, "width": 200, "height": 100} for i in (1, 2, 9)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES, **changes}))
    return path


def test_polygons_are_attached_in_shares_of_the_image(tmp_path: Path) -> None:
    path = write(tmp_path, [annotation(), annotation(image_id=2, category_id=2)])
    found = attach_instances(SCENES, path)
    (dog,), (light,) = (scene.instances for scene in found.scenes)
    assert (dog.category, light.category) == ("dog", "traffic light")
    assert dog.polygons == ((0.1, 0.2, 0.4, 0.2, 0.4, 0.6, 0.1, 0.6),)
    assert found.dropped == {"empty_caption": 3}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iscrowd": 1}, "instance_is_a_crowd"),
        ({"segmentation": {"counts": [1, 2], "size": [2, 2]}}, "instance_is_a_crowd"),
        ({"segmentation": [box(20, 20, 10, 8)]}, "instance_too_small"),
        ({"segmentation": [box(5, 5, 180, 80)]}, "instance_too_large"),
        ({"segmentation": [box(20, 20, 90, 20)]}, "instance_too_thin"),
        ({"segmentation": [box(0, 20, 60, 40)]}, "instance_at_border"),
        ({"segmentation": [box(150, 20, 50, 40)]}, "instance_at_border"),
        ({"image_id": 9}, "instance_of_unknown_image"),
        ({"image_id": [1]}, "malformed_instance"),
        ({"category_id": 3}, "malformed_instance"),
        ({"segmentation": []}, "malformed_instance"),
        ({"segmentation": [[1, 2, 3, 4]]}, "malformed_instance"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "malformed_instance"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "malformed_instance"),
    ],
)
def test_what_cannot_be_cut_out_is_counted_by_reason(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    found = attach_instances(SCENES, write(tmp_path, [annotation(), annotation(**changes)]))
    assert found.dropped == {"empty_caption": 3, reason: 1}
    assert [len(scene.instances) for scene in found.scenes] == [1, 0]


def test_broken_files_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read COCO instances .*nowhere\.json: No such file"):
        attach_instances(SCENES, tmp_path / "nowhere.json")
    path = write(tmp_path, [])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="is not valid JSON at character"):
        attach_instances(SCENES, path)
    contents: list[Any] = [{"images": [], "annotations": []}, [], {"images": 3, "annotations": [], "categories": []}]
    for content in contents:
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="holds no instances; give a COCO instances file"):
            attach_instances(SCENES, path)
    with pytest.raises(UserError, match=r"no object that can be cut out .*instance_of_unknown_image 1"):
        attach_instances(SCENES, write(tmp_path, [annotation(image_id=9)]))


def test_a_recipe_that_names_instances_shows_cut_outs_with_decoys(
    tmp_path: Path, recipe: Recipe, drawn_coco: CocoPaths
) -> None:
    assert drawn_coco.captions is not None
    images = json.loads(drawn_coco.captions.read_text())["images"]
    path = tmp_path / "instances.json"
    categories = [{"id": i, "name": name} for i, name in enumerate(("dog", "cat", "cup", "bus"))]
    annotations = [
        annotation(image_id=image["id"], category_id=i % 4, segmentation=[box(12, 12, 20, 16)])
        for i, image in enumerate(images)
    ]
    sizes = [{"id": image["id"], "width": 48, "height": 48} for image in images]
    path.write_text(json.dumps({"images": sizes, "annotations": annotations, "categories": categories}))
    paths = drawn_coco.model_copy(update={"instances": path})
    with_cutouts = recipe.model_copy(update={"tasks": ("motion_direction",), "coco": paths, "check_pixels": False})
    source, plain = (open_source(one, tmp_path) for one in (with_cutouts, recipe))
    assert source.fingerprint != plain.fingerprint
    made = [make_sample_at(with_cutouts, source, i) for i in range(with_cutouts.num_samples)]
    shown = [one for one in made if any(track.cutout for track in one.plan.tracks)]
    assert 0 < len(shown) < len(made)
    for one in shown:
        cut = [track for track in one.plan.tracks if track.cutout is not None]
        names = [track.name for track in one.plan.tracks]
        still = [track for track in cut if np.ptp(track.xy_T2, axis=0).max() == 0]
        assert len(names) == len(set(names))
        assert 2 * len(still) == len(cut), "as many stand still as move"
        assert len(one.sample.sources) == len({track.cutout.scene.image_id for track in cut if track.cutout})
    asked = {one.plan.facts["name"] for one in made}
    assert asked & {"dog", "cat", "cup", "bus"}
