"""What all tests of fine-tuning train on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_data import write_dataset
from tests.small_runs import write_model


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ten clips of drawn motion."""
    return write_dataset(tmp_path_factory.mktemp("data"), num_samples=10)


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(data, tmp_path_factory.mktemp("base") / "model")
