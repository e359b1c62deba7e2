"""Adapters added to a checkpoint's weights, for engines that get whole ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from temporay.models.adapters import layers_by_name
from temporay.models.families._base import FAMILIES
from temporay.operators.components import available

from tests.models.ranks import LORA
from tests.models.small_policies import adapters_of, make_policy, move_factors


@pytest.mark.parametrize("family", available(FAMILIES))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_are_the_policys_to_the_bit(
    family: str, dtype: torch.dtype, tiny_models: Callable[[str], Path]
) -> None:
    model = tiny_models(family)
    policy = make_policy(model, trained=LORA)
    move_factors(policy, seed=1)
    adapters = adapters_of(policy, model)
    found, expected = dict(adapters.whole_weights(dtype)), dict(policy.whole_weights(dtype))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) and found[name].dtype == dtype for name, tensor in expected.items())
    base = dict(make_policy(model).whole_weights(dtype))
    assert sum(not torch.equal(found[name], base[name]) for name in base) == len(adapters.factors) / 2


def test_factors_of_another_model_are_refused(tiny_model: Path) -> None:
    adapters = adapters_of(make_policy(tiny_model, trained=LORA), tiny_model)
    renamed = {name.replace("layers.1.", "layers.7."): factor for name, factor in adapters.factors.items()}
    with pytest.raises(RuntimeError, match=r"has no layer for 14 factors; the first is .*layers\.7\."):
        list(dataclasses.replace(adapters, factors=renamed).whole_weights(torch.float32))


def test_names_of_layers(tiny_model: Path) -> None:
    text = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert layers_by_name(tiny_model, (), in_vision=False) == text
    assert layers_by_name(tiny_model, ("v_proj", "q_proj"), in_vision=True) == ["q_proj", "v_proj"]
    assert layers_by_name(tiny_model, (), in_vision=True) is None  # proj is also a convolution of the vision tower
