"""Whole updates against TRL's GRPOTrainer: the same completions must make the same weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from temporay.models.chat import to_prompt
from temporay.models.engines._base import EngineSettings
from temporay.models.engines.local import Local
from temporay.models.families._base import family_of
from temporay.models.policy import Policy, PolicySettings
from temporay.operators.dataset.reader import Dataset
from temporay.operators.records import Outcome, Sampling, ScoredGroup
from temporay.operators.reinforcement.prompt_stream import Cursor
from temporay.operators.reinforcement.task_scales import TaskScales
from temporay.operators.scoring.scores import load_rewards, score_group
from temporay.workflows.grpo.passes import TrainingGroup
from temporay.workflows.grpo.reward_needs import prompt_stream
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.grpo.state import AnsweredPrompt
from temporay.workflows.grpo.update import TrainingBatch, learn_from
from temporay.workflows.rollouts.media import StoredPrompt

from tests.benchmarks.trl_sides import Experiment, as_trl_takes, ours, peer, write_clips, write_start

ASKED = Experiment(steps=2, prompts=3, group_size=4, max_tokens=6)
MAX_SEEDS = 20  # tried until no group is flat
Answered = list[tuple[StoredPrompt, ScoredGroup]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> GrpoConfig:
    folder = tmp_path_factory.mktemp("trl")
    data = write_clips(folder / "data")
    return ours(ASKED, data, write_start(data, folder / "model", seed=0), folder / "run", seed=0)


@pytest.fixture(scope="module")
def batches(config: GrpoConfig) -> list[Answered]:
    """Sample and score the rollouts of every step, all under the first weights, so that each group has a signal."""
    engine = Local(config.model, EngineSettings())
    processor = family_of(config.model).load_processor(config.model)
    dataset, rewards = Dataset.open(config.data), load_rewards(config.rewards.weights, {})
    chosen, _ = prompt_stream(config, dataset).choose(Cursor(), ASKED.steps * ASKED.prompts)
    rows = [one.row for one in chosen]
    prompts = [to_prompt(processor, dataset.sample(r), (dataset.frames(r),), instruction="") for r in rows]
    for seed in range(MAX_SEEDS):
        sampling = Sampling(
            num_rollouts=ASKED.group_size, temperature=config.temperature, max_tokens=ASKED.max_tokens, seed=seed
        )
        answered = []
        for one, prompt, group in zip(chosen, prompts, engine.generate(prompts, sampling), strict=True):
            sample, stored = dataset.sample(one.row), StoredPrompt(prompt=prompt, media_ref=None)
            scores = score_group(group, sample, rewards)
            found = AnsweredPrompt(chosen=one, sample=sample, prompt=stored, group=group, scores=scores)
            answered.append((stored, found.scored(config, 0, TaskScales())))
        if all(scored.outcome == Outcome.TRAINED for _, scored in answered):
            break
    return [answered[i : i + ASKED.prompts] for i in range(0, len(answered), ASKED.prompts)]


def weights_of_temporay(config: GrpoConfig, batches: list[Answered]) -> tuple[dict[str, torch.Tensor], float]:
    """Learn from the batches; return the weights, and the largest share of ratios that were clipped."""
    family = family_of(config.model)
    settings = PolicySettings(
        optimizer=config.optimizer, total_steps=ASKED.steps * ASKED.iterations, temperature=config.temperature
    )
    policy = Policy.load(config.model, family, settings)

    def update(*arguments: Any) -> dict[str, float]:
        return {**policy.forward_backward(*arguments), **policy.step()}

    learner: Any = SimpleNamespace(
        policy=policy, family=family, processor=family.load_processor(config.model), update=update, step=0
    )
    clipped = []
    for answered in batches:
        assert {scored.outcome for _, scored in answered} == {Outcome.TRAINED}
        groups = [TrainingGroup(prompt=p, group=s.group, advantages=s.advantages) for p, s in answered]
        metrics = learn_from(learner, TrainingBatch(weight_version=0, groups=groups), config).metrics
        clipped.append(metrics["clip_fraction_low"] + metrics["clip_fraction_high"])
    return policy.state_dict(), max(clipped)


def test_the_same_completions_make_the_weights_of_trl(
    config: GrpoConfig, batches: list[Answered], tmp_path: Path
) -> None:
    """Loss, clipping, advantages, prompts, frames, optimizer and its schedule: all of them decide the weights."""
    processor = family_of(config.model).load_processor(config.model)

    def rollouts(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        answered = batches[trainer.state.global_step // ASKED.iterations]
        given = as_trl_takes([scored.group for _, scored in answered], processor)
        own = processor.apply_chat_template(prompts, tokenize=True, return_dict=True, add_generation_prompt=True)
        assert own["input_ids"] == given["prompt_ids"]  # when TRL samples by itself, it reads the same
        return given

    lengths = {len(r.completion_ids) for batch in batches for _, scored in batch for r in scored.group.rollouts}
    assert len(lengths) > 2  # else a mean over tokens is a mean over sequences
    trainer = peer(ASKED, config, tmp_path, rollouts)
    start = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.train()
    expected = trainer.model.state_dict()
    found, clipped = weights_of_temporay(config, batches)
    assert clipped > 0.01
    for name, tensor in found.items():
        way, gap = expected[name] - start[name], tensor - expected[name]
        assert gap.norm() < 1e-3 * way.norm(), name
