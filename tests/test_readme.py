"""What the README and the packages' docstrings say exists, and every command line they show is one that is accepted."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
from temporay.cluster.submit import add_arguments
from temporay.operators.components import OWN_FOLDERS, with_own_folders
from temporay.operators.errors import UserError
from temporay.workflows.__main__ import COMMANDS, command_in, config_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("[a-z]*/README.md"), *ROOT.glob("tests/*/*.md")]
)
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
EVERYTHING = "\n".join(TEXTS.values())
MAX_README_WORDS = 1200
PACKAGES = ("operators", "models", "workflows", "cluster")
OPEN_FOLDERS = (
    "benchmarks",
    "primitives",
    "rewards",
    "advantages",
    "forms",
    "sources",
    "engines",
    "families",
    "losses",
    "presets",
    "exports",
)  # a new file edits nothing else


def blocks(kind: str) -> list[str]:
    """Fenced blocks of one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", EVERYTHING, re.DOTALL | re.MULTILINE)
    return [text for language, text in fenced if language == kind]


def shown_commands() -> list[list[str]]:
    """Return the arguments of every ``temporay`` line in a block of shell, without comments."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["temporay"]]


def check_command(arguments: list[str]) -> None:
    """Parse a command line as the program would, without running it."""
    name, rest = command_in(arguments)
    if name == "submit":
        split = rest.index("--")
        parser = argparse.ArgumentParser(exit_on_error=False)
        add_arguments(parser)
        parser.parse_args(rest[:split])
        check_command(rest[split + 1 :])
    else:
        config_of(name, rest)


@pytest.fixture
def shown_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the rewards that the pages show where ``TEMPORAY_COMPONENTS`` would name them."""
    package = importlib.import_module("temporay.operators.rewards")  # before the variable names a folder to it
    (tmp_path / "rewards").mkdir()
    for name, text in re.findall(r"^```python\n# rewards/(\S+\.py)\n(.*?)^```$", EVERYTHING, re.S | re.M):
        (tmp_path / "rewards" / name).write_text(text)
    monkeypatch.setenv(OWN_FOLDERS, str(tmp_path))
    monkeypatch.setattr(package, "__path__", with_own_folders(package.__name__, package.__path__))


@pytest.mark.parametrize("arguments", shown_commands(), ids=" ".join)
def test_shown_commands_are_accepted(arguments: list[str], shown_rewards: None) -> None:
    check_command(arguments)


def test_a_wrong_command_would_be_noticed() -> None:
    for wrong in ("fly", "generate quickstartt", "sft tiny --data d --model m --out o --rate 1", "report"):
        with pytest.raises((UserError, SystemExit, KeyError)):
            check_command(wrong.split())


def test_every_command_has_an_example() -> None:
    assert {command_in(arguments)[0] for arguments in shown_commands()} == set(COMMANDS)


def test_commands_named_in_text_exist() -> None:
    named = set(re.findall(r"`temporay ([a-z]+)", EVERYTHING))
    assert named and named <= set(COMMANDS)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", EVERYTHING, re.MULTILINE))
    names = {name for pair in named for name in pair if name}
    assert {"quickstart", "test"} <= names <= targets


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= MAX_README_WORDS


def anchors(text: str) -> set[str]:
    """Return what a link can jump to in a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS)
def test_links_and_pictures_exist(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", TEXTS[page]):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.is_file(), link
        assert not anchor or anchor in anchors(path.read_text()), link


def test_primitives_named_exist() -> None:
    section = README.split("## What it asks")[1].split("## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert len(named) > 10 and named <= {p.stem for p in (ROOT / "operators/primitives").rglob("[a-z]*.py")}


@pytest.mark.parametrize(
    "folder", sorted(p.parent.relative_to(ROOT) for q in PACKAGES for p in (ROOT / q).rglob("__init__.py")), ids=str
)
def test_package_docstrings_list_their_files(folder: Path) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""
    listed = set(re.findall(r"^(\w+)(?:/|\.\w+)?  +\S", docstring, re.MULTILINE)) - {"Dockerfile"}
    existing = {path.stem for path in (ROOT / folder).iterdir() if path.suffix in (".py", ".yaml") or path.is_dir()}
    assert listed <= existing
    if not set(folder.parts) & set(OPEN_FOLDERS):
        assert listed == existing - {"__init__", "__pycache__"}
