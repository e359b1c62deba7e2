"""COCO captions JSON and its image folder -> captioned scenes, and their pixels.

    annotations.json -> cleaned captions -> scenes by image id -> one split's scenes -> images

Captions come from outside: anything that could be read as markup or as a special token of a chat template is made
harmless here. Image files come from outside too: format, size and pixels are bounded before anything is decoded.
"""

import functools
import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.markup import BRACKETS
from temporay.operators.records import Frames, Scene
from temporay.operators.seeding import fraction

MAX_PIXELS = 40_000_000
MAX_FILE_BYTES = 50 << 20
MAX_CAPTION_CHARS = 500  # COCO's longest caption has about 250
FILLER = re.compile(r"\bthere is no image\b.*\bcaption\b", re.IGNORECASE)  # COCO's annotators wrote it now and then
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP")
CACHE_BYTES = 64 << 20
OBJECT_NAME = re.compile(r"<[^<>]*>")  # Pillow's messages name the file object, its memory address or its folder


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoScenes:
    """The usable scenes of an annotation file by image id, and how many entries were left out by reason."""

    scenes: tuple[Scene, ...]
    dropped: Mapping[str, int]


def read_scenes(captions: Path, images: Path, captions_per_image: int | None = None) -> CocoScenes:
    """Read a COCO captions file (https://cocodataset.org/#format-data).

    Of two entries with one id the first is used. An image that is missing from the folder is kept here; a sample that
    would show it is replaced and counted when it is made.

    Args:
        captions_per_image: how many captions of an image are kept, in the file's order; None: all.

    Raises:
        UserError: a file or the folder is missing, the JSON is broken or holds no captions, or no image is there.
    """
    tree = load_annotations(captions, "captions", ("images", "annotations"))
    if not images.is_dir():
        raise UserError(f"image folder {images} does not exist; give the folder that holds the images of {captions}")
    dropped: Counter[str] = Counter()
    texts = _captions_by_image(tree["annotations"], dropped)
    texts = {image_id: several[:captions_per_image] for image_id, several in texts.items()}
    scenes: dict[int, Scene] = {}
    for entry in tree["images"]:
        scene = _scene(entry, texts, images, dropped)
        if scene is None:
            continue
        if scene.image_id in scenes:
            dropped["duplicate_image"] += 1
            continue
        scenes[scene.image_id] = scene
    dropped["annotation_of_unknown_image"] += len(texts.keys() - scenes.keys())
    if not scenes:
        raise UserError(f"{captions} holds no image with a caption ({counts(dropped)}); give a COCO captions file")
    if not any(is_there(Path(scene.path)) for scene in scenes.values()):
        name = Path(next(iter(scenes.values())).path).name
        raise UserError(f"none of the {len(scenes)} images of {captions} is in {images} (looked for {name} and others)")
    ordered = tuple(scenes[image_id] for image_id in sorted(scenes))
    return CocoScenes(scenes=ordered, dropped={reason: n for reason, n in sorted(dropped.items()) if n})


def split_scenes(
    scenes: tuple[Scene, ...], split: str, test_fraction: float, picture_of: Callable[[int], int] = int
) -> tuple[Scene, ...]:
    """Return the scenes of one split. ``test`` has its own pictures; the other splits share the rest.

    Without a fraction all splits share all images: clips of ``test`` are new, but what they show was trained on.

    Args:
        picture_of: gives an id that all images of one picture share, by an image's own.
    """
    if test_fraction == 0:
        return scenes
    return tuple(s for s in scenes if (fraction("photo", picture_of(s.image_id)) < test_fraction) == (split == "test"))


def clean_caption(text: str) -> str:
    """Reduce a caption to one line: NFC, no control or bidi characters, no markup, small first letter, no period."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    text = " ".join(text.translate(BRACKETS).split()).rstrip(".").rstrip()
    return text[:1].lower() + text[1:] if _begins_a_sentence(text) else text


def _begins_a_sentence(text: str) -> bool:
    """Tell a capital that begins a sentence from abbreviations and texts in capitals, which stay as they are."""
    first, _, rest = text.partition(" ")
    return first[1:].islower() or (len(first) == 1 and not rest.isupper())


def load_image(scene: Scene, side: int) -> Frames:
    """Decode the image of a scene, as ``read_picture`` does."""
    return read_picture(Path(scene.path), side)


def read_picture(path: Path, side: int) -> Frames:
    """Decode one image, turn it upright and fit it into a square of ``side`` px: (H, W, 3) uint8 RGB.

    Raises:
        SampleRejected: ``image_missing``, ``image_too_large`` or ``image_corrupt``.
    """
    with _opened(path) as image:
        return _to_rgb(image, path.name, side)


def stored_shape(scene: Scene) -> tuple[int, int, int]:
    """Return width and height of an image as it is stored, and its EXIF orientation, from 1 to 8; nothing is decoded.

    Raises:
        SampleRejected: ``image_missing``, ``image_too_large`` or ``image_corrupt``.
    """
    with _opened(Path(scene.path)) as image:
        said = image.getexif().get(ExifTags.Base.Orientation)
        return image.width, image.height, said if isinstance(said, int) and 1 <= said <= 8 else 1


def is_there(path: Path) -> bool:
    """Return whether there is a file of this name. Names that no file can have are those of none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; whatever the library raises inside is the file's fault."""
    if not is_there(path):
        raise SampleRejected("image_missing", path.name)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise SampleRejected("image_too_large", f"{path.name}: over {MAX_FILE_BYTES >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with path.open("rb") as file, Image.open(file, formats=IMAGE_FORMATS) as image:
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise SampleRejected("image_too_large", f"{path.name}: {error}") from error
    except (SampleRejected, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise SampleRejected("image_corrupt", f"{path.name} is no {', '.join(IMAGE_FORMATS)}") from error
    except Exception as error:  # Pillow raises errors of many kinds for broken files and damaged EXIF blocks
        detail = OBJECT_NAME.sub(path.name, str(error))
        raise SampleRejected("image_corrupt", f"{path.name}: {detail}") from error


def image_loader(side: int, cache_bytes: int = CACHE_BYTES) -> Callable[[Scene], Frames]:
    """Return ``load_image`` for one size, with the most recent images kept in memory."""

    @functools.lru_cache(maxsize=max(1, cache_bytes // (3 * side * side)))
    def load(scene: Scene) -> Frames:
        image_HWC = load_image(scene, side)
        image_HWC.setflags(write=False)
        return image_HWC

    return load


def _to_rgb(image: Image.Image, name: str, side: int) -> Frames:
    if image.width * image.height > MAX_PIXELS:
        raise SampleRejected("image_too_large", f"{name}: {image.width} x {image.height} px")
    image.draft("RGB", (side, side))  # JPEG decodes straight to a size near the one wanted
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # plain conversion would clip 16-bit values at 255
        upright = Image.fromarray((np.asarray(upright).astype(np.uint32) >> 8).astype(np.uint8))
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        alpha = upright.convert("RGBA")  # without the channel hidden parts would be shown
        upright = Image.alpha_composite(Image.new("RGBA", alpha.size, (0, 0, 0, 255)), alpha)
    rgb = upright.convert("RGB")
    rgb.thumbnail((side, side), Image.Resampling.BOX)
    return np.array(rgb)


def load_annotations(path: Path, what: str, lists: tuple[str, ...]) -> dict[str, Any]:
    """Read an annotation file.

    Args:
        what: its expected content: "captions" or "instances".
        lists: the lists that it must hold.

    Raises:
        UserError: it cannot be read, is not UTF-8, is not JSON, or lacks a list.
    """
    try:
        tree = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read COCO {what} {path}: {error.strerror}") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply; give a COCO {what} file") from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not valid JSON at character {error.pos} (line {error.lineno}): {error.msg}; was it cut short?"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text at byte {error.start}; give a COCO {what} file") from error
    whole = isinstance(tree, dict) and all(isinstance(tree.get(name), list) for name in lists)
    if not whole or (
        what == "captions" and not any(isinstance(a, dict) and "caption" in a for a in tree["annotations"])
    ):
        named = ", ".join(f"`{name}`" for name in lists[:-1]) + f" and `{lists[-1]}`"
        raise UserError(f"{path} holds no {what}; give a COCO {what} file, with lists {named}")
    return tree  # type: ignore[no-any-return]


def _captions_by_image(annotations: list[Any], dropped: Counter[str]) -> dict[int, list[str]]:
    by_image: dict[int, list[str]] = {}
    seen: set[int] = set()
    for entry in annotations:
        image_id = _number(entry.get("image_id")) if isinstance(entry, dict) else None
        if image_id is None or not isinstance(entry.get("caption"), str):
            dropped["malformed_annotation"] += 1
            continue
        if (own_id := _number(entry.get("id"))) is not None:
            if own_id in seen:
                dropped["duplicate_annotation"] += 1
                continue
            seen.add(own_id)
        caption = clean_caption(entry["caption"])
        if FILLER.search(caption):
            dropped["filler_caption"] += 1
            continue
        if not caption or len(caption) > MAX_CAPTION_CHARS:
            dropped["caption_too_long" if caption else "empty_caption"] += 1
            continue
        by_image.setdefault(image_id, []).append(caption)
    return by_image


def _scene(entry: Any, texts: Mapping[int, list[str]], images: Path, dropped: Counter[str]) -> Scene | None:
    image_id = _number(entry.get("id")) if isinstance(entry, dict) else None
    if image_id is None or not isinstance(entry.get("file_name"), str):
        dropped["malformed_image"] += 1
        return None
    if image_id not in texts:
        dropped["image_without_caption"] += 1
        return None
    name = PurePath(entry["file_name"])
    if name.is_absolute() or ".." in name.parts:  # a link that lies in the folder is followed
        dropped["image_outside_folder"] += 1
        return None
    license_id = _number(entry.get("license"))
    if license_id is None and entry.get("license") is not None:
        dropped["malformed_license"] += 1
        return None
    return Scene(
        image_id=image_id,
        path=str(images / name),
        captions=tuple(dict.fromkeys(texts[image_id])),
        license_id=license_id,
        source_url=str(entry.get("flickr_url") or entry.get("coco_url") or ""),
    )


def _number(value: Any) -> int | None:
    """Return an id that is a whole number, or a text of its digits; else None."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def counts(dropped: Mapping[str, int]) -> str:
    """List what was left out, for messages."""
    return ", ".join(f"{reason} {n}" for reason, n in sorted(dropped.items()) if n) or "nothing dropped"
