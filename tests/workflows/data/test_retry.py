from __future__ import annotations

from pathlib import Path

import pytest
from temporay.operators.dataset.drawn_coco import DrawnScenes, write_drawn_coco
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.shards import AUDIT_FILE, DEAD_LETTER_FILE
from temporay.workflows.__main__ import main
from temporay.workflows.data.generate import build

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def breakable(recipe: Recipe, tmp_path: Path) -> Recipe:
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=1))
    coco = CocoPaths(captions=captions, images=images)
    return recipe.model_copy(update={"coco": coco, "test_fraction": 0.0})


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "summary.json"}


def test_retry_gives_the_dataset_of_an_undisturbed_run(
    breakable: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(breakable, tmp_path / "undisturbed")
    assert breakable.coco.images is not None
    some = sorted(breakable.coco.images.iterdir())[::2]
    were = {path: path.read_bytes() for path in some}
    for path in some:
        path.unlink()
    build(breakable, tmp_path / "d")
    broken = contents(tmp_path / "d")
    assert DEAD_LETTER_FILE in broken and broken != contents(tmp_path / "undisturbed")

    assert main(["retry", str(tmp_path / "d")]) == 0
    assert contents(tmp_path / "d") == broken, "nothing is mended yet"
    for path, data in were.items():
        path.write_bytes(data)
    (tmp_path / "d" / AUDIT_FILE).write_text("{}")
    capsys.readouterr()
    assert main(["retry", str(tmp_path / "d")]) == 0
    assert "addresses had failed, 0 still do" in capsys.readouterr().out
    assert contents(tmp_path / "d") == contents(tmp_path / "undisturbed")
    assert len(Dataset.open(tmp_path / "d")) == 12

    assert main(["retry", str(tmp_path / "d")]) == 0
    assert "nothing failed" in capsys.readouterr().out


def test_other_captions_are_refused(breakable: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert breakable.coco.captions is not None and breakable.coco.images is not None
    for path in sorted(breakable.coco.images.iterdir())[::2]:
        path.unlink()
    build(breakable, tmp_path / "d")
    breakable.coco.captions.write_text(breakable.coco.captions.read_text().replace("A red circle.", "A red ball."))
    assert main(["retry", str(tmp_path / "d")]) == 2
    assert "have changed since" in capsys.readouterr().err
    assert main(["retry", str(tmp_path)]) == 2
