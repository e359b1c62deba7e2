"""The pool on a real local Ray with engines that say what a file tells them, and with a real model."""

from __future__ import annotations

import asyncio
import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray.experimental import get_object_locations
from temporay.models.engines._settings import EngineSettings
from temporay.models.families._base import family_of
from temporay.models.tiny import TinyShape, build
from temporay.models.weights import WeightBucket
from temporay.operators.errors import UserError
from temporay.operators.media import ShownMedium
from temporay.operators.records import Group, Prompt, Sampling
from temporay.workflows.config import validated
from temporay.workflows.rollouts.actor import choose_engine
from temporay.workflows.rollouts.media import MediaStore
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.published_weights import OF_CHECKPOINT, PublishedWeights, publish
from temporay.workflows.rollouts.settings import ResolvedPool

SAMPLING = Sampling(num_rollouts=2, temperature=1.0, max_tokens=16, seed=0)
SCRIPTED = "tests.workflows.scripted_engine:Scripted"  # the workers have the repository's root on their path
CRASHING = "tests.workflows.crashing_engine:Crashing"
SETTINGS = EngineSettings(max_model_len=128, max_num_seqs=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a tiny model with a script beside it."""
    out = tmp_path_factory.mktemp("pool") / "model"
    shape = TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(out, ["Which way does the red circle move? It moves left."] * 20, shape, seed=0)
    (out / "scripted.json").write_text(json.dumps({"": ["left", "right"], "p3": ["up"]}))
    return out


@pytest.fixture(scope="module")
def scripted(ray_cluster: None, model: Path) -> Iterator[RolloutPool]:
    """Start two engines, one prompt per call. Shared, because a process that imports torch takes seconds to start."""
    config = ResolvedPool(engine=SCRIPTED, num_engines=2, threads=1, prompts_per_call=1, settings=SETTINGS)
    with RolloutPool.started(config, model) as pool:
        yield pool


def prompts(num: int) -> list[Prompt]:
    frames_THWC = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    text = "<|vision_start|><|video_pad|><|vision_end|>Which way?"
    return [Prompt(key=f"p{i}", text=text, media=(ShownMedium(frames_THWC=frames_THWC, fps=4.0),)) for i in range(num)]


def ones(version: int) -> PublishedWeights:
    return publish({"w": torch.ones(2)}.items(), version)


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
    def damaged(bucket: WeightBucket) -> Any:
        bucket.arrays["w"][0] = 2.0
        return ray.put(bucket)

    with pytest.raises(RuntimeError, match="damaged"):
        asyncio.run(scripted.load_weights(publish([("w", torch.ones(2))], 1, store=damaged)))
    with pytest.raises(RuntimeError, match="version 0 was never published"):
        asyncio.run(scripted.load_weights(OF_CHECKPOINT))  # nor does an engine say that it holds what it did before
    asyncio.run(scripted.load_weights(ones(2)))  # and sound ones still are


def test_user_errors_keep_their_type(scripted: RolloutPool, model: Path, tmp_path: Path) -> None:
    too_long = Sampling(num_rollouts=1, temperature=1.0, max_tokens=1000, seed=0)
    with pytest.raises(UserError, match="max_model_len is 128"):
        asyncio.run(scripted.generate(prompts(4), too_long))
    assert len(asyncio.run(scripted.generate(prompts(2), SAMPLING))) == 2  # and it still serves
    bare = tmp_path / "bare"
    shutil.copytree(model, bare, ignore=shutil.ignore_patterns("scripted.json"))
    with pytest.raises(UserError, match=r"scripted\.json"):
        RolloutPool.start(ResolvedPool(engine=SCRIPTED, threads=1, settings=SETTINGS), bare)
    with pytest.raises(UserError, match="did you mean 'local'"):
        validated(ResolvedPool, {"engine": "locals"})
    cut = SETTINGS.model_copy(update={"tensor_parallel": 3})
    with pytest.raises(UserError, match=r"tensor_parallel is 3, but .* 2 attention heads"):
        RolloutPool.start(ResolvedPool(engine=SCRIPTED, threads=1, settings=cut), model)
    cut = SETTINGS.model_copy(update={"tensor_parallel": 2})
    with pytest.raises(UserError, match="the scripted engine computes in one process"):
        RolloutPool.start(ResolvedPool(engine=SCRIPTED, threads=1, settings=cut), model)


def test_published_weights_are_those_engines_hold(scripted: RolloutPool) -> None:
    """Groups carry the checksum of each version; an engine that holds other bytes under its number is found out."""
    fives = publish([("w", torch.full((2,), 5.0)), ("v", torch.ones(3))], 2, bucket_bytes=8)
    assert len(fives.bucket_refs) == 3  # v travels in two parts
    asyncio.run(scripted.load_weights(fives))  # the same number again, other bytes: taken
    groups = asyncio.run(scripted.generate(prompts(2), SAMPLING))
    assert [group.weight_checksums for group in groups] == [{2: fives.checksum}] * 2
    sound = ones(2)
    asyncio.run(scripted.load_weights(replace(sound, checksum=1)))
    with pytest.raises(RuntimeError, match=f"with checksum {sound.checksum}; published was version 2 with 1"):
        asyncio.run(scripted.generate(prompts(2), SAMPLING))
    asyncio.run(scripted.load_weights(sound))


def test_sleeping_engines_wake_with_weights(scripted: RolloutPool) -> None:
    """With those they kept, when these are asked for, or with new ones; engines that are apart never sleep."""
    before = scripted.config
    asyncio.run(scripted.load_weights(ones(6)))
    for placement, keep_weights, version in (("in_turns", True, 6), ("in_turns", False, 7), ("apart", False, 7)):
        scripted.config = before.model_copy(update={"placement": placement})
        asyncio.run(scripted.sleep(keep_weights=keep_weights))
        if version == 7:
            asyncio.run(scripted.load_weights(ones(7)))
        groups = asyncio.run(scripted.generate(prompts(4), SAMPLING))
        assert {rollout.weight_version for group in groups for rollout in group.rollouts} == {version}
    scripted.config = before
    asyncio.run(scripted.load_weights(ones(2)))


def test_weights_given_up_are_not_served(scripted: RolloutPool) -> None:
    """The pool holds no version while the next one is made, so that the object store never has two."""
    asyncio.run(scripted.sleep(keep_weights=False))
    with pytest.raises(RuntimeError, match="between two versions of the weights"):
        asyncio.run(scripted.generate(prompts(1), SAMPLING))
    asyncio.run(scripted.load_weights(ones(2)))
    assert len(asyncio.run(scripted.generate(prompts(1), SAMPLING))) == 1


def test_segments_take_weights_published_meanwhile(scripted: RolloutPool) -> None:
    """Versions of a rollout rise while it is written; what it says is the same."""
    sampling = replace(SAMPLING, segment_tokens=1)

    async def scenario() -> list[Group]:
        await scripted.load_weights(ones(1))
        running = asyncio.create_task(scripted.generate(prompts(8), sampling))
        sent = scripted.num_segments
        while scripted.num_segments < sent + 12:
            await asyncio.sleep(0)
        await scripted.load_weights(ones(2))
        return await running

    groups = asyncio.run(scenario())
    assert texts(groups) == [("left", "right")] * 3 + [("up", "up")] + [("left", "right")] * 4
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    assert all(list(r.weight_versions) == sorted(r.weight_versions) for r in rollouts)
    assert any(len(set(r.weight_versions)) == 2 for r in rollouts)
    for group in groups:
        assert set(group.weight_checksums) == {v for r in group.rollouts for v in r.weight_versions}
    with pytest.raises(UserError, match="segment_tokens is 0"):
        asyncio.run(scripted.generate(prompts(1), replace(SAMPLING, segment_tokens=0)))


def test_engines_join_and_leave(scripted: RolloutPool) -> None:
    """One joins in the middle of a call and serves under the newest weights; one leaves after its prompts."""

    async def scenario() -> list[Group]:
        await scripted.load_weights(ones(4))
        scripted.add_engine()
        late = scripted.roster.slots[-1]
        served = False
        while not served:  # it takes seconds to start; calls go on
            running = asyncio.create_task(scripted.generate(prompts(20), SAMPLING))
            while not running.done() and not served:
                await asyncio.sleep(0.001)
                served = late.num_in_flight > 0
            if served:
                scripted.remove_engine()
            groups = await running
        return groups

    before = scripted.counters()
    groups = asyncio.run(scenario())
    assert [group.key for group in groups] == [f"p{i}" for i in range(20)]
    assert {rollout.weight_version for group in groups for rollout in group.rollouts} == {4}
    after = scripted.counters()
    changes = {name: after[name] - before[name] for name in after if name != "prompts_sent"}
    assert changes == {"engines": 0, "engines_joined": 1, "engines_left": 1, "prompts_resent": 0}
    assert after["engines"] == after["engines_joined"] - after["engines_left"]


def test_dead_engines(scripted: RolloutPool) -> None:
    """Both die while prompts are in flight, later one for good: all is answered, with the weights of before."""

    async def scenario() -> list[Group]:
        await scripted.load_weights(ones(3))
        running = asyncio.create_task(scripted.generate(prompts(40), SAMPLING))
        await asyncio.sleep(0.05)
        for slot in scripted.roster.slots:
            ray.kill(slot.actor, no_restart=False)
        return await running

    groups = asyncio.run(scenario())
    assert [group.key for group in groups] == [f"p{i}" for i in range(40)]
    assert {rollout.weight_version for group in groups for rollout in group.rollouts} == {3}
    assert scripted.num_resent >= 1
    assert [slot.num_in_flight for slot in scripted.roster.slots] == [0, 0]
    ray.kill(scripted.roster.slots[0].actor, no_restart=True)
    while len(scripted.roster.slots) > 1:
        assert len(asyncio.run(scripted.generate(prompts(6), SAMPLING))) == 6
    assert len(asyncio.run(scripted.generate(prompts(6), SAMPLING))) == 6
    with pytest.raises(ValueError, match="the last engine cannot be removed"):
        scripted.remove_engine()


def test_hanging_engine_is_ended(ray_cluster: None, model: Path) -> None:
    """A call that takes too long ends the engine; without restarts none is left."""
    config = ResolvedPool(engine=SCRIPTED, threads=1, max_restarts=0, settings=SETTINGS)
    with RolloutPool.started(config, model) as pool:
        pool.config = config.model_copy(update={"call_timeout_s": 1e-4})
        with pytest.raises(UserError, match=r"no engine is left after 0 restarts of each; .* use fewer engines"):
            asyncio.run(pool.generate(prompts(2), SAMPLING))
        assert (pool.roster.slots, pool.num_resent, pool.counters()["engines"]) == ([], 2, 0)


def test_prompts_that_end_engines_fail_the_run(ray_cluster: None, model: Path) -> None:
    config = ResolvedPool(engine=CRASHING, num_engines=2, threads=1, max_restarts=1, max_attempts=2, settings=SETTINGS)
    with RolloutPool.started(config, model) as pool:
        assert len(asyncio.run(pool.generate(prompts(2), SAMPLING))) == 2
        for key in ("lost", "fatal"):  # a part of an engine, or all of it
            with pytest.raises(RuntimeError, match=f"2 engines ended while they answered: {key}"):
                asyncio.run(pool.generate([replace(prompts(1)[0], key=key)], SAMPLING))


def test_frames_are_stored_once(scripted: RolloutPool) -> None:
    """Physical bytes are what Ray holds: one copy per clip, whatever the number of rollouts, segments and calls."""
    num_rollouts = 8
    clips = [np.full((8, 64, 64, 3), i % 3, dtype=np.uint8) for i in range(4)]  # the first and the last are the same
    store = MediaStore()
    read = store.decode(lambda row: (clips[row],), range(len(clips)))  # several at once, in the order of the rows
    stored = [
        store.put(replace(prompt, media=(ShownMedium(frames_THWC=clip, fps=4.0),)), num_rollouts)
        for prompt, (clip,) in zip(prompts(4), read, strict=True)
    ]
    stored.append(store.put(Prompt(key="blind", text="Which way?"), num_rollouts))
    references = {prompt.media_ref for prompt in stored if prompt.media_ref is not None}
    held = sum(place["object_size"] for place in get_object_locations(list(references)).values())
    counters = store.counters()
    assert counters["decodes"] == 4
    assert counters["media_physical_bytes"] == 3 * clips[0].nbytes
    assert held == pytest.approx(counters["media_physical_bytes"], rel=0.02)
    assert held / counters["media_logical_bytes"] <= 1 / num_rollouts + 0.02
    assert len(pickle.dumps(stored)) < clips[0].nbytes / 10  # what travels is references
    loaded = [prompt.load() for prompt in stored]
    for prompt, clip in zip(loaded[:-1], clips, strict=True):
        assert np.array_equal(prompt.media[0].frames_THWC, clip)
        assert not prompt.media[0].frames_THWC.flags.owndata  # mapped, not copied
    assert loaded[-1].media == ()
    picture = ShownMedium(kind="image", frames_THWC=clips[1][:1], fps=1.0)
    both = (picture, *stored[0].load().media)
    [image, video] = store.put(replace(prompts(1)[0], media=both), num_rollouts).load().media
    assert image.kind == "image" and np.array_equal(image.frames_THWC, picture.frames_THWC)
    assert video.kind == "video" and not video.frames_THWC.flags.owndata
    answers = asyncio.run(scripted.generate(stored, replace(SAMPLING, num_rollouts=num_rollouts, segment_tokens=1)))
    assert [group.key for group in answers] == [prompt.key for prompt in stored]


@pytest.fixture(scope="module")
def real(ray_cluster: None, model: Path) -> Iterator[RolloutPool]:
    """Start one engine with the real model, and one that may come later; one prompt per call."""
    config = ResolvedPool(
        engine="local", num_engines=1, max_engines=2, threads=1, prompts_per_call=1, settings=SETTINGS
    )
    with RolloutPool.started(config, model) as pool:
        yield pool


def test_segments_of_a_real_engine(real: RolloutPool) -> None:
    """Rollouts in segments, by whichever engine is free, are those of one call."""
    greedy = Sampling(num_rollouts=2, temperature=0.0, max_tokens=9, seed=0)
    whole = asyncio.run(real.generate(prompts(3), greedy))
    parts = asyncio.run(real.generate(prompts(3), replace(greedy, segment_tokens=4)))
    for group, expected in zip(parts, whole, strict=True):
        assert group.prompt_ids == expected.prompt_ids
        for rollout, other in zip(group.rollouts, expected.rollouts, strict=True):
            assert rollout.completion_ids == other.completion_ids
            assert rollout.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_real_engine_takes_new_weights(real: RolloutPool, model: Path) -> None:
    """Through the object store into a real model: the same seeds, another policy."""
    greedy = Sampling(num_rollouts=1, temperature=0.0, max_tokens=6, seed=0)
    before = asyncio.run(real.generate(prompts(2), greedy))
    state = family_of(model).load_model(model, torch.float32).state_dict()
    changed = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in state.items()}
    asyncio.run(real.load_weights(publish(changed.items(), 1)))
    after = asyncio.run(real.generate(prompts(2), greedy))
    asyncio.run(real.load_weights(publish(state.items(), 2)))
    again = asyncio.run(real.generate(prompts(2), greedy))
    assert before[0].rollouts[0].logprobs != after[0].rollouts[0].logprobs
    assert before[0].rollouts[0].logprobs == pytest.approx(again[0].rollouts[0].logprobs)
    assert [groups[0].rollouts[0].weight_version for groups in (before, after, again)] == [0, 1, 2]


def test_more_engines_than_asked_for_at_least() -> None:
    with pytest.raises(UserError, match=r"max_engines is 1; give at least num_engines \(2\)"):
        validated(ResolvedPool, {"num_engines": 2, "max_engines": 1})


def test_choice_of_engine_says_why() -> None:
    assert choose_engine("local") == ("local", "as configured")
