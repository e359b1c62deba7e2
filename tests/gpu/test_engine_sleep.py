"""A vLLM engine on a GPU gives its memory back while it sleeps, and says what the trainer computes after waking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.engines._settings import ENGINES, EngineSettings
from temporay.models.families._base import Family
from temporay.operators.components import load
from temporay.operators.records import Sampling

from tests.models.conftest import family, processor, tiny_model, tiny_models
from tests.models.engines.test_engines import TOLERANCE, largest_gap, make_prompts, perturb

__all__ = ["family", "processor", "tiny_model", "tiny_models"]  # fixtures
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")]
KV_CACHE_MIB = 1024


def test_memory_is_given_back(family: Family, processor: Any, tiny_model: Path) -> None:
    settings = EngineSettings(max_model_len=256, max_num_seqs=8, kv_cache_mib=KV_CACHE_MIB, sleep_mode=True)
    engine = load(ENGINES, "vllm")(tiny_model, settings)
    trainer = family.load_model(tiny_model, torch.float32)
    prompts = make_prompts(processor)
    sampling = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=0)
    engine.generate(prompts, sampling)
    for version, keep_weights in ((1, True), (2, False)):
        perturb(trainer, seed=version)
        awake_bytes, _ = torch.cuda.mem_get_info()
        engine.sleep(keep_weights=keep_weights)
        asleep_bytes, _ = torch.cuda.mem_get_info()
        assert asleep_bytes - awake_bytes > 0.9 * (KV_CACHE_MIB << 20)
        engine.load_weights([trainer.state_dict()], version)
        groups = engine.generate(prompts, sampling)
        assert largest_gap(trainer, family, processor, prompts, groups, 1.0) < TOLERANCE
