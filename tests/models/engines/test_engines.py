"""Engines and trainer agree: on prompt ids exactly, on log-probabilities within 1e-4, before and after new weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporay.models.engines._base import NO_WEIGHTS, Engine
from temporay.models.engines._settings import EngineSettings
from temporay.models.engines.local import Local
from temporay.models.families._base import Family
from temporay.models.parity import gaps_to_trainer
from temporay.models.weights import in_buckets
from temporay.operators.errors import UserError
from temporay.operators.media import ShownMedium
from temporay.operators.records import FinishReason, Group, Prompt, Sampling

from tests.models.small_engines import small_prompts

TIED = ("lm_head.weight",)
TOLERANCE = 1e-4  # nats, float32
BUCKET_BYTES = 1 << 16  # a small part of the tiny model
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),  # vLLM's start warns
    pytest.mark.xdist_group("vllm"),  # one process loads vLLM for all files that use it
]


@pytest.fixture(params=[("local", 1), ("vllm", 1), ("vllm", 2)], ids=["local", "vllm", "vllm-on-two-workers"])
def engine(request: pytest.FixtureRequest, engines: Callable[..., Engine]) -> Engine:
    """One engine of each kind for the whole session; starting vLLM takes longer than all these tests."""
    name, tensor_parallel = request.param
    return engines(name, "qwen3_vl", tensor_parallel)


@pytest.fixture
def trainer(family: Family, tiny_model: Path) -> Any:
    return family.load_model(tiny_model, torch.float32)


def make_prompts(processor: Any) -> list[Prompt]:
    """Return two sizes, an odd number of frames, and a blind prompt of several cache blocks."""
    clips = [((8, 48, 48), 4.0), ((5, 64, 48), 4.0), (None, 4.0)]
    return small_prompts(processor, clips, blind_questions=9)


def largest_gap(
    model: Any,
    family: Family,
    processor: Any,
    prompts: Sequence[Prompt],
    groups: Sequence[Group],
    temperature: float,
    first: int = 0,
    end: int | None = None,
) -> float:
    """Return the largest difference between an engine's log-probabilities and a forward pass of the trainer's model.

    Args:
        first, end: of the tokens of each completion that are compared; all by default.
    """
    gaps = gaps_to_trainer(model, family, processor, prompts, groups, temperature)
    return max(gap for row in gaps for gap in row[first:end])


def perturb(model: Any, seed: int) -> None:
    """Move every weight, also of the vision tower, by about a tenth of its size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_and_prompt_ids(
    engine: Engine, family: Family, processor: Any, trainer: Any, temperature: float
) -> None:
    engine.load_weights([trainer.state_dict()], version=0)
    prompts = make_prompts(processor)
    groups = engine.generate(prompts, Sampling(num_rollouts=3, temperature=temperature, max_tokens=12, seed=1))
    assert [group.key for group in groups] == [prompt.key for prompt in prompts]
    assert {len(group.rollouts) for group in groups} == {3}
    assert largest_gap(trainer, family, processor, prompts, groups, temperature) < TOLERANCE


def test_weight_update(engine: Engine, family: Family, processor: Any, trainer: Any) -> None:
    """The same clips are asked before and after, so a cache that outlives the weights shows."""
    engine.load_weights([trainer.state_dict()], version=0)
    prompts = make_prompts(processor)
    sampling = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=2)
    engine.generate(prompts, sampling)
    perturb(trainer, seed=1)
    stale = engine.generate(prompts, sampling)
    assert largest_gap(trainer, family, processor, prompts, stale, 1.0) > 100 * TOLERANCE
    engine.load_weights([trainer.state_dict()], version=1)
    groups = engine.generate(prompts, sampling)
    assert largest_gap(trainer, family, processor, prompts, groups, 1.0) < TOLERANCE
    assert engine.weight_version == 1
    assert {rollout.weight_version for group in groups for rollout in group.rollouts} == {1}


def test_weight_update_without_the_tied_head(engine: Engine, family: Family, processor: Any, trainer: Any) -> None:
    """A policy publishes its tied output layer under the embedding's name only."""
    prompts = make_prompts(processor)
    sampling = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=3)
    for version in (11, 12):
        perturb(trainer, seed=version)
        state = {name: tensor for name, tensor in trainer.state_dict().items() if name not in TIED}
        assert len(state) < len(trainer.state_dict())
        engine.load_weights(in_buckets(state.items(), BUCKET_BYTES), version)
        groups = engine.generate(prompts, sampling)
        assert largest_gap(trainer, family, processor, prompts, groups, 1.0) < TOLERANCE


def test_sleep_keeps_or_drops_weights(engine: Engine, family: Family, processor: Any, trainer: Any) -> None:
    """Kept weights say the same after waking; dropped ones are gone until others are loaded, which wake the engine."""
    engine.load_weights([trainer.state_dict()], version=31)
    prompts = make_prompts(processor)
    sampling = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=6)
    expected = engine.generate(prompts, sampling)
    engine.sleep(keep_weights=True)
    with pytest.raises(RuntimeError, match="sleeps"):
        engine.generate(prompts, sampling)
    engine.wake_up()
    assert engine.generate(prompts, sampling) == expected
    engine.sleep(keep_weights=False)
    assert engine.weight_version == NO_WEIGHTS
    perturb(trainer, seed=31)
    engine.load_weights([trainer.state_dict()], version=32)
    groups = engine.generate(prompts, sampling)
    assert groups != expected
    assert largest_gap(trainer, family, processor, prompts, groups, 1.0) < TOLERANCE


def test_a_sleeping_local_engine_holds_no_weights(engines: Callable[..., Engine], trainer: Any) -> None:
    engine: Any = engines("local", "qwen3_vl")
    engine.sleep(keep_weights=False)
    assert sum(parameter.numel() for parameter in engine._model.parameters()) == 0
    with pytest.raises(RuntimeError, match="dropped"):
        engine.wake_up()
    engine.load_weights([trainer.state_dict()], version=0)


def test_weights_that_did_not_arrive_whole(engine: Engine, family: Family, processor: Any, trainer: Any) -> None:
    """The stream breaks between two buckets; with the next stream all is as if it had not."""
    prompts = make_prompts(processor)
    perturb(trainer, seed=20)
    buckets = list(in_buckets(trainer.state_dict().items(), BUCKET_BYTES))
    assert len(buckets) > 3

    def breaking() -> Iterator[Mapping[str, torch.Tensor]]:
        yield from buckets[:2]
        raise RuntimeError("lost on the way")

    with pytest.raises(RuntimeError, match="lost on the way"):
        engine.load_weights(breaking(), 20)
    engine.load_weights(buckets, 21)
    groups = engine.generate(prompts, Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=3))
    assert largest_gap(trainer, family, processor, prompts, groups, 1.0) < TOLERANCE


def test_weights_in_the_engines_type_change_no_bit(processor: Any, tiny_model: Path, trainer: Any) -> None:
    """An engine in bfloat16 computes the same, whether float32 is rounded before or after its way."""
    engine = Local(tiny_model, EngineSettings(dtype="bfloat16", max_model_len=256, max_num_seqs=8))
    prompts = make_prompts(processor)
    perturb(trainer, seed=30)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        engine.load_weights([{name: tensor.to(dtype) for name, tensor in trainer.state_dict().items()}], 30)
        found.append(engine.generate(prompts, Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=3)))
    assert found[0] == found[1]


def test_frames_matter_and_keys_do_not(engine: Engine, processor: Any, trainer: Any) -> None:
    """Other frames under the same key (the arms of an evaluation) are not answered from a cache."""
    engine.load_weights([trainer.state_dict()], version=0)
    first, *_ = make_prompts(processor)
    black = Prompt(
        key=first.key,
        text=first.text,
        media=(ShownMedium(frames_THWC=np.zeros_like(first.media[0].frames_THWC), fps=4.0),),
    )
    sampling = Sampling(num_rollouts=1, temperature=1.0, max_tokens=4, seed=0)
    logprobs = [engine.generate([prompt], sampling)[0].rollouts[0].logprobs[0] for prompt in (first, black)]
    assert abs(logprobs[0] - logprobs[1]) > TOLERANCE


def test_seeds(engine: Engine, processor: Any, trainer: Any) -> None:
    """A prompt's rollouts differ from each other, repeat under the same seed, and change with it."""
    engine.load_weights([trainer.state_dict()], version=0)
    prompts = make_prompts(processor)
    ids = []
    for batch, seed in ((prompts, 1), (prompts[:1], 1), (prompts, 2)):
        group = engine.generate(batch, Sampling(num_rollouts=3, temperature=1.0, max_tokens=6, seed=seed))[0]
        ids.append([rollout.completion_ids for rollout in group.rollouts])
    assert len(set(ids[0])) == 3
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_end_of_turn_and_banned_tokens(engine: Engine, family: Family, processor: Any, trainer: Any) -> None:
    """A model that prefers the end of turn and banned tokens ends its turn, and that token is scored."""
    tokenizer = processor.tokenizer
    wanted = [tokenizer.eos_token_id, *family.banned_token_ids(processor)]
    engine.load_weights([{**trainer.state_dict(), **favoring(trainer, wanted)}], version=7)
    prompts = make_prompts(processor)
    groups = engine.generate(prompts, Sampling(num_rollouts=4, temperature=1.0, max_tokens=8, seed=3))
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    assert {rollout.completion_ids for rollout in rollouts} == {(tokenizer.eos_token_id,)}
    assert {rollout.finish_reason for rollout in rollouts} == {FinishReason.STOP}
    assert {rollout.text for rollout in rollouts} == {""}
    assert all(len(rollout.logprobs) == 1 and rollout.logprobs[0] > -0.1 for rollout in rollouts)


def favoring(model: Any, token_ids: list[int]) -> dict[str, torch.Tensor]:
    """Return weights under which every position's hidden state points at some tokens, whatever was read."""
    embedding = torch.zeros_like(model.model.language_model.embed_tokens.weight)
    embedding[:, 0] = 1.0
    embedding[token_ids, 0] = 10.0
    names = ("model.language_model.embed_tokens.weight", "lm_head.weight")
    silent = {
        name: torch.zeros_like(tensor)
        for name, tensor in model.state_dict().items()
        if name.endswith(("o_proj.weight", "down_proj.weight")) or "visual" in name
    }
    return {**silent, **dict.fromkeys(names, embedding)}


def in_segments(
    engine: Engine, prompts: Sequence[Prompt], sampling: Sampling, updates: Sequence[Any] = ()
) -> list[Group]:
    """Call the engine until every rollout has ended; load new weights before the second and later calls."""
    groups = engine.generate(prompts, sampling)
    for version in range(1, 100):
        if not any(r.finish_reason is FinishReason.SEGMENT for group in groups for r in group.rollouts):
            return groups
        if version <= len(updates):
            engine.load_weights([updates[version - 1]], version)
        groups = engine.generate(prompts, sampling, groups)
    raise AssertionError("rollouts do not end")


def test_segments_change_nothing(engine: Engine, processor: Any, trainer: Any) -> None:
    engine.load_weights([trainer.state_dict()], version=0)
    prompts = make_prompts(processor)
    whole = Sampling(num_rollouts=1, temperature=0.0, max_tokens=11, seed=0)
    expected = engine.generate(prompts, whole)
    found = in_segments(engine, prompts, replace(whole, segment_tokens=4))
    for group, reference in zip(found, expected, strict=True):
        assert group.prompt_ids == reference.prompt_ids
        for rollout, other in zip(group.rollouts, reference.rollouts, strict=True):
            assert (rollout.completion_ids, rollout.text) == (other.completion_ids, other.text)
            assert rollout.finish_reason == other.finish_reason
            assert rollout.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_segments_under_new_weights(engine: Engine, family: Family, processor: Any, trainer: Any) -> None:
    """Each token's log-probability is that of a forward pass under the weights its version names, and no others."""
    engine.load_weights([trainer.state_dict()], version=0)
    trainers = [trainer, copy.deepcopy(trainer), copy.deepcopy(trainer)]
    for version in (1, 2):
        perturb(trainers[version], seed=version)
    prompts = make_prompts(processor)
    sampling = Sampling(num_rollouts=2, temperature=1.0, max_tokens=10, seed=4, segment_tokens=4)
    groups = in_segments(engine, prompts, sampling, [model.state_dict() for model in trainers[1:]])
    expected = (*(0,) * 4, *(1,) * 4, *(2,) * 2)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    assert all(r.weight_versions == expected[: len(r.completion_ids)] for r in rollouts)
    assert max(len(r.completion_ids) for r in rollouts) == 10
    for first, end, model in ((0, 4, trainers[0]), (4, 8, trainers[1]), (8, 10, trainers[2])):
        assert largest_gap(model, family, processor, prompts, groups, 1.0, first, end) < TOLERANCE
        others = [other for other in trainers if other is not model]
        stale = [largest_gap(other, family, processor, prompts, groups, 1.0, first, end) for other in others]
        assert min(stale) > 100 * TOLERANCE


def test_seeds_of_segments(engine: Engine, processor: Any, trainer: Any) -> None:
    """A segment depends on its prompt, its rollout and where it begins, and on nothing else."""
    engine.load_weights([trainer.state_dict()], version=0)
    prompts = make_prompts(processor)
    sampling = Sampling(num_rollouts=3, temperature=1.0, max_tokens=9, seed=1, segment_tokens=3)
    together = in_segments(engine, prompts, sampling)
    alone = in_segments(engine, prompts[1:2], sampling)
    ids = [rollout.completion_ids for rollout in alone[0].rollouts]
    assert ids == [rollout.completion_ids for rollout in together[1].rollouts]
    assert len({row[3:6] for row in ids}) == 3  # rollouts go on differently
    assert all(row[:3] != row[3:6] != row[6:] for row in ids)  # and no noise is used again
    [same_start] = engine.generate(prompts[1:2], sampling)
    begun = replace(same_start, rollouts=(same_start.rollouts[0],) * 3)
    [again] = engine.generate(prompts[1:2], sampling, [begun])
    assert again.rollouts[0].completion_ids == ids[0][:6]
    assert len({rollout.completion_ids for rollout in again.rollouts}) == 3  # the same start, another g


def test_too_long_is_refused(engine: Engine, processor: Any) -> None:
    prompts = make_prompts(processor)
    with pytest.raises(UserError, match="max_model_len is 256"):
        engine.generate(prompts, Sampling(num_rollouts=1, temperature=1.0, max_tokens=200, seed=0))
    sampling = Sampling(num_rollouts=1, temperature=1.0, max_tokens=2, seed=0)
    long = Prompt(key="long", text="left\n" * 300)
    with pytest.raises(UserError, match="max_model_len is 256"):
        engine.generate([*prompts, long], sampling)
    assert engine.generate(prompts[:1], sampling)[0].key == "p0"  # and it still serves


def test_two_workers_say_the_same_as_one(engines: Callable[..., Engine], processor: Any, trainer: Any) -> None:
    """Token for token, greedy and sampled, under the checkpoint and under new weights."""
    alone, shared = (engines("vllm", "qwen3_vl", workers) for workers in (1, 2))
    prompts = make_prompts(processor)
    said = []
    for version in (0, 21):
        for sampling in (
            Sampling(num_rollouts=1, temperature=0.0, max_tokens=12, seed=0),
            Sampling(num_rollouts=3, temperature=1.0, max_tokens=12, seed=5),
        ):
            for engine in (alone, shared):
                engine.load_weights([trainer.state_dict()], version)
            expected, found = alone.generate(prompts, sampling), shared.generate(prompts, sampling)
            said.append([r.completion_ids for group in found for r in group.rollouts])
            assert said[-1] == [r.completion_ids for group in expected for r in group.rollouts]
        perturb(trainer, seed=21)
    assert said[0] != said[2] and said[1] != said[3]
