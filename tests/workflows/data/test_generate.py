from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from temporay.operators.dataset.drawn_coco import DrawnScenes, write_drawn_coco
from temporay.operators.dataset.markers import marker_path, shard_name
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.shards import DEAD_LETTER_FILE
from temporay.workflows.__main__ import main
from temporay.workflows.data.audit import AuditConfig
from temporay.workflows.data.audit import run as run_audit
from temporay.workflows.data.generate import GenerateConfig, _located, build, run

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
    asked = ["--tasks", "motion_direction", "first_last", "--weights"]
    return ["generate", "quickstart", *sizes, *asked, "--out", str(out), *more]


def test_any_number_of_workers_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    assert main(arguments(tmp_path / "two", "2")) == 0
    one, two = contents(made), contents(tmp_path / "two")
    assert main(arguments(tmp_path / "four", "4")) == 0
    assert one == two == contents(tmp_path / "four")
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
    assert '→ "none"; seed: 0 → 5' in message and "canvas.jitter: " in message and "Traceback" not in message
    assert contents(made) == before


def test_replaced_samples_are_counted(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=1))
    for path in sorted(images.iterdir())[:10]:
        path.write_bytes(path.read_bytes()[:100])
    broken = recipe.model_copy(update={"coco": CocoPaths(captions=captions, images=images), "test_fraction": 0.0})
    summary = build(broken, tmp_path / "d", 1)
    dead = pq.read_table(tmp_path / "d" / DEAD_LETTER_FILE)
    assert summary["num_samples"] == 12 == len(Dataset.open(tmp_path / "d")), "shards stay full"
    assert summary["counts"]["replaced_image_corrupt"] == len(dead) > 0
    assert "replaced_image_corrupt" in capsys.readouterr().out


def test_too_many_failures_stop_the_run_with_the_reason(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captions, images = write_drawn_coco(tmp_path / "coco", DrawnScenes(side=32, variants=1))
    for path in images.iterdir():
        path.write_bytes(b"")
    coco = ["--coco.captions", str(captions), "--coco.images", str(images)]
    assert main(arguments(tmp_path / "d", "1", *coco)) == 2
    error = capsys.readouterr().err
    assert "addresses in a row gave no sample of first_last, most often for image_corrupt" in error
    assert "repair the images" in error and "Traceback" not in error


@pytest.mark.drill
@pytest.mark.timeout(2400)
def test_ten_kills_at_random_moments_leave_the_same_bytes(tmp_path: Path) -> None:
    """Driver, workers and their Ray cluster are killed at once; runs with 1, 2 and 4 workers take turns."""
    longer = ("--num-samples", "480", "--samples-per-shard", "12")
    assert main(arguments(tmp_path / "undisturbed", "2", *longer)) == 0
    out = tmp_path / "killed"
    rng = random.Random(3)
    num_killed = 0
    for turn in range(40):
        command = [sys.executable, "-m", "temporay.workflows", *arguments(out, str((1, 2, 4)[turn % 3]), *longer)]
        silent = subprocess.DEVNULL
        process = subprocess.Popen(command, start_new_session=True, stdout=silent, stderr=silent)
        try:
            if num_killed % 4 == 3:  # somewhere in the start of the command and of Ray
                time.sleep(rng.uniform(0.5, 8.0))
            else:  # while shards are written
                wait_for_work(process, out)
                time.sleep(rng.uniform(0.0, 1.5))
            num_killed += process.poll() is None
        finally:
            kill_session(process.pid)
            process.wait()
        if num_killed == 10:
            break
        if len(list(out.glob("*.stats.json"))) == 40:  # some of it is taken away again, as a kill might have left it
            for shard in rng.sample(range(40), 12):
                marker_path(out, shard).unlink()
    assert num_killed == 10
    assert main(arguments(out, "2", *longer)) == 0
    assert contents(out) == contents(tmp_path / "undisturbed")


def wait_for_work(process: subprocess.Popen[bytes], out: Path) -> None:
    """Until a shard is being written or has been, or the run has ended."""
    before = set(out.glob("*.stats.json"))
    while process.poll() is None and not list(out.glob(".shard-*.tmp")) and set(out.glob("*.stats.json")) <= before:
        time.sleep(0.005)


def kill_session(session_id: int) -> None:
    """Kills every process of a session with SIGKILL: the driver and the Ray cluster it started."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == session_id:
                os.kill(pid, signal.SIGKILL)


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


def test_workers_are_given_absolute_paths(recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    coco = CocoPaths(captions=Path("c.json"), images=Path("images"), instances=Path("i.json"))
    located = _located(recipe.model_copy(update={"coco": coco})).coco
    assert (located.captions, located.images) == (tmp_path / "c.json", tmp_path / "images")
    assert located.instances == tmp_path / "i.json" and located.licenses == coco.licenses
    assert _located(recipe.model_copy(update={"coco": CocoPaths()})).coco == CocoPaths()
