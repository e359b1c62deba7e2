"""The command, its Ray workers and its wheel find our packages, whatever packages the current folder holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOSTILE = ("operators", "models", "workflows", "cluster", "tests")
GENERATE = ["generate", "synrl", "--num-samples", "2", "--samples-per-shard", "1", "--tasks", "motion_direction"]
GENERATE += ["--num-workers", "1", "--check-pixels", "False", "--out", "data"]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with packages of the same names as ours, each of which fails when it is imported."""
    folder = tmp_path / "research"
    for name in HOSTILE:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('the {name} of somebody else')\n")
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that a user would install."""
    folder, copy = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("copy")
    for name in (*HOSTILE[:-1], "pyproject.toml", "README.md", "LICENSE"):  # a build leaves files in its folder
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), "."]
    subprocess.run(command, cwd=copy, check=True, capture_output=True, text=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another environment with the wheel installed; returns its folder of programs.

    It borrows the packages we depend on from this environment. It does not see this repository, because files that
    make an editable install work are not read from a borrowed folder.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install", "-q", "--no-deps"]
    subprocess.run([*command, "--force-reinstall", "--target", str(packages), str(wheel)], check=True)
    script = folder / "bin" / "temporay"  # what pip writes for a console command
    script.write_text(
        f"#!{folder}/bin/python\nimport sys\nfrom temporay.workflows.__main__ import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return folder / "bin"


def run_in(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, without what this test process adds to the search path."""
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    return subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)


def test_a_wheel_puts_one_name_at_the_top(wheel: Path) -> None:
    top = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"temporay"}


def test_the_console_command_finds_ours(hostile: Path) -> None:
    done = run_in(hostile, Path(sys.executable).parent / "temporay", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: temporay" in done.stdout


def test_the_module_and_its_ray_workers_find_ours(hostile: Path) -> None:
    """With ``-m``, Python puts the current folder first, and Ray gives it to its workers."""
    done = run_in(hostile, sys.executable, "-m", "temporay.workflows", *GENERATE)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 samples in 2 shards" in done.stdout


def test_an_installed_wheel_and_its_ray_workers_find_ours(hostile: Path, elsewhere: Path) -> None:
    where = run_in(hostile, elsewhere / "python", "-c", "import temporay.operators as o; print(o.__file__)")
    assert str(elsewhere.parent) in where.stdout, where.stderr
    done = run_in(hostile, elsewhere / "temporay", *GENERATE)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 samples in 2 shards" in done.stdout
    assert run_in(hostile, elsewhere / "temporay", "lint", "data").returncode == 0
