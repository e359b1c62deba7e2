from __future__ import annotations

from pathlib import Path

import numpy as np
from temporay.operators.dataset.coco import load_image, read_scenes
from temporay.operators.dataset.drawn_coco import DrawnScenes, write_drawn_coco
from temporay.operators.dataset.recipe import CocoPaths
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, EASY_SHAPES


def test_every_name_has_all_its_variants(drawn_coco: CocoPaths) -> None:
    assert drawn_coco.captions is not None and drawn_coco.images is not None
    found = read_scenes(drawn_coco.captions, drawn_coco.images)
    captions = [scene.captions[0] for scene in found.scenes]
    assert found.dropped == {}
    assert set(captions) == {f"a {color} {shape}" for color in EASY_COLORS for shape in EASY_SHAPES}
    assert {captions.count(name) for name in captions} == {4}


def test_every_image_shows_its_whole_shape(drawn_coco: CocoPaths) -> None:
    assert drawn_coco.captions is not None and drawn_coco.images is not None
    for scene in read_scenes(drawn_coco.captions, drawn_coco.images).scenes:
        image_HWC = load_image(scene, 48).astype(int)
        color = COLORS[scene.captions[0].split()[1]]
        painted = np.abs(image_HWC - np.array(color)).max(axis=-1) < 30
        assert painted.sum() > 100, scene
        border = np.concatenate([painted[0], painted[-1], painted[:, 0], painted[:, -1]])
        assert border.mean() < 0.1, scene


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        write_drawn_coco(folder, DrawnScenes(side=32, variants=1))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 19
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in files)
