"""What one update says about engine and trainer, with numbers by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from temporay.models.collate import Batch, BatchCounts
from temporay.models.losses._base import GrpoLossSettings
from temporay.models.scoring_head import Scores
from temporay.workflows.grpo.passes import TrainingGroup
from temporay.workflows.grpo.settings import GrpoSettings
from temporay.workflows.grpo.update import GrpoUpdateLoss, prepared
from temporay.workflows.rollouts.media import StoredPrompt

from tests.models.small_groups import make_groups
from tests.models.small_policies import make_policy, processor_of
from tests.models.tiny_models import build_tiny_model


def batch(engine_logprobs: list[float], reference_logprobs: list[float] | None = None) -> Batch:
    return Batch(
        input_ids_RL=torch.ones(1, 5, dtype=torch.long),
        completion_ids_BT=torch.ones(1, 4, dtype=torch.long),
        completion_mask_BT=torch.tensor([[0.0, 1.0, 1.0, 1.0]]),
        predictors_BT=torch.arange(4)[None],
        model_inputs={},
        lengths_R=(5,),
        advantages_B=torch.tensor([1.0]),
        engine_logprobs_BT=torch.tensor([engine_logprobs]),
        reference_logprobs_BT=None if reference_logprobs is None else torch.tensor([reference_logprobs]),
    )


def update_loss(loss: GrpoLossSettings) -> GrpoUpdateLoss:
    return GrpoUpdateLoss(GrpoSettings(loss=loss, max_tokens=3))


SCORES = Scores(torch.tensor([[0.0, -1.0, -2.0, -3.0]], requires_grad=True), torch.zeros(1, 4))
COUNTS = BatchCounts(num_tokens=3, num_sequences=1)


def test_engine_kl_is_the_k3_of_the_sampled_tokens() -> None:
    loss = update_loss(GrpoLossSettings(importance_sampling="none"))
    _, metrics = loss(SCORES, batch([9.0, -1.5, -1.8, math.nan]), COUNTS)
    differences = [0.5, -0.2]  # trainer - engine; a token without a number says nothing
    expected = sum(math.exp(d) - 1 - d for d in differences) / 3
    assert metrics["engine_kl"].item() == pytest.approx(expected)
    assert metrics["engine_gap"].item() == pytest.approx(0.7 / 3)
    assert loss.largest_gap == pytest.approx(0.5)


def test_the_penalty_pulls_towards_the_reference() -> None:
    loss = update_loss(GrpoLossSettings(importance_sampling="none", beta=0.5, use_bias_correction_kl=False))
    plain, _ = update_loss(GrpoLossSettings(importance_sampling="none"))(SCORES, batch([0.0] * 4), COUNTS)
    value, metrics = loss(SCORES, batch([0.0] * 4, [0.0, -1.0, -2.5, -3.0]), COUNTS)
    kl = (math.exp(-0.5) - 1 + 0.5) / 3
    assert metrics["kl"].item() == pytest.approx(kl)
    assert (value - plain).item() == pytest.approx(0.5 * kl, abs=1e-6)
    (gradient_BT,) = torch.autograd.grad(value - plain, SCORES.logprobs_BT)
    assert gradient_BT[0, 2] > 0  # less likely, as the reference has it
    assert gradient_BT[0].count_nonzero() == 1


def test_an_update_is_the_same_wherever_its_groups_are_cut(tmp_path: Path) -> None:
    build_tiny_model("qwen3_vl", tmp_path / "model")
    policy, processor = make_policy(tmp_path / "model"), processor_of(tmp_path / "model")
    learner: Any = SimpleNamespace(policy=policy, family=policy.family, processor=processor)
    groups = [
        TrainingGroup(prompt=StoredPrompt(prompt=prompt, frames_ref=None), group=group, advantages=advantages)
        for prompt, group, advantages in zip(*make_groups(policy.family, processor), strict=True)
    ]
    found = []
    for size, budget in ((64, None), (64, 100), (1, None)):
        settings = GrpoSettings(max_tokens=11, micro_batch_size=size, micro_batch_tokens=budget)
        batches = prepared(learner, groups, settings, None)
        metrics = policy.forward_backward(batches, GrpoUpdateLoss(settings))
        gradient = {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}
        policy.optimizer.zero_grad()
        found.append((len(batches), metrics, gradient))
    (num_whole, whole, expected), *others = found
    assert [num_whole, *(num_passes for num_passes, _, _ in others)] == [1, 4, 10]
    for _, metrics, gradient in others:
        assert metrics == pytest.approx(whole, rel=1e-5, abs=1e-6)
        for name, tensor in expected.items():
            assert (gradient[name] - tensor).abs().max() <= 1e-5 * tensor.abs().max() + 1e-9, name
