"""A vLLM engine on a GPU gives its memory back while it sleeps, and says what the trainer computes after waking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.engines._settings import ENGINES, AppliedAdapters, EngineSettings
from temporay.models.families._base import Family
from temporay.operators.components import load
from temporay.operators.records import Sampling

from tests.models.conftest import family, processor, tiny_model, tiny_models
from tests.models.engines.test_engines import TOLERANCE, largest_gap, make_prompts, perturb
from tests.models.ranks import LORA
from tests.models.small_policies import adapters_of, make_policy, move_factors

__all__ = ["family", "processor", "tiny_model", "tiny_models"]  # fixtures
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")]
KV_CACHE_MIB = 1024
SAMPLED = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=0)


def test_memory_is_given_back(family: Family, processor: Any, tiny_model: Path) -> None:
    engine = sleeping_engine(tiny_model)
    trainer = family.load_model(tiny_model, torch.float32)
    prompts = make_prompts(processor)
    engine.generate(prompts, SAMPLED)
    for version, keep_weights in ((1, True), (2, False)):
        perturb(trainer, seed=version)
        assert bytes_given_back(engine, keep_weights=keep_weights) > 0.9 * (KV_CACHE_MIB << 20)
        engine.load_weights([trainer.state_dict()], version)
        groups = engine.generate(prompts, SAMPLED)
        assert largest_gap(trainer, family, processor, prompts, groups, 1.0) < TOLERANCE


def test_applied_adapters_come_again_alone(family: Family, processor: Any, tiny_model: Path) -> None:
    """The checkpoint's own weights outlive every sleep, because the trainer publishes no others."""
    engine = sleeping_engine(tiny_model, AppliedAdapters(rank=LORA.lora.rank))
    policy = make_policy(tiny_model, trained=LORA)
    trainer = family.load_model(tiny_model, torch.float32)
    prompts = make_prompts(processor)
    engine.generate(prompts, SAMPLED)
    for version, keep_weights in ((1, True), (2, False)):
        move_factors(policy, seed=version)
        assert bytes_given_back(engine, keep_weights=keep_weights) > 0.9 * (KV_CACHE_MIB << 20)
        engine.load_adapters(adapters_of(policy, tiny_model), version)
        trainer.load_state_dict(policy.state_dict(), strict=False)
        groups = engine.generate(prompts, SAMPLED)
        assert largest_gap(trainer, family, processor, prompts, groups, 1.0) < TOLERANCE


def sleeping_engine(model: Path, adapters: AppliedAdapters | None = None) -> Any:
    settings = EngineSettings(
        max_model_len=256, max_num_seqs=8, kv_cache_mib=KV_CACHE_MIB, sleep_mode=True, adapters=adapters
    )
    return load(ENGINES, "vllm")(model, settings)


def bytes_given_back(engine: Any, *, keep_weights: bool) -> int:
    """Put an engine to sleep and return by how much the GPU's free memory grew."""
    awake_bytes, _ = torch.cuda.mem_get_info()
    engine.sleep(keep_weights=keep_weights)
    asleep_bytes, _ = torch.cuda.mem_get_info()
    return asleep_bytes - awake_bytes
