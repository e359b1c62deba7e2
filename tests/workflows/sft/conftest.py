"""What all tests of fine-tuning train on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporay.models.families._base import family_of
from temporay.models.tiny import TinyShape, build

from tests.small_data import renamed_copy, write_dataset
from tests.small_runs import write_model


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ten clips of drawn motion, and beside them the same ones as ``held_out``."""
    folder = write_dataset(tmp_path_factory.mktemp("data") / "trained_on", num_samples=10)
    renamed_copy(folder, folder.with_name("held_out"))
    return folder


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(data, tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Build a tiny model, with what its worker has for collating."""
    out = tmp_path_factory.mktemp("tiny") / "model"
    build(out, ["Is it brighter after 1?"] * 5, TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1), 0)
    family = family_of(out)
    return SimpleNamespace(model=out, family=family, processor=family.load_processor(out))
