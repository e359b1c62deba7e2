"""Adapters that vLLM computes beside its weights: the trainer's log-probabilities, and no whole weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.engines._base import NO_WEIGHTS, AdapterEngine
from temporay.models.engines._settings import AppliedAdapters
from temporay.models.families._base import FAMILIES, family_of
from temporay.models.lora import Lora, Trained
from temporay.models.parity import TOLERANCE, gaps_to_trainer
from temporay.models.policy import Policy
from temporay.operators.components import available
from temporay.operators.errors import UserError
from temporay.operators.records import Group, Prompt, Sampling

from tests.models.ranks import LORA
from tests.models.small_engines import small_prompts
from tests.models.small_policies import adapters_of, make_policy, move_factors, processor_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),  # vLLM's start warns
    pytest.mark.xdist_group("vllm"),  # one process loads vLLM for all files that use it
]
EVERYWHERE = AppliedAdapters(rank=LORA.lora.rank)
IN_Q_PROJ = AppliedAdapters(rank=2, modules=("q_proj",), in_vision=False)
GREEDY = Sampling(num_rollouts=1, temperature=0.0, max_tokens=12, seed=0)
SAMPLED = Sampling(num_rollouts=3, temperature=1.0, max_tokens=12, seed=1)


def prompts_of(model: Path) -> list[Prompt]:
    return small_prompts(processor_of(model), [((8, 48, 48), 4.0), ((5, 64, 48), 4.0), (None, 4.0)])


def gap(policy: Policy, model: Path, groups: Sequence[Group]) -> float:
    """Return the largest difference between an engine's log-probabilities and those of the merged policy."""
    family, trainer = family_of(model), family_of(model).load_model(model, torch.float32)
    trainer.load_state_dict(policy.state_dict(), strict=False)
    gaps = gaps_to_trainer(trainer, family, processor_of(model), prompts_of(model), groups, 1.0)
    return max(max(row) for row in gaps)


@pytest.mark.parametrize("family", available(FAMILIES))
def test_log_probabilities_are_the_trainers(
    family: str, engines: Callable[..., Any], tiny_models: Callable[[str], Path]
) -> None:
    """For adapters in every part of the model, after each of two versions, asked about the same clips."""
    engine, model = engines("vllm", family, 1, EVERYWHERE), tiny_models(family)
    policy = make_policy(model, trained=LORA)
    assert isinstance(engine, AdapterEngine)
    for version in (1, 2):
        before = engine.generate(prompts_of(model), SAMPLED)
        move_factors(policy, seed=version)
        assert gap(policy, model, before) > 100 * TOLERANCE["float32"]
        engine.load_adapters(adapters_of(policy, model), version)
        groups = engine.generate(prompts_of(model), SAMPLED)
        assert gap(policy, model, groups) < TOLERANCE["float32"]
        assert {r.weight_version for group in groups for r in group.rollouts} == {version}


@pytest.mark.parametrize("num_workers", [1, 2])
def test_greedy_rollouts_are_those_under_merged_weights(
    num_workers: int, engines: Callable[..., Any], tiny_model: Path
) -> None:
    applying, plain = engines("vllm", "qwen3_vl", num_workers, EVERYWHERE), engines("local", "qwen3_vl")
    policy = make_policy(tiny_model, trained=LORA)
    move_factors(policy, seed=3)
    applying.load_adapters(adapters_of(policy, tiny_model), 3)
    plain.load_weights([policy.state_dict()], 3)
    found, expected = (
        [r.completion_ids for group in engine.generate(prompts_of(tiny_model), GREEDY) for r in group.rollouts]
        for engine in (applying, plain)
    )
    assert found == expected


def test_they_outlive_a_sleep_that_drops_weights(engines: Callable[..., Any], tiny_model: Path) -> None:
    """The checkpoint's weights are kept, because only adapters come again."""
    engine = engines("vllm", "qwen3_vl", 1, EVERYWHERE)
    policy = make_policy(tiny_model, trained=LORA)
    engine.sleep(keep_weights=False)
    assert engine.weight_version == NO_WEIGHTS
    with pytest.raises(RuntimeError, match="sleeps"):
        engine.generate(prompts_of(tiny_model), GREEDY)
    move_factors(policy, seed=4)
    engine.load_adapters(adapters_of(policy, tiny_model), 4)
    assert gap(policy, tiny_model, engine.generate(prompts_of(tiny_model), SAMPLED)) < TOLERANCE["float32"]


def test_what_an_engine_does_not_compute_is_refused(engines: Callable[..., Any], tiny_model: Path) -> None:
    """VLLM itself would leave the layers out without a word."""
    engine = engines("vllm", "qwen3_vl", 1, IN_Q_PROJ)
    chosen = Lora(rank=2, modules=("q_proj",))
    policy = make_policy(
        tiny_model, trained=Trained(weights="lora", vision_tower="frozen", projector="frozen", lora=chosen)
    )
    move_factors(policy, seed=5)
    engine.load_adapters(adapters_of(policy, tiny_model), 5)
    assert gap(policy, tiny_model, engine.generate(prompts_of(tiny_model), SAMPLED)) < TOLERANCE["float32"]
    everywhere = make_policy(tiny_model, trained=LORA)
    with pytest.raises(UserError, match=r"no adapter beside .* give pool\.adapters merged"):
        engine.load_adapters(adapters_of(everywhere, tiny_model), 6)
    with pytest.raises(RuntimeError, match="was given whole weights"):
        engine.load_weights([policy.state_dict()], 7)
