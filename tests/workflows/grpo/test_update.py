"""What one update says about engine and trainer, with numbers by hand."""

from __future__ import annotations

import math

import pytest
import torch
from temporay.models.collate import Batch, BatchCounts
from temporay.models.losses._base import GrpoLossSettings
from temporay.models.scoring_head import Scores
from temporay.workflows.grpo.settings import GrpoSettings
from temporay.workflows.grpo.update import GrpoUpdateLoss


def batch(engine_logprobs: list[float], reference_logprobs: list[float] | None = None) -> Batch:
    return Batch(
        input_ids_BL=torch.ones(1, 4, dtype=torch.long),
        attention_mask_BL=torch.ones(1, 4, dtype=torch.long),
        completion_mask_BL=torch.tensor([[0.0, 1.0, 1.0, 1.0]]),
        model_inputs={},
        advantages_B=torch.tensor([1.0]),
        engine_logprobs_BL=torch.tensor([engine_logprobs]),
        reference_logprobs_BL=None if reference_logprobs is None else torch.tensor([reference_logprobs]),
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
    (gradient_BL,) = torch.autograd.grad(value - plain, SCORES.logprobs_BL)
    assert gradient_BL[0, 2] > 0  # less likely, as the reference has it
    assert gradient_BL[0].count_nonzero() == 1
