"""Drawn stand-in for COCO: one shape on a dark background per image, written as a genuine COCO folder.

What needs no photographs (the first run, the tests) goes through the same files and the same reader as COCO. The
captions are the names of ``shapes``: short, regular, and equal for images that show the same thing.
"""

import io
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydantic import Field
from temporay.operators.files import write_text
from temporay.operators.pixels.shapes import BACKGROUND_LEVELS, COLORS, EASY_COLORS, paint
from temporay.operators.records import Frames
from temporay.operators.seeding import rng_at
from temporay.operators.settings import Settings

CAPTIONS_FILE = "annotations/captions_drawn.json"
IMAGES_FOLDER = "images"
RADIUS = (0.2, 0.34)  # share of the side
JPEG_QUALITY = 95


class DrawnScenes(Settings):
    """How many images are drawn, and how large."""

    side: int = Field(default=96, ge=16, le=1024)  # px
    shapes: tuple[Literal["circle", "square", "cross"], ...] = Field(
        default=("circle", "square", "cross"), min_length=1
    )
    variants: int = Field(default=12, ge=1, le=1000)  # images of each name, with different size, place and background


def write_drawn_coco(folder: Path, drawn: DrawnScenes) -> tuple[Path, Path]:
    """Write captions and images. The same settings give the same bytes.

    Returns:
        Paths of the captions file and of the image folder.
    """
    names = [(color, shape) for color in EASY_COLORS for shape in drawn.shapes]
    images, annotations = [], []
    (folder / IMAGES_FOLDER).mkdir(parents=True, exist_ok=True)
    for image_id, (color, shape) in enumerate(names * drawn.variants, start=1):
        file_name = f"{image_id:012d}.jpg"
        (folder / IMAGES_FOLDER / file_name).write_bytes(_jpeg(draw_scene(color, shape, image_id, drawn.side)))
        images.append(_image(image_id, file_name, drawn.side))
        annotations.append({"id": image_id, "image_id": image_id, "caption": f"A {color} {shape}."})
    tree = {
        "info": {"description": "drawn shapes", "version": "1"},
        "licenses": [{"id": 7, "name": "No known copyright restrictions", "url": ""}],
        "images": images,
        "annotations": annotations,
    }
    captions = folder / CAPTIONS_FILE
    captions.parent.mkdir(exist_ok=True)
    write_text(captions, json.dumps(tree, indent=1))
    return captions, folder / IMAGES_FOLDER


def draw_scene(color: str, shape: str, image_id: int, side: int) -> Frames:
    """Draw one image with the whole shape inside: (side, side, 3) uint8 RGB."""
    rng = rng_at("drawn_scene", image_id)
    radius = side * float(rng.uniform(*RADIUS))
    xy = tuple(float(v) for v in rng.uniform(radius, side - radius, 2))
    image_HWC = np.full((side, side, 3), int(rng.integers(*BACKGROUND_LEVELS)), np.uint8)
    paint(image_HWC, shape, COLORS[color], (xy[0], xy[1]), radius)
    return image_HWC


def _jpeg(image_HWC: Frames) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image_HWC).save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()


def _image(image_id: int, file_name: str, side: int) -> dict[str, Any]:
    return {"id": image_id, "file_name": file_name, "width": side, "height": side, "license": 7, "flickr_url": ""}
