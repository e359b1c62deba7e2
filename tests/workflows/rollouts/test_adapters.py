"""Which pools apply adapters, which add them to weights, and what is said of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from temporay.models.lora import EVERYTHING, Lora, Trained
from temporay.operators.errors import UserError
from temporay.workflows.rollouts.adapters import check_adapters, said_of_adapters, with_adapters
from temporay.workflows.rollouts.settings import PoolConfig, ResolvedPool

LORA = Trained(weights="lora", vision_tower="frozen", lora=Lora(rank=8, modules=("q_proj",)))
HIGH_RANK = Trained(weights="lora", lora=Lora(rank=1024))
TEXT = Trained(weights="lora", vision_tower="frozen", projector="frozen")


@pytest.mark.parametrize(
    ("pool", "trained", "applied"),
    [
        ({"num_gpus": 1.0}, LORA, True),
        ({"num_gpus": 1.0, "engine": "vllm"}, LORA, True),
        ({"num_gpus": 1.0, "engine": "local"}, LORA, False),
        ({"num_gpus": 1.0, "adapters": "merged"}, LORA, False),
        ({"num_gpus": 1.0}, HIGH_RANK, False),
        ({"num_gpus": 1.0}, EVERYTHING, False),
        ({}, LORA, False),
        ({"adapters": "applied"}, LORA, True),
    ],
)
def test_who_applies_adapters(pool: dict[str, Any], trained: Trained, applied: bool) -> None:
    found = with_adapters(ResolvedPool(**pool), trained)
    assert (found.settings.adapters is not None) == applied
    assert found.model_copy(update={"settings": ResolvedPool().settings}) == ResolvedPool(**pool)


def test_what_is_applied() -> None:
    found = [with_adapters(ResolvedPool(num_gpus=1.0), trained).settings.adapters for trained in (LORA, TEXT)]
    assert [(one.rank, one.modules, one.in_vision) for one in found if one] == [(8, ("q_proj",), True), (16, (), False)]


@pytest.mark.parametrize(
    ("pool", "trained", "said"),
    [
        ({"adapters": "merged"}, EVERYTHING, "pool.adapters is merged, but trained.weights is not lora"),
        ({"adapters": "applied", "engine": "local"}, LORA, "the local engine computes none beside its weights"),
        ({"adapters": "applied"}, HIGH_RANK, "lora.rank is 1024 and vLLM takes at most 512"),
    ],
)
def test_wishes_that_cannot_be_met(pool: dict[str, Any], trained: Trained, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_adapters(PoolConfig(**pool), trained)
    check_adapters(PoolConfig(), trained)


@pytest.mark.parametrize(
    ("pool", "engine", "said"),
    [
        ({"num_gpus": 1.0}, "vllm", "^vLLM computes them beside"),
        ({"num_gpus": 1.0}, "local", r"adds them .* \(the local engine computes none"),
        ({"num_gpus": 1.0, "adapters": "merged"}, "vllm", r"adds them .* \(pool.adapters is merged"),
        ({}, "vllm", r"adds them .* \(on CPUs"),
    ],
)
def test_what_is_said(pool: dict[str, Any], engine: str, said: str) -> None:
    assert re.search(said, said_of_adapters(with_adapters(ResolvedPool(**pool), LORA), engine))
    assert "they were not started for" in said_of_adapters(ResolvedPool(num_gpus=1.0), "vllm")
