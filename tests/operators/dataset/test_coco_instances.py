from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from temporay.operators.dataset.coco import CocoScenes, load_image
from temporay.operators.dataset.coco_instances import attach_instances, with_upright_outlines
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.samples import make_sample_at, open_source, render_address
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.render import render
from temporay.operators.records import Address, Backdrop, Cutout, Instance, Scene, ScenePlan, Track

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


PATCH = (0.35, 0.1, 0.6, 0.1, 0.6, 0.3, 0.35, 0.3)  # of an upright picture: a red object in its upper part


def turned_image(folder: Path, orientation: int, size: tuple[int, int]) -> Path:
    """Write an image of which the upright picture shows a red object, stored in one of the eight ways of EXIF."""
    upright = Image.new("RGB", size, (0, 0, 200))
    x, y = np.array(PATCH).reshape(-1, 2).T * np.array(size)[:, None]
    upright.paste((200, 0, 0), (round(x.min()), round(y.min()), round(x.max()), round(y.max())))
    stored = upright if orientation == 1 else upright.transpose(BACK[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(folder / "a.png", exif=exif)
    return folder / "a.png"


BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# Where the object is on the image as it is stored, worked out by hand.
ON_STORED = {
    5: (0.1, 0.35, 0.1, 0.6, 0.3, 0.6, 0.3, 0.35),
    6: (0.1, 0.65, 0.1, 0.4, 0.3, 0.4, 0.3, 0.65),
    7: (0.9, 0.65, 0.9, 0.4, 0.7, 0.4, 0.7, 0.65),
    8: (0.9, 0.35, 0.9, 0.6, 0.7, 0.6, 0.7, 0.35),
}


def plan_of(path: Path, polygon: tuple[float, ...], annotated: tuple[int, int]) -> ScenePlan:
    instance = Instance(category="dog", polygons=(polygon,))
    facts: dict[str, Any] = {"captions": ("a",), "license_id": 4, "source_url": ""}
    scene = Scene(image_id=1, path=str(path), instances=(instance,), annotated_size=annotated, **facts)
    track = Track(
        name="dog",
        shape="cutout",
        color=(0, 0, 0),
        radius_px=16.0,
        xy_T2=np.full((1, 2), 32.0),
        visible_T=np.ones(1, np.bool_),
        cutout=Cutout(scene=scene, instance=instance),
    )
    address = Address(task="motion_direction", split="train", index=0, seed=0, level=0)
    return ScenePlan(
        address=address, width=64, height=64, fps=1.0, num_frames=1, backdrop=Backdrop(), tracks=(track,), facts={}
    )


def middle(plan: ScenePlan) -> list[int]:
    """Return red, green and blue of the middle of what is cut out."""
    return [int(level) for level in render(plan, lambda scene: load_image(scene, 256))[0, 32, 32]]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_outline_on_the_stored_image_shows_the_object(tmp_path: Path, orientation: int) -> None:
    path = turned_image(tmp_path, orientation, (160, 240))
    plan = plan_of(path, ON_STORED[orientation], (240, 160))
    red, _, blue = middle(with_upright_outlines(plan))
    assert red > blue + 50
    red, _, blue = middle(plan)
    assert blue > red + 50, "the outline as it is would show the background"


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_an_outline_on_the_upright_image_stays(tmp_path: Path, orientation: int) -> None:
    plan = plan_of(turned_image(tmp_path, orientation, (160, 240)), PATCH, (320, 480))
    assert with_upright_outlines(plan).tracks[0].cutout == plan.tracks[0].cutout
    red, _, blue = middle(with_upright_outlines(plan))
    assert red > blue + 50


@pytest.mark.parametrize(
    ("orientation", "size", "annotated", "reason"),
    [
        (1, (160, 240), (240, 160), "instance_of_other_size: a.png is 160 x 240 px, and its instances say 240 x 160"),
        (6, (160, 240), (200, 200), "instance_of_other_size"),
        (2, (160, 240), (160, 240), "instance_of_turned_image"),
        (3, (160, 240), (160, 240), "instance_of_turned_image: a.png has EXIF orientation 3"),
        (4, (160, 240), (160, 240), "instance_of_turned_image"),
        (6, (200, 200), (200, 200), "instance_of_turned_image"),
    ],
)
def test_an_outline_that_cannot_be_placed_is_rejected(
    tmp_path: Path, orientation: int, size: tuple[int, int], annotated: tuple[int, int], reason: str
) -> None:
    plan = plan_of(turned_image(tmp_path, orientation, size), PATCH, annotated)
    with pytest.raises(SampleRejected, match=reason):
        with_upright_outlines(plan)


def test_a_sample_whose_cut_out_cannot_be_placed_is_replaced_and_counted(
    tmp_path: Path, recipe: Recipe, drawn_coco: CocoPaths
) -> None:
    """A third of the images have other sizes than the instances file says."""
    assert drawn_coco.captions is not None
    images = json.loads(drawn_coco.captions.read_text())["images"]
    annotations = [
        annotation(image_id=image["id"], category_id=i % 2 + 1, segmentation=[box(12, 12, 20, 16)])
        for i, image in enumerate(images)
    ]
    sizes = [{"id": image["id"], "width": 48 if i % 3 else 96, "height": 48} for i, image in enumerate(images)]
    path = write(tmp_path, annotations, images=sizes)
    changes = {"tasks": ("motion_direction",), "coco": drawn_coco.model_copy(update={"instances": path})}
    asked = recipe.model_copy(update={**changes, "check_pixels": False})
    source = open_source(asked, tmp_path)
    made = [make_sample_at(asked, source, i) for i in range(asked.num_samples)]
    assert sum(one.rejected.get("instance_of_other_size", 0) for one in made) > 0
    shown = [track.cutout.scene for one in made for track in one.plan.tracks if track.cutout is not None]
    assert shown and {scene.annotated_size for scene in shown} == {(48, 48)}
    again = render_address(asked, source, made[0].plan.address)
    assert len(again) == made[0].plan.num_frames
