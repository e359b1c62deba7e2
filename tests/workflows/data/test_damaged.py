"""Commands on damaged files: each ends with 2 and one sentence that names the file, and none with a traceback."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from temporay.operators.dataset.markers import marker_path, shard_name
from temporay.operators.dataset.shards import METADATA_FILE, RECIPE_FILE
from temporay.workflows.__main__ import main

from tests.small_data import write_dataset

Damage = Callable[[Path], object]
COMMANDS = {
    "lint": ["--parallel", "False"],
    "audit": [],
    "preview": ["--out", "preview.html"],
    "export": ["--format", "verl", "--out", "exported"],
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve samples in one shard."""
    return write_dataset(tmp_path_factory.mktemp("sound"), num_samples=12)


@pytest.fixture
def made(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dataset; commands write beside it."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(sound, tmp_path / "data")


def written(name: str, text: str) -> Damage:
    """Return what puts another text into a file of the dataset."""
    return lambda folder: (folder / name).write_text(text)


def without_shard(folder: Path) -> None:
    (folder / shard_name(0)).unlink()


def cut_shard(folder: Path) -> None:
    path = folder / shard_name(0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 20])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (written(RECIPE_FILE, "{"), f"{RECIPE_FILE} cannot be read ("),
        (written(RECIPE_FILE, "[]"), f"{RECIPE_FILE} holds no JSON object; restore it"),
        (written(RECIPE_FILE, "{}"), f"{RECIPE_FILE} lacks identity, coco, recipe_hash; restore it"),
        (written(METADATA_FILE, "rows"), f"{METADATA_FILE} cannot be read ("),
    ],
)
def test_a_damaged_index_is_one_sentence(
    command: str, damage: Damage, said: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(made)
    assert main([command, str(made), *COMMANDS[command]]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("temporay: ") and said in line


@pytest.mark.parametrize(
    ("command", "damage", "said"),
    [
        ("audit", without_shard, "cannot be read (No such file or directory); `temporay lint` lists every fault"),
        ("export", without_shard, "cannot be read (No such file or directory); `temporay lint` lists every fault"),
        ("audit", cut_shard, "the clip of "),
        ("retry", written(marker_path(Path(), 0).name, "{"), "delete it, and run the same generate command again"),
    ],
)
def test_a_damaged_shard_is_one_sentence(
    command: str, damage: Damage, said: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(made)
    assert main([command, str(made), *COMMANDS.get(command, [])]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("temporay: ") and said in line


@pytest.mark.parametrize("text", ["{", "{}", '{"samples": 3}'])
def test_lint_names_a_damaged_marker(text: str, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker = marker_path(made, 0)
    marker.write_text(text)
    assert main(["lint", str(made)]) == 2
    problem, count = capsys.readouterr().out.splitlines()
    assert problem.startswith(f"{shard_name(0)}: {marker}")
    assert count.startswith("1 problems in 12 samples")


@pytest.mark.parametrize(("damage", "said"), [(without_shard, "12 samples, 12 of them"), (cut_shard, "12 samples, 1")])
def test_a_preview_counts_the_clips_it_cannot_play(
    damage: Damage, said: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(made)
    assert main(["preview", str(made), *COMMANDS["preview"], "--per-task", "12"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(said) and "without a clip that can be played" in last


def test_a_dataset_is_not_exported_into_itself(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(made.iterdir())
    assert main(["export", str(made), "--format", "verl", "--out", str(made / ".." / made.name)]) == 2
    assert "the dataset itself; give another folder" in capsys.readouterr().err
    assert sorted(made.iterdir()) == before


def test_an_audit_of_too_few_samples_says_that_nothing_was_judged(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(made)]) == 0
    printed = capsys.readouterr().out
    assert "nothing was judged: every task has fewer than 30 samples" in printed and "passed" not in printed


@pytest.mark.parametrize("name", ["config.json", "summary.json"])
def test_a_damaged_run_is_one_sentence(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"command": "run"}')
    (tmp_path / name).write_text("{")
    assert main(["report", str(tmp_path)]) == 2
    assert f"{tmp_path / name} cannot be read (" in capsys.readouterr().err
