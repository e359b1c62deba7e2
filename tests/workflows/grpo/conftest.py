"""A small dataset for GRPO, and a model that can read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_data import write_dataset
from tests.small_runs import write_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write pairs of twins on two levels."""
    return write_dataset(tmp_path_factory.mktemp("rl"), split="rl", num_samples=12, twins=True, levels=(0, 1))


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(data, tmp_path_factory.mktemp("policy") / "model")
