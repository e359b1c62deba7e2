"""What the tests of models share: tiny models, engines and two ranks, each made once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a tiny random model by the name of its family.

    The test of a family that ``tests.models.tiny_models`` does not build has a fixture ``tiny_NAME``.
    """

    @functools.cache
    def folder_of(family: str) -> Path:
        from tests.models.tiny_models import BUILT, build_tiny_model  # heavy: transformers' model classes

        if family not in BUILT:
            return request.getfixturevalue(f"tiny_{family}")  # type: ignore[no-any-return]
        out = tmp_path_factory.mktemp(f"tiny_{family}") / "model"
        build_tiny_model(family, out)
        return out

    return folder_of


@pytest.fixture(scope="session")
def tiny_model(tiny_models: Callable[[str], Path]) -> Path:
    """Return a random Qwen3-VL of two layers with its own tokenizer and processor."""
    return tiny_models("qwen3_vl")


@pytest.fixture(scope="session")
def family(tiny_model: Path) -> Any:
    """Return the family of ``tiny_model``."""
    from temporay.models.families._base import family_of  # heavy: torch

    return family_of(tiny_model)


@pytest.fixture(scope="session")
def processor(family: Any, tiny_model: Path) -> Any:
    """Return the processor of ``tiny_model``."""
    return family.load_processor(tiny_model)


@pytest.fixture(scope="session")
def tiny_qwen2_5_vl(tiny_models: Callable[[str], Path]) -> Path:
    """Return a random Qwen2.5-VL of two layers."""
    return tiny_models("qwen2_5_vl")


@pytest.fixture(scope="module")
def engines(tiny_models: Callable[[str], Path]) -> Iterator[Callable[..., Any]]:
    """An engine by its name, its model's family, its number of worker processes and the adapters it applies.

    Tests load the weights they need under new versions. They end with a file's tests: another may need a process group.
    """
    from tests.models.small_engines import end_engines, start_engine  # heavy: vLLM

    @functools.cache
    def engine_of(name: str, family: str, tensor_parallel: int = 1, adapters: Any = None) -> Any:
        return start_engine(name, tiny_models(family), tensor_parallel, adapters)

    yield engine_of
    engine_of.cache_clear()
    end_engines()


@pytest.fixture(scope="session")
def two_ranks(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of two FSDP2 ranks, a folder for each run of ``tests.models.ranks``."""
    from tests.models.ranks import run_ranks  # heavy: torch

    out = tmp_path_factory.mktemp("two_ranks")
    run_ranks(tiny_model, out)
    return out
