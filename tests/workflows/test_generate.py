from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operators.errors import UserError
from operators.recipe import CocoPaths, Recipe, check
from operators.shards import Dataset, marker_path, shard_name
from operators.sources.drawn_scenes import DrawnScenes, write_drawn_coco
from workflows.__main__ import main
from workflows.audit import AuditConfig
from workflows.audit import run as run_audit
from workflows.generate import GenerateConfig, build, run
from workflows.presets.datasets import PRESETS
from workflows.preview import PreviewConfig
from workflows.preview import run as run_preview

pytestmark = pytest.mark.usefixtures("ray_cluster")


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the summary, which has seconds in it."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "summary.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset with drawn motion and drawn scenes, by the command line."""
    out = tmp_path_factory.mktemp("generate") / "data"
    assert main(arguments(out, "1")) == 0
    return out


def arguments(out: Path, num_workers: str, *more: str) -> list[str]:
    sizes = ["--num-samples", "20", "--samples-per-shard", "6", "--drawn.variants", "4", "--num-workers", num_workers]
    return ["generate", "quickstart", *sizes, "--out", str(out), *more]


def test_any_number_of_workers_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    assert main(arguments(tmp_path / "two", "2")) == 0
    one, two = contents(made), contents(tmp_path / "two")
    assert one == two
    assert {"README.md", "metadata.parquet", "recipe.json", "shard-000003.tar", "shard-000003.stats.json"} <= set(one)


def test_a_killed_run_goes_on_where_it_stopped(made: Path, tmp_path: Path, recipe: Recipe) -> None:
    build(recipe, tmp_path / "d", 2)
    finished = contents(tmp_path / "d")
    kept = (tmp_path / "d" / shard_name(0)).stat().st_mtime_ns
    marker_path(tmp_path / "d", 1).unlink()  # killed between tar and marker
    (tmp_path / "d" / shard_name(2)).write_bytes(b"half")  # a marker that no longer describes its shard
    (tmp_path / "d" / f".{shard_name(2)}.99999.tmp").write_bytes(b"half")  # killed while writing
    (tmp_path / "d" / "metadata.parquet").unlink()
    summary = build(recipe, tmp_path / "d", 1)
    assert summary["num_shards_made_now"] == 2
    assert contents(tmp_path / "d") == finished
    assert (tmp_path / "d" / shard_name(0)).stat().st_mtime_ns == kept
    assert build(recipe, tmp_path / "d")["num_shards_made_now"] == 0


def test_a_changed_recipe_is_refused_with_the_difference(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(made)
    assert main(arguments(made, "1", "--seed", "5", "--canvas.jitter", "none")) == 2
    message = capsys.readouterr().err
    assert 'canvas.jitter: "smooth" → "none"; seed: 0 → 5' in message and "Traceback" not in message
    assert contents(made) == before


def test_dropped_samples_are_counted(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=1))
    for path in sorted(images.iterdir())[:4]:
        path.write_bytes(path.read_bytes()[:100])
    broken = recipe.model_copy(update={"coco": CocoPaths(captions=captions, images=images), "test_fraction": 0.0})
    summary = build(broken, tmp_path / "d", 1)
    assert summary["counts"]["dropped_image_corrupt"] + summary["num_samples"] == 12
    assert summary["counts"]["dropped_image_corrupt"] == 12 - len(Dataset.open(tmp_path / "d"))
    assert "dropped_image_corrupt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--coco.captions", "nowhere.json", "--coco.images", "."], "cannot read COCO captions nowhere.json"),
        (["--coco.captions", "nowhere.json"], "coco.images is missing"),
        (["--tasks", "first_lst"], "did you mean 'first_last'"),
        (["--canvas.num-scenes", "2", "90"], "first_last needs S = 90 different images"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(arguments(tmp_path / "d", "1", *more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(arguments(tmp_path / "file", "1")) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_an_error_inside_a_worker_reaches_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d" / shard_name(1)).mkdir(parents=True)
    assert main(arguments(tmp_path / "d", "1")) == 2
    assert "cannot write" in capsys.readouterr().err
    assert (tmp_path / "d" / shard_name(0)).exists(), "what was finished before is kept"


def test_the_summary_adds_up(made: Path) -> None:
    summary: dict[str, Any] = json.loads((made / "summary.json").read_text())
    assert summary["num_samples"] == len(Dataset.open(made)) == 20
    assert summary["num_bytes"] == sum(path.stat().st_size for path in made.glob("*.tar"))


def test_preview_shows_every_task(made: Path, tmp_path: Path) -> None:
    text = run_preview(PreviewConfig(data=made, out=tmp_path / "page.html", per_task=2)).read_text()
    assert text.count('<article class="card"') == 4
    for name in ("motion_direction", "first_last"):
        assert text.count(f'data-task="{name}"') == 2
    assert text.count('<li class="right">') == 4
    with pytest.raises(UserError, match="cannot write"):
        run_preview(PreviewConfig(data=made, out=tmp_path / "nowhere" / "page.html"))


def test_preview_and_audit_take_the_dataset_as_their_argument(made: Path, tmp_path: Path) -> None:
    assert main(["preview", str(made), "--out", str(tmp_path / "page.html"), "--per-task", "1"]) == 0
    assert main(["preview", str(tmp_path)]) == 2


def test_audit_writes_its_verdict_and_the_card(tmp_path: Path, recipe: Recipe) -> None:
    build(
        recipe.model_copy(update={"num_samples": 120, "samples_per_shard": 120, "storage": "virtual"}), tmp_path / "d"
    )
    result = run_audit(AuditConfig(data=tmp_path / "d"))
    assert result == json.loads((tmp_path / "d" / "audit.json").read_text())
    assert {task["task"] for task in result["tasks"]} == {"motion_direction", "first_last"}
    assert all(task["judged"] for task in result["tasks"])
    assert "Not audited yet" not in (tmp_path / "d" / "README.md").read_text()


def test_a_config_gives_its_recipe(recipe: Recipe, tmp_path: Path) -> None:
    config = GenerateConfig(**recipe.model_dump(), out=tmp_path / "d", num_workers=2)
    assert config.recipe == recipe
    assert run(config)["num_samples"] == 12
    assert Dataset.open(tmp_path / "d").recipe == recipe


def test_every_preset_names_primitives_that_exist() -> None:
    for preset in PRESETS.values():
        check(preset().recipe)
