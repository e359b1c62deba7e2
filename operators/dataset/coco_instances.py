"""COCO instances JSON -> what can be cut out of the scenes of a captions file.

    instances.json -> polygons of single, whole objects of a fair size -> by image id -> attached to the scenes

Annotations come from outside: every field is checked before use, and category names are cleaned like captions.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from temporay.operators.dataset.coco import CocoScenes, clean_caption, counts, load_annotations, stored_shape
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import Cutout, Instance, Scene, ScenePlan
from temporay.operators.videos.orientation import same_shape

LISTS = ("images", "annotations", "categories")
AREA_RANGE = (0.01, 0.25)  # share of the image: smaller objects blur when shown, larger ones are scenery
MAX_ASPECT = 2.5  # longer over shorter side of the box: thinner objects cannot be seen when small
SWAPPING = range(5, 9)  # EXIF orientations that make rows columns
BORDER = 0.004  # share of the image's side; an object nearer to the edge is probably cut off


def attach_instances(found: CocoScenes, instances: Path) -> CocoScenes:
    """Add the objects that can be cut out of scenes, from a COCO instances file of the same images.

    An object counts if it is a single one given by polygons, covers 1 to 25 % of the image, is not thin, and does not
    touch the border.

    Raises:
        UserError: the file is missing, broken, or holds no object that can be cut out of these images.
    """
    tree = load_annotations(instances, "instances", LISTS)
    sizes = {e["id"]: (e["width"], e["height"]) for e in tree["images"] if _has_size(e)}
    names = {
        e["id"]: clean_caption(e["name"])
        for e in tree["categories"]
        if isinstance(e, dict) and isinstance(e.get("id"), int) and isinstance(e.get("name"), str)
    }
    wanted = {scene.image_id for scene in found.scenes}
    dropped: Counter[str] = Counter(found.dropped)
    by_image: dict[int, list[Instance]] = {}
    for entry in tree["annotations"]:
        kept = _instance(entry, sizes, names, wanted)
        if isinstance(kept, str):
            dropped[kept] += 1
        else:
            by_image.setdefault(entry["image_id"], []).append(kept)
    if not by_image:
        raise UserError(
            f"{instances} holds no object that can be cut out of the images of the captions file "
            f"({counts(dropped)}); give the instances file of the same images"
        )
    scenes = tuple(
        replace(s, instances=tuple(by_image.get(s.image_id, ())), annotated_size=sizes.get(s.image_id))
        for s in found.scenes
    )
    return CocoScenes(scenes=scenes, dropped=dict(sorted(dropped.items())))


def with_upright_outlines(plan: ScenePlan) -> ScenePlan:
    """Turn the outlines of a plan's cut-outs as their image files say that the images are to be turned.

    Some annotations are made on images as they are stored, others on upright ones. The size that they state tells
    which, unless turning leaves the size as it is.

    Raises:
        SampleRejected: ``instance_of_other_size`` or ``instance_of_turned_image``, or an image cannot be opened.
    """
    if all(track.cutout is None for track in plan.tracks):
        return plan
    tracks = (t if t.cutout is None else replace(t, cutout=_upright(t.cutout)) for t in plan.tracks)
    return replace(plan, tracks=tuple(tracks))


def _upright(cutout: Cutout) -> Cutout:
    scene, annotated = cutout.scene, cutout.scene.annotated_size
    width, height, orientation = stored_shape(scene)
    if annotated is None:
        return cutout
    swaps = orientation in SWAPPING
    is_upright = same_shape(annotated, (height, width) if swaps else (width, height))
    is_stored = same_shape(annotated, (width, height))
    name = Path(scene.path).name
    if not is_upright and not is_stored:
        told = f"{name} is {width} x {height} px, and its instances say {annotated[0]} x {annotated[1]}"
        raise SampleRejected("instance_of_other_size", told)
    if is_upright and is_stored and orientation != 1:
        raise SampleRejected(
            "instance_of_turned_image",
            f"{name} has EXIF orientation {orientation}; whether its outlines are turned too cannot be told from sizes",
        )
    if is_upright:
        return cutout
    polygons = tuple(_turned(flat, orientation) for flat in cutout.instance.polygons)
    return replace(cutout, instance=replace(cutout.instance, polygons=polygons))


def _turned(flat: tuple[float, ...], orientation: int) -> tuple[float, ...]:
    """Return the points of an outline on a stored image as they are on the upright one (EXIF 2.32, 4.6.5)."""
    x_N, y_N = np.array(flat).reshape(-1, 2).T
    points = {5: (y_N, x_N), 6: (1 - y_N, x_N), 7: (1 - y_N, 1 - x_N), 8: (y_N, 1 - x_N)}[orientation]
    return tuple(np.stack(points, axis=1).ravel().tolist())


def cuttable(scene: Scene) -> list[object]:
    """Return JSON values that identify the objects of a scene; empty without objects."""
    return [[instance.category, instance.polygons] for instance in scene.instances]


def _has_size(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), int) and entry[name] > 0 for name in ("id", "width", "height")
    )


def _instance(
    entry: Any, sizes: Mapping[int, tuple[int, int]], names: Mapping[int, str], wanted: set[int]
) -> Instance | str:
    """Return an object that can be cut out, or the reason why this one cannot."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(n), int) for n in ("image_id", "category_id")):
        return "malformed_instance"
    image_id, name = entry["image_id"], names.get(entry["category_id"])
    if image_id not in wanted or image_id not in sizes:
        return "instance_of_unknown_image"
    if entry.get("iscrowd") or isinstance(entry.get("segmentation"), dict):
        return "instance_is_a_crowd"
    polygons = _polygons(entry.get("segmentation"), sizes[image_id])
    if not name or polygons is None:
        return "malformed_instance"
    area = sum(_area(points_N2) for points_N2 in polygons)
    if not AREA_RANGE[0] <= area <= AREA_RANGE[1]:
        return "instance_too_small" if area < AREA_RANGE[0] else "instance_too_large"
    points_N2 = np.concatenate(polygons)
    sides = np.ptp(points_N2, axis=0) * sizes[image_id]
    if max(sides) > MAX_ASPECT * min(sides):
        return "instance_too_thin"
    if points_N2.min() < BORDER or points_N2.max() > 1 - BORDER:
        return "instance_at_border"
    flat = tuple(tuple(round(float(v), 5) for v in points.ravel()) for points in polygons)
    return Instance(category=name, polygons=flat)


def _polygons(segmentation: Any, size: tuple[int, int]) -> list[npt.NDArray[np.float64]] | None:
    """Return each polygon as (N, 2) shares of the image's width and height; None when they are not polygons."""
    if not isinstance(segmentation, list) or not segmentation:
        return None
    polygons = []
    for flat in segmentation:
        if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2:
            return None
        if not all(isinstance(v, int | float) and np.isfinite(v) for v in flat):
            return None
        polygons.append(np.array(flat, dtype=np.float64).reshape(-1, 2) / size)
    return polygons


def _area(points_N2: npt.NDArray[np.float64]) -> float:
    """Return the area of a polygon as a share of the image (shoelace formula)."""
    x, y = points_N2.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
