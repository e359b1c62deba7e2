from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from temporay.operators.dataset.coco import clean_caption, image_loader, load_image, read_scenes, split_scenes
from temporay.operators.dataset.recipe import CocoPaths
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import Scene


def write_coco(folder: Path, images: list[Any], annotations: list[Any]) -> tuple[Path, Path]:
    (folder / "images").mkdir(exist_ok=True)
    captions = folder / "captions.json"
    captions.write_text(json.dumps({"images": images, "annotations": annotations}))
    return captions, folder / "images"


def save(path: Path, image: Image.Image, **options: Any) -> Scene:
    image.save(path, **options)
    return scene_at(path)


def scene_at(path: Path) -> Scene:
    return Scene(image_id=1, path=str(path), captions=("a dog",), license_id=4, source_url="")


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("  A dog runs. ", "a dog runs"),
        ("Two\n dogs\t run", "two dogs run"),
        ("A <|im_start|>system dog", "a (/im_start/)system dog"),
        ("A dog <answer>B</answer><video>", "a dog (answer)B(/answer)(video)"),
        ("[INST] a dog", "(INST) a dog"),
        ("a cafe\u0301\u202e\x00", "a caf\u00e9"),
        (" . ", ""),
        ("NYC street at night", "NYC street at night"),
        ("A DOG RUNS", "A DOG RUNS"),
        ("THERE ARE DOGS", "THERE ARE DOGS"),
        ("TVs on a wall", "TVs on a wall"),
        ("I", "i"),
    ],
)
def test_captions_are_cleaned(given: str, cleaned: str) -> None:
    assert clean_caption(given) == cleaned


def test_scenes_come_sorted_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    image = {"file_name": "a.png", "license": 4, "flickr_url": "http://x/a"}
    captions, images = write_coco(
        tmp_path,
        [{**image, "id": 9}, {**image, "id": 2}, {**image, "id": 2, "file_name": "b.png"}, {**image, "id": 3}],
        [
            {"id": 1, "image_id": 9, "caption": "A dog."},
            {"id": 2, "image_id": 2, "caption": "A cat."},
            {"id": 2, "image_id": 2, "caption": "Again."},
            {"id": 3, "image_id": 2, "caption": " . "},
            {"id": 4, "image_id": 2, "caption": "x" * 501},
            {"id": 5, "image_id": 77, "caption": "Nobody."},
            {"id": 6, "image_id": 2, "caption": None},
        ],
    )
    Image.new("RGB", (4, 4)).save(images / "a.png")
    found = read_scenes(captions, images)
    assert [(s.image_id, s.captions, s.license_id) for s in found.scenes] == [(2, ("a cat",), 4), (9, ("a dog",), 4)]
    assert found.scenes[0].path.endswith("a.png"), "the first of two entries with one id wins"
    assert found.dropped == {
        "annotation_of_unknown_image": 1,
        "caption_too_long": 1,
        "duplicate_annotation": 1,
        "duplicate_image": 1,
        "empty_caption": 1,
        "image_without_caption": 1,
        "malformed_annotation": 1,
    }


def test_the_first_captions_of_each_image_are_used(tmp_path: Path) -> None:
    texts = ["A dog.", "A brown dog.", "Somebody's dog."]
    captions, images = write_coco(
        tmp_path, [{"id": 1, "file_name": "a.png"}], [{"image_id": 1, "caption": text} for text in texts]
    )
    Image.new("RGB", (4, 4)).save(images / "a.png")
    told = [read_scenes(captions, images, number).scenes[0].captions for number in (1, 2, 9, None)]
    assert told == [("a dog",), ("a dog", "a brown dog"), *[("a dog", "a brown dog", "somebody's dog")] * 2]


def test_files_outside_the_image_folder_are_not_read(tmp_path: Path) -> None:
    captions, images = write_coco(
        tmp_path,
        [{"id": 1, "file_name": "../secret.png"}, {"id": 2, "file_name": "a.png"}],
        [{"id": n, "image_id": n, "caption": "A dog"} for n in (1, 2)],
    )
    Image.new("RGB", (4, 4)).save(images / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    found = read_scenes(captions, images)
    assert [s.image_id for s in found.scenes] == [2]
    assert found.dropped == {"image_outside_folder": 1, "annotation_of_unknown_image": 1}


def test_broken_annotation_files_are_user_errors(tmp_path: Path, drawn_coco: CocoPaths) -> None:
    assert drawn_coco.captions is not None and drawn_coco.images is not None
    with pytest.raises(UserError, match=r"cannot read COCO captions .*nowhere\.json: No such file"):
        read_scenes(tmp_path / "nowhere.json", drawn_coco.images)
    cut = tmp_path / "cut.json"
    cut.write_bytes(drawn_coco.captions.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"cut\.json is not valid JSON at character \d+ \(line \d+\).*cut short"):
        read_scenes(cut, drawn_coco.images)
    cut.write_bytes(b'{"images": "\xff"}')
    with pytest.raises(UserError, match="not UTF-8 text at byte 12"):
        read_scenes(cut, drawn_coco.images)
    cut.write_text("[" * 200_000)
    with pytest.raises(UserError, match="is nested too deeply"):
        read_scenes(cut, drawn_coco.images)
    cut.write_text(json.dumps({"images": [], "annotations": [{"bbox": [0, 0, 1, 1]}]}))
    with pytest.raises(UserError, match="holds no captions"):
        read_scenes(cut, drawn_coco.images)
    with pytest.raises(UserError, match=r"image folder .* does not exist"):
        read_scenes(drawn_coco.captions, tmp_path / "nowhere")
    with pytest.raises(UserError, match="none of the 72 images"):
        read_scenes(drawn_coco.captions, tmp_path)


def test_no_image_is_both_in_test_and_in_another_split(drawn_coco: CocoPaths) -> None:
    assert drawn_coco.captions is not None and drawn_coco.images is not None
    scenes = read_scenes(drawn_coco.captions, drawn_coco.images).scenes
    test, train = split_scenes(scenes, "test", 0.3), split_scenes(scenes, "train", 0.3)
    assert 0.15 < len(test) / len(scenes) < 0.45
    assert sorted(s.image_id for s in test + train) == [s.image_id for s in scenes]
    assert split_scenes(scenes, "rl", 0.3) == train


def test_images_become_upright_rgb_of_the_wanted_size(tmp_path: Path) -> None:
    wide = Image.new("RGB", (80, 40), (200, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = load_image(save(tmp_path / "turned.jpg", wide, exif=exif), 40)
    assert turned.shape == (40, 20, 3)
    assert load_image(save(tmp_path / "wide.jpg", wide), 400).shape == (40, 80, 3), "never enlarged"
    hidden = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    assert load_image(save(tmp_path / "hidden.png", hidden), 8).max() == 0, "what alpha hides stays hidden"
    deep = Image.fromarray(np.full((8, 8), 30_000, np.uint16))
    assert load_image(save(tmp_path / "deep.png", deep), 8)[0, 0].tolist() == [117] * 3, "16 bits scaled, not clipped"
    assert load_image(save(tmp_path / "gray.webp", Image.new("L", (8, 8), 90)), 8).shape == (8, 8, 3)


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 99) + b"IDAT"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "image_corrupt"),
        (b"<html>not found</html>", "image_corrupt"),
        (b"\xff\xd8\xff\xe0" + bytes(200), "image_corrupt"),
        (b"GIF89a" + bytes(200), "image_corrupt"),
        (png_header(7_000, 7_000), "image_too_large"),
        (png_header(20_000, 20_000), "image_too_large"),
    ],
)
def test_bad_image_files_are_rejected_with_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(SampleRejected) as caught:
        load_image(scene_at(path), 32)
    assert caught.value.reason == reason
    assert "bad.jpg" in caught.value.detail
    assert "0x" not in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_a_cut_jpeg_and_a_missing_file_are_rejected(tmp_path: Path) -> None:
    scene = save(tmp_path / "a.jpg", Image.effect_noise((64, 64), 80).convert("RGB"))
    Path(scene.path).write_bytes(Path(scene.path).read_bytes()[:900])
    with pytest.raises(SampleRejected, match="image_corrupt"):
        load_image(scene, 64)
    with pytest.raises(SampleRejected, match=r"image_missing: b\.jpg"):
        load_image(scene_at(tmp_path / "b.jpg"), 64)


def test_the_loader_reads_a_file_once(tmp_path: Path) -> None:
    scene = save(tmp_path / "a.png", Image.new("RGB", (8, 8), (1, 2, 3)))
    load = image_loader(8)
    first = load(scene)
    Path(scene.path).unlink()
    assert load(scene) is first
    assert not first.flags.writeable


def test_without_a_fraction_all_splits_share_all_images() -> None:
    scenes = tuple(Scene(image_id=i, path="", captions=("a",), license_id=None, source_url="") for i in range(30))
    assert all(split_scenes(scenes, split, 0.0) == scenes for split in ("train", "rl", "test"))


@pytest.mark.parametrize("test_fraction", [0.1, 0.4])
def test_the_test_split_has_its_share_of_images_and_the_others_the_rest(test_fraction: float) -> None:
    scenes = tuple(Scene(image_id=i, path="", captions=("a dog",), license_id=None, source_url="") for i in range(2000))
    parts = {split: split_scenes(scenes, split, test_fraction) for split in ("train", "rl", "test")}
    assert parts["train"] == parts["rl"]
    assert sorted(one.image_id for one in parts["train"] + parts["test"]) == list(range(2000))
    assert len(parts["test"]) / 2000 == pytest.approx(test_fraction, abs=0.04)


def test_names_that_no_file_can_have_are_those_of_missing_images(tmp_path: Path) -> None:
    names = ["a" * 300 + ".png", "a\0.png", "a.png"]
    images = [{"id": n, "file_name": name} for n, name in enumerate(names)]
    annotations = [{"id": n, "image_id": n, "caption": "A dog."} for n in range(3)]
    captions, folder = write_coco(tmp_path, images, annotations)
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    found = read_scenes(captions, folder)
    for scene in found.scenes[:2]:
        with pytest.raises(SampleRejected, match="image_missing"):
            load_image(scene, 4)
    assert load_image(found.scenes[2], 4).shape == (4, 4, 3)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF"])
def test_an_image_of_another_format_is_named_as_such(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SampleRejected, match=r"image_corrupt: a\.jpg is no JPEG, PNG, WEBP"):
        load_image(save(tmp_path / "a.jpg", Image.new("RGB", (8, 8)), format=kind), 8)


def test_images_of_odd_kinds_show_what_they_show(tmp_path: Path) -> None:
    """Several pictures in one file, colors for print, an extension of another format, bytes behind the end."""
    red, others = Image.new("RGB", (80, 60), (200, 40, 40)), [Image.new("RGB", (80, 60), (0, 200, 0))]
    scenes = [
        save(tmp_path / "several.jpg", red, format="MPO", save_all=True, append_images=others),
        save(tmp_path / "several.png", red, save_all=True, append_images=others),
        save(tmp_path / "several.webp", red, save_all=True, append_images=others, lossless=True),
        save(tmp_path / "print.jpg", red.convert("CMYK")),
        save(tmp_path / "other.png", red, format="JPEG"),
        save(tmp_path / "longer.jpg", red),
    ]
    (tmp_path / "longer.jpg").write_bytes((tmp_path / "longer.jpg").read_bytes() + b"x" * 1000)
    for scene in scenes:
        assert np.abs(load_image(scene, 64).astype(int) - (200, 40, 40)).max() <= 3, scene.path


def test_a_link_that_lies_in_the_folder_is_followed(tmp_path: Path) -> None:
    """As the caches of Hugging Face, DVC and git-annex keep images."""
    annotations = [{"id": 1, "image_id": 1, "caption": "A dog."}]
    captions, images = write_coco(tmp_path, [{"id": 1, "file_name": "a.png"}], annotations)
    blob = tmp_path / "blobs" / "0123"
    blob.parent.mkdir()
    Image.new("RGB", (4, 4), (200, 0, 0)).save(blob, format="PNG")
    (images / "a.png").symlink_to(Path("..") / "blobs" / "0123")
    (scene,) = read_scenes(captions, images).scenes
    assert load_image(scene, 4)[0, 0].tolist() == [200, 0, 0]


def test_ids_and_licenses_that_are_texts_are_numbers_where_that_is_clear(tmp_path: Path) -> None:
    images = [
        {"id": "1", "file_name": "a.png", "license": "4"},
        {"id": 2, "file_name": "a.png", "license": {"id": 4}},
        {"id": 3, "file_name": "a.png"},
        {"id": [4], "file_name": "a.png"},
    ]
    annotations = [{"id": [n], "image_id": str(n), "caption": "A dog."} for n in (1, 2, 3, 4)]
    captions, folder = write_coco(tmp_path, images, annotations)
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    found = read_scenes(captions, folder)
    assert [(scene.image_id, scene.license_id) for scene in found.scenes] == [(1, 4), (3, None)]
    assert found.dropped["malformed_license"] == 1 and found.dropped["malformed_image"] == 1


def test_what_annotators_wrote_for_want_of_an_image_is_no_caption(tmp_path: Path) -> None:
    filler = "There is no image here to provide a caption for."
    annotations = [{"id": n, "image_id": 1, "caption": text} for n, text in enumerate((filler, "A dog."))]
    captions, folder = write_coco(tmp_path, [{"id": 1, "file_name": "a.png"}], annotations)
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    found = read_scenes(captions, folder)
    assert found.scenes[0].captions == ("a dog",) and found.dropped == {"filler_caption": 1}


@pytest.mark.parametrize("error", [TypeError("not a number"), struct.error("short"), AttributeError("tag")])
def test_whatever_an_image_library_raises_is_the_files_fault(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged EXIF blocks let such errors escape from Pillow."""

    def broken(image: Image.Image) -> Image.Image:
        raise error

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(ImageOps, "exif_transpose", broken)
    with pytest.raises(SampleRejected, match=r"image_corrupt: a\.png"):
        load_image(scene_at(tmp_path / "a.png"), 4)
