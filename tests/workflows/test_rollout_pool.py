"""The pool on a real local Ray with engines that say what a file tells them, and once with a real model."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
from ray.exceptions import ActorUnavailableError

from models.engines._base import EngineSettings
from models.families._base import family_of
from models.tiny import TinyShape, build
from models.weights import pack
from operators.errors import UserError
from operators.records import Group, Prompt, Sampling
from workflows.rollout_pool import PoolConfig, RolloutPool, Slot, choose_engine

SAMPLING = Sampling(num_rollouts=2, temperature=1.0, max_tokens=16, seed=0)
SETTINGS = EngineSettings(max_model_len=128, max_num_seqs=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a script beside it."""
    out = tmp_path_factory.mktemp("pool") / "model"
    shape = TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(out, ["Which way does the red circle move? It moves left."] * 20, shape, seed=0)
    (out / "scripted.json").write_text(json.dumps({"": ["left", "right"], "p3": ["up"]}))
    return out


@pytest.fixture(scope="module")
def scripted(ray_cluster: None, model: Path) -> Iterator[RolloutPool]:
    """Two engines, one prompt per call. Shared, because a process that imports torch takes seconds to start."""
    config = PoolConfig(engine="scripted", num_engines=2, threads=1, prompts_per_call=1, settings=SETTINGS)
    with RolloutPool.started(config, model) as pool:
        yield pool


def prompts(num: int) -> list[Prompt]:
    frames_THWC = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    text = "<|vision_start|><|video_pad|><|vision_end|>Which way?"
    return [Prompt(key=f"p{i}", text=text, frames_THWC=frames_THWC, fps=4.0) for i in range(num)]


def texts(groups: list[Group]) -> list[tuple[str, ...]]:
    return [tuple(rollout.text for rollout in group.rollouts) for group in groups]


def test_order_is_kept(scripted: RolloutPool) -> None:
    before = scripted.num_resent
    groups = asyncio.run(scripted.generate(prompts(7), SAMPLING))
    assert [group.key for group in groups] == [f"p{i}" for i in range(7)]
    assert texts(groups) == [("left", "right")] * 3 + [("up", "up")] + [("left", "right")] * 3
    assert scripted.engine_name == "scripted"
    assert scripted.num_resent == before
    assert asyncio.run(scripted.generate([], SAMPLING)) == []


def test_damaged_weights_are_not_taken(scripted: RolloutPool) -> None:
    packet = pack({"w": torch.ones(2)}, version=1)
    packet.arrays["w"][0] = 2.0
    with pytest.raises(RuntimeError, match="damaged"):
        asyncio.run(scripted.load_weights(1, packet))
    with pytest.raises(RuntimeError, match="asked for weights of version 5, got those of 1"):
        asyncio.run(scripted.load_weights(5, pack({"w": torch.ones(2)}, version=1)))
    asyncio.run(scripted.load_weights(2, pack({"w": torch.ones(2)}, version=2)))  # and sound ones still are


def test_user_errors_keep_their_type(scripted: RolloutPool, model: Path, tmp_path: Path) -> None:
    too_long = Sampling(num_rollouts=1, temperature=1.0, max_tokens=1000, seed=0)
    with pytest.raises(UserError, match="max_model_len is 128"):
        asyncio.run(scripted.generate(prompts(4), too_long))
    assert len(asyncio.run(scripted.generate(prompts(2), SAMPLING))) == 2  # and it still serves
    bare = tmp_path / "bare"
    shutil.copytree(model, bare, ignore=shutil.ignore_patterns("scripted.json"))
    with pytest.raises(UserError, match=r"scripted\.json"):
        RolloutPool.start(PoolConfig(engine="scripted", threads=1, settings=SETTINGS), bare)
    with pytest.raises(UserError, match="did you mean 'scripted'"):
        RolloutPool.start(PoolConfig(engine="script", threads=1, settings=SETTINGS), model)


def test_dead_engines(scripted: RolloutPool) -> None:
    """Both die while prompts are in flight, later one for good: all is answered, with the weights of before."""

    async def scenario() -> list[Group]:
        await scripted.load_weights(3, pack({"w": torch.ones(2)}, version=3))
        running = asyncio.create_task(scripted.generate(prompts(40), SAMPLING))
        await asyncio.sleep(0.05)
        for slot in scripted.slots:
            ray.kill(slot.actor, no_restart=False)
        return await running

    groups = asyncio.run(scenario())
    assert [group.key for group in groups] == [f"p{i}" for i in range(40)]
    assert {rollout.weight_version for group in groups for rollout in group.rollouts} == {3}
    assert scripted.num_resent >= 1
    assert [slot.num_in_flight for slot in scripted.slots] == [0, 0]
    ray.kill(scripted.slots[0].actor, no_restart=True)
    assert len(asyncio.run(scripted.generate(prompts(6), SAMPLING))) == 6
    assert len(scripted.slots) == 1


def test_hanging_engine_is_ended(ray_cluster: None, model: Path) -> None:
    """A call that takes too long ends the engine; without restarts none is left."""
    config = PoolConfig(engine="scripted", threads=1, call_timeout_s=1e-4, max_restarts=0, settings=SETTINGS)
    with RolloutPool.started(config, model) as pool:
        with pytest.raises(RuntimeError, match="no engine is left after 0 restarts"):
            asyncio.run(pool.generate(prompts(2), SAMPLING))
        assert (pool.slots, pool.num_resent) == ([], 2)


class Answers:
    """A method of a remote actor whose calls all end in the same way."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def remote(self, *arguments: object) -> tuple[str, str]:
        if self.error:
            raise self.error
        return "fake", "a fake"


class Crashing:
    """An actor that can be started again and again, and dies of every prompt."""

    start = Answers(None)
    generate = Answers(ActorUnavailableError("crashed", None))


def test_prompts_that_end_engines_fail_the_run(ray_cluster: None) -> None:
    config = PoolConfig(max_attempts=3)
    pool = RolloutPool(config=config, engine_name="fake", processor=None, slots=[Slot(Crashing()), Slot(Crashing())])
    with pytest.raises(RuntimeError, match=r"3 engines ended while they answered: p[01]"):
        asyncio.run(pool.generate(prompts(2), SAMPLING))


def test_real_engine_takes_new_weights(ray_cluster: None, model: Path) -> None:
    """Through the object store into a real model: the same seeds, another policy."""
    greedy = Sampling(num_rollouts=1, temperature=0.0, max_tokens=6, seed=0)
    with RolloutPool.started(PoolConfig(engine="local", threads=1, settings=SETTINGS), model) as pool:
        before = asyncio.run(pool.generate(prompts(2), greedy))
        state = family_of(model).load_model(model, torch.float32).state_dict()
        changed = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in state.items()}
        asyncio.run(pool.load_weights(1, ray.put(pack(changed, version=1))))
        after = asyncio.run(pool.generate(prompts(2), greedy))
        asyncio.run(pool.load_weights(2, ray.put(pack(state, version=2))))
        again = asyncio.run(pool.generate(prompts(2), greedy))
    assert before[0].rollouts[0].logprobs != after[0].rollouts[0].logprobs
    assert before[0].rollouts[0].logprobs == pytest.approx(again[0].rollouts[0].logprobs)
    assert [groups[0].rollouts[0].weight_version for groups in (before, after, again)] == [0, 1, 2]


def test_choice_of_engine_says_why() -> None:
    assert choose_engine("local") == ("local", "as configured")
