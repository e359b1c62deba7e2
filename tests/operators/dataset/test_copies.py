"""Images of one picture are recognized, and lie in one split."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image
from temporay.operators.dataset import copies
from temporay.operators.dataset.coco import load_image, read_scenes, split_scenes
from temporay.operators.dataset.copies import NO_COPIES, Copies, find_copies
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.samples import open_source
from temporay.operators.records import Scene

NOWHERE = Path("nowhere")
NUM_PICTURES = 18


def picture(n: int, width: int = 320, height: int = 240) -> Image.Image:
    """Draw a smooth scene of its own for every number."""
    coarse = np.random.default_rng(n).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def scene(path: Path, image_id: int) -> Scene:
    return Scene(image_id=image_id, path=str(path), captions=("a dog",), license_id=4, source_url="")


@pytest.fixture
def copied(tmp_path: Path) -> list[Scene]:
    """Write pictures, each under four ids: the file, a byte copy, encoded again, and scaled."""
    scenes = []
    for n in range(NUM_PICTURES):
        first = tmp_path / f"{n}.jpg"
        picture(n).save(first, quality=92)
        (tmp_path / f"{n}-bytes.jpg").write_bytes(first.read_bytes())
        with Image.open(first) as image:
            image.save(tmp_path / f"{n}-coarse.jpg", quality=40)
            image.resize((200, 150)).save(tmp_path / f"{n}-small.webp", quality=80)
        names = (f"{n}.jpg", f"{n}-bytes.jpg", f"{n}-coarse.jpg", f"{n}-small.webp")
        scenes += [scene(tmp_path / name, 100 * k + n) for k, name in enumerate(names)]
    return scenes


def test_byte_copies_and_copies_encoded_or_scaled_again_are_found(copied: list[Scene]) -> None:
    found = find_copies(copied)
    assert found.groups() == [[n, 100 + n, 200 + n, 300 + n] for n in range(NUM_PICTURES)]
    assert Copies.of(json.loads(json.dumps(found.groups()))) == found


def test_copies_of_one_picture_lie_in_one_split(copied: list[Scene]) -> None:
    picture_of = find_copies(copied).picture_of
    test = {s.image_id % 100 for s in split_scenes(tuple(copied), "test", 0.3, picture_of)}
    train = {s.image_id % 100 for s in split_scenes(tuple(copied), "train", 0.3, picture_of)}
    assert test and train and not test & train
    assert {s.image_id % 100 for s in split_scenes(tuple(copied), "test", 0.3)} & train, "ids alone would not do it"


def test_a_picture_without_copies_keeps_its_split(copied: list[Scene]) -> None:
    alone = tuple(copied[::4])
    assert find_copies(alone) == NO_COPIES
    picture_of = find_copies(copied).picture_of
    for split in ("train", "test"):
        assert split_scenes(alone, split, 0.3) == split_scenes(alone, split, 0.3, picture_of)


def test_drawn_pictures_that_are_merely_similar_are_no_copies(drawn_coco: CocoPaths) -> None:
    assert drawn_coco.captions is not None and drawn_coco.images is not None
    assert find_copies(read_scenes(drawn_coco.captions, drawn_coco.images).scenes) == NO_COPIES


def test_pictures_of_one_color_are_copies_only_byte_by_byte(tmp_path: Path) -> None:
    for name, level in (("a", 100), ("b", 100), ("c", 103)):
        Image.new("RGB", (64, 64), (level, level, level)).save(tmp_path / f"{name}.png")
    scenes = [scene(tmp_path / f"{name}.png", n) for n, name in enumerate("abc")]
    assert find_copies(scenes).groups() == [[0, 1]]


def test_images_that_cannot_be_read_have_no_copies(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_bytes(b"no image")
    assert find_copies([scene(tmp_path / f"{name}.jpg", n) for n, name in enumerate("abc")]) == NO_COPIES


def test_fingerprints_of_many_images_are_kept_until_a_file_changes(
    copied: list[Scene], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(copies, "MIN_KEPT", 10)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = find_copies(copied)
    with patch.object(copies, "load_image", side_effect=load_image) as looked_at:
        assert find_copies(copied) == first
        assert looked_at.call_count == 0
        picture(99).save(copied[0].path)
        changed = find_copies(copied)
        assert looked_at.call_count == 1
    assert changed.picture_of(0) == 0 and changed.picture_of(300) == 100 == first.picture_of(300) + 100
    (kept,) = (tmp_path / "cache" / "temporay").iterdir()
    kept.write_bytes(b"damaged")
    assert find_copies(copied) == changed


def test_a_dataset_shows_no_picture_of_another_split(tmp_path: Path, recipe: Recipe) -> None:
    """Twelve ids to each of 18 pictures, as the crawl of a shop has them."""
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for image_id in range(12 * NUM_PICTURES):
        name = f"{image_id}.jpg"
        picture(image_id % NUM_PICTURES).save(tmp_path / "images" / name, quality=90 - image_id // NUM_PICTURES)
        images.append({"id": image_id, "file_name": name, "license": 4})
        annotations.append({"id": image_id, "image_id": image_id, "caption": f"A dog in place {image_id}."})
    (tmp_path / "captions.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    coco = CocoPaths(captions=tmp_path / "captions.json", images=tmp_path / "images")
    shown = {}
    for split in ("train", "rl", "test"):
        changes = {"coco": coco, "split": split, "test_fraction": 0.3}
        source = open_source(recipe.model_copy(update=changes), NOWHERE)
        shown[split] = {one.image_id % NUM_PICTURES for one in source.scenes}
        known = open_source(recipe.model_copy(update=changes), NOWHERE, source.copies)
        assert known.scenes == source.scenes and known.fingerprint == source.fingerprint
    assert shown["train"] == shown["rl"] and not shown["train"] & shown["test"]
    assert len(shown["train"] | shown["test"]) == NUM_PICTURES
