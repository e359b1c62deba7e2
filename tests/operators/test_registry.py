"""The registry: components are found by their files, here and in folders of the user's own."""

from __future__ import annotations

import importlib
import linecache
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporay.operators import components
from temporay.operators.components import KINDS, OWN_FOLDERS, available, load, with_own_folders
from temporay.operators.errors import UserError
from temporay.operators.primitives._base import PRIMITIVES, primitive_called

PACKAGE = "temporay.operators.rewards"
REWARD = """
from temporay.operators.rewards._base import Reward


class Polite(Reward):
    def score(self, rollout, sample):
        return float("please" in rollout.text)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's, known to the package of rewards."""
    (tmp_path / "rewards").mkdir()
    monkeypatch.setenv(OWN_FOLDERS, f"{os.pathsep}{tmp_path}")
    package = importlib.import_module(PACKAGE)
    monkeypatch.setattr(package, "__path__", with_own_folders(PACKAGE, package.__path__))
    yield tmp_path / "rewards"
    importlib.invalidate_caches()


def test_a_file_in_a_folder_of_ones_own_is_a_component(own: Path) -> None:
    assert "polite" not in available(PACKAGE)
    (own / "polite.py").write_text(REWARD)
    (own / "_shared.py").write_text("")
    importlib.invalidate_caches()
    assert "polite" in available(PACKAGE)
    assert not [name for name in available(PACKAGE) if name.startswith("_")]
    assert load(PACKAGE, "polite").__module__ == f"{PACKAGE}.polite"


def test_a_taken_name_is_refused(own: Path) -> None:
    (own / "accuracy.py").write_text(REWARD)
    with pytest.raises(UserError, match="'accuracy', but that name is taken; rename the file"):
        available(PACKAGE)


def test_a_class_must_be_named_like_its_file(own: Path) -> None:
    (own / "kind.py").write_text(REWARD)
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=r"kind.py has no class Kind; name the class like its file"):
        load(PACKAGE, "kind")


def test_a_missing_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN_FOLDERS, "/no/such/folder")
    with pytest.raises(UserError, match="names /no/such/folder, which is not a folder"):
        with_own_folders(PACKAGE, [])


def test_a_folder_without_any_kind_of_component_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reward").mkdir()
    monkeypatch.setenv(OWN_FOLDERS, str(tmp_path))
    with pytest.raises(UserError, match=r"none of the sub-folders that hold components: .*primitives, rewards"):
        with_own_folders(PACKAGE, [])


def test_every_package_of_components_has_its_sub_folder() -> None:
    root = Path(importlib.import_module("temporay.operators").__path__[0]).parent
    packages = [path for folder in ("operators", "models") for path in (root / folder).rglob("__init__.py")]
    named = {path.parent.name for path in packages if "with_own_folders(" in path.read_text()}
    assert named == set(KINDS)


def test_an_unknown_name_gets_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OWN_FOLDERS, raising=False)
    with pytest.raises(UserError, match=rf"'accuracy'.* once {OWN_FOLDERS} names the folder with rewards/acuracy.py"):
        load(PACKAGE, "acuracy")
    monkeypatch.setenv(OWN_FOLDERS, "/own")
    with pytest.raises(UserError, match=r"repetition, [a-z_, ]*twin\)$"):
        load(PACKAGE, "acuracy")


def test_a_file_that_is_not_python_is_one_sentence(own: Path) -> None:
    (own / "torn.py").write_text("def (")
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=r"torn.py, line 1: .*; correct the file"):
        load(PACKAGE, "torn")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\nimport no_such_package\n", r"torn.py, line 2: ModuleNotFoundError: No module named 'no_such_package'; cor"),
        ("\n\n1 / 0\n", r"torn.py, line 3: ZeroDivisionError: division by zero; correct"),
        (REWARD.replace("def score", "def scores").replace("Polite", "Torn"), r"torn.py, line 5: Torn lacks score; wr"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(own: Path, text: str, sentence: str) -> None:
    (own / "torn.py").write_text(text)
    importlib.invalidate_caches()
    sys.modules.pop(f"{PACKAGE}.torn", None)
    linecache.clearcache()
    with pytest.raises(UserError, match=sentence):
        load(PACKAGE, "torn")


def test_a_fault_of_ours_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a file of the user's is theirs to correct."""
    monkeypatch.setattr(components, "OURS", tmp_path)
    (tmp_path / "torn_of_ours.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError):
        load(PACKAGE, "torn_of_ours:Torn")


def test_a_primitive_has_the_name_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "primitives").mkdir()
    text = "from temporay.operators.primitives.motion.rotation import Rotation\n\n\nclass Whirl(Rotation):\n    pass\n"
    (tmp_path / "primitives/whirl.py").write_text(text)
    monkeypatch.setenv(OWN_FOLDERS, str(tmp_path))
    package = importlib.import_module(PRIMITIVES)
    monkeypatch.setattr(package, "__path__", with_own_folders(PRIMITIVES, package.__path__))
    with pytest.raises(UserError, match=r"whirl.py has task 'rotation'; give it the file's own name, 'whirl'"):
        primitive_called("whirl")
