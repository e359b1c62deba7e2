"""Every family against both engines: prompt ids exactly, log-probabilities within 1e-4, before and after an update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporay.models.collate import collate_groups, collate_samples
from temporay.models.engines._base import Engine
from temporay.models.families._base import FAMILIES
from temporay.models.losses._supervised import supervised
from temporay.models.policy import OptimizerConfig, Policy
from temporay.operators.components import available
from temporay.operators.records import Group, Prompt, Sampling
from temporay.operators.sampling import ShownFrames
from temporay.operators.videos.reading import TIMELINE_FPS

from tests.models.small_engines import Clip, mixed_prompts, small_prompts
from tests.models.small_policies import make_policy, processor_of

TOLERANCE = 1e-4  # nats, float32
# Rates on both sides of 2 fps, three sizes, an odd number of frames, and a blind prompt. Others show several media.
CLIPS: Sequence[Clip] = (((8, 48, 48), 4.0), ((5, 64, 32), 8.0), ((4, 32, 96), 1.0), ((6, 48, 48), 2.9), (None, 4.0))
TIMES = ShownFrames(indices=(0, 33, 500, 533, 1000, 4000, 4500, 9000), num_frames=10286)  # ms, of a variable rate
VERSION = 100  # other tests of the session load other weights under smaller numbers
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),  # vLLM's start warns
    pytest.mark.xdist_group("vllm"),  # one process loads vLLM for all files that use it
]


@pytest.mark.parametrize("name", ["local", "vllm"])
@pytest.mark.parametrize("family", available(FAMILIES))
def test_engine_and_trainer_agree(
    family: str, name: str, tiny_models: Callable[[str], Path], engines: Callable[[str, str], Engine]
) -> None:
    model = tiny_models(family)
    policy, processor = make_policy(model, optimizer=OptimizerConfig(lr=1e-3)), processor_of(model)
    engine = engines(name, family)
    prompts = small_prompts(processor, CLIPS)
    own = replace(prompts[0].media[0], fps=TIMELINE_FPS, shown=TIMES)
    prompts += [replace(prompts[0], key="own video", media=(own,)), *mixed_prompts(processor)]
    sampling = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=1)
    engine.load_weights([policy.state_dict()], VERSION)
    before = gap(policy, processor, prompts, engine.generate(prompts, sampling))
    targets = ["It moves left."] * len(prompts)
    policy.forward_backward([collate_samples(policy.family, processor, prompts, targets)], supervised)
    policy.step()
    stale = gap(policy, processor, prompts, engine.generate(prompts, sampling))
    engine.load_weights([policy.state_dict()], VERSION + 1)
    after = gap(policy, processor, prompts, engine.generate(prompts, sampling))
    assert max(before, after) < TOLERANCE
    assert stale > 10 * TOLERANCE


def gap(policy: Policy, processor: Any, prompts: Sequence[Prompt], groups: Sequence[Group]) -> float:
    """Return the largest difference of a completion token's log-probability between an engine and the trainer."""
    advantages = [[1.0] * len(group.rollouts) for group in groups]
    batch = collate_groups(policy.family, processor, prompts, groups, advantages)
    assert batch.engine_logprobs_BT is not None
    return float((policy.logprobs(batch) - batch.engine_logprobs_BT).abs().max())
