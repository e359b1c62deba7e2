"""GRPO by LoRA: only adapters are published, and every engine answers as the trainer would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from safetensors.torch import load_file
from temporay.operators.records import Prompt, Sampling
from temporay.workflows.grpo.loop import run_with
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.published_weights import PublishedWeights, publish, pull

from tests.workflows.grpo.small_grpo import NUM_STEPS, POOL, config
from tests.workflows.grpo.test_loop import rows_of

RANK = 2
LORA = {"weights": "lora", "vision_tower": "frozen", "lora": {"rank": RANK}}


class KeepingPool:
    """A pool that owns the weights it was given, so that they outlive the run that published them."""

    def __init__(self, pool: RolloutPool) -> None:
        self._pool = pool
        self.processor = pool.processor
        self.given: list[PublishedWeights] = []

    async def load_weights(self, weights: PublishedWeights) -> None:
        tensors = [one for bucket in pull(weights, []) for one in bucket.items()]
        self.given.append(publish(tensors, weights.version, adapters=weights.adapters))
        assert (self.given[-1].checksum, self.given[-1].num_bytes) == (weights.checksum, weights.num_bytes)
        await self._pool.load_weights(self.given[-1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


@pytest.fixture(scope="module")
def engines(ray_cluster: None, model: Path) -> Iterator[RolloutPool]:
    with RolloutPool.started(POOL, model) as pool:
        yield pool


def test_a_run_publishes_adapters_alone(
    engines: RolloutPool, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that ends is started from the checkpoint and answers as before, by the newest adapters."""
    pool = KeepingPool(engines)
    summary = run_with(config(data, model, tmp_path, trained=LORA, optimizer={"lr": 1e-2}), pool)
    assert "grpo: only adapters are published; each engine adds them to the checkpoint's" in capsys.readouterr().out
    adapter = load_file(tmp_path / "model/adapter/adapter_model.safetensors")
    expected = sum(factor.numel() * 4 for factor in adapter.values())
    assert [weights.num_bytes for weights in pool.given] == [expected] * NUM_STEPS
    assert [row["published_bytes"] for row in rows_of(tmp_path)] == [expected] * NUM_STEPS
    assert expected < 0.2 * (model / "model.safetensors").stat().st_size
    assert summary["parity_max_abs"] < 1e-4 and max(row["engine_kl"] for row in rows_of(tmp_path)) < 1e-6

    asked = [Prompt(key="p", text="Which way does the circle move?")]
    greedy = Sampling(num_rollouts=1, temperature=0.0, max_tokens=8, seed=0)
    before = asyncio.run(engines.generate(asked, greedy))
    [slot] = engines.roster.serving()
    ray.kill(slot.actor, no_restart=False)
    again = asyncio.run(engines.generate(asked, greedy))
    assert engines.num_resent == 1 and again == before
    assert before[0].weight_checksums == {NUM_STEPS: pool.given[-1].checksum}
