"""The registry: components are found by their files, here and in folders of the user's own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporay.operators.components import OWN_FOLDERS, available, load, with_own_folders
from temporay.operators.errors import UserError

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


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UserError, match="accuracy"):
        load(PACKAGE, "acuracy")


def test_a_file_that_is_not_python_is_one_sentence(own: Path) -> None:
    (own / "torn.py").write_text("def (")
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=r"torn.py, line 1: .*; correct the file"):
        load(PACKAGE, "torn")
