"""What one update says about engine and trainer, with numbers by hand."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from temporay.models.collate import Batch, BatchCounts, StepSize
from temporay.models.losses._base import GrpoLossSettings
from temporay.models.losses._spread import RatioSpread
from temporay.models.parallel import Hardware, this_process
from temporay.models.policy import Policy
from temporay.models.scoring_head import Scores
from temporay.operators.errors import UserError
from temporay.operators.reinforcement.gradient_noise import gradient_estimates
from temporay.workflows.grpo.batches import TrainingGroup
from temporay.workflows.grpo.guards import check_engine_kl
from temporay.workflows.grpo.settings import GrpoSettings, GuardSettings
from temporay.workflows.grpo.update import GrpoUpdateLoss, prepared, update_once
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
    return GrpoUpdateLoss(GrpoSettings(loss=loss, max_tokens=3), RatioSpread())


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


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("token_mask", {"importance_clipped": 1 / 3}),
        ("token_truncate", {"importance_clipped": 1 / 3}),
        ("sequence_mask", {"importance_clipped": 1.0, "importance_clipped_sequences": 1.0}),
        ("none", {}),
    ],
)
def test_what_importance_weights_leave_out_is_counted(how: Any, expected: dict[str, float]) -> None:
    settings = GrpoLossSettings(importance_sampling=how, importance_sampling_clip_max=2.0)
    spread = RatioSpread()
    loss = GrpoUpdateLoss(GrpoSettings(loss=settings, max_tokens=3), spread)
    _, metrics = loss(SCORES, batch([9.0, -2.0, -2.0, -3.0]), COUNTS)  # ratios e, 1 and 1
    assert {name: value.item() for name, value in metrics.items() if "importance" in name} == pytest.approx(expected)
    found = spread.summary(this_process(torch.device("cpu")))
    assert not [name for name in found if name.startswith("ratio")]  # one update: the policy has not moved
    if how != "none":
        assert found["importance_max"] == pytest.approx(math.e)
        assert found["importance_min"] == pytest.approx(math.e if "sequence" in how else 1.0)
        assert found["importance_ess"] == pytest.approx({"token_mask": 2 / 3, "sequence_mask": 0.0}.get(how, 16 / 18))


@pytest.mark.parametrize(("loss_type", "smallest"), [("dapo", math.exp(-0.5)), ("gspo", 1.0)])
def test_the_ratio_to_the_weights_before_the_batch_is_spread_out(loss_type: str, smallest: float) -> None:
    """By token, or by sequence where the loss has one ratio for each."""
    spread = RatioSpread()
    loss = GrpoUpdateLoss(GrpoSettings(loss=GrpoLossSettings(loss_type=loss_type), max_tokens=3), spread)
    moved = dataclasses.replace(batch([9.0, -1.0, -2.0, -3.0]), old_logprobs_BT=torch.tensor([[0.0, -1.5, -1.5, -3.0]]))
    loss(SCORES, moved, COUNTS)
    assert spread.summary(this_process(torch.device("cpu")))["ratio_min"] == pytest.approx(smallest)


def test_a_batch_that_lags_may_be_further_from_the_engine() -> None:
    settings = GuardSettings(max_engine_kl=0.05)
    check_engine_kl(3, 0.09, 1, settings)
    with pytest.raises(UserError, match=r"0\.11 nats .* is 0\.05, which allows 0\.1 at staleness 1"):
        check_engine_kl(3, 0.11, 1, settings)
    with pytest.raises(UserError, match="at staleness 0"):
        check_engine_kl(3, 0.06, 0, settings)


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


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what updates ask of a learner, on a small policy whose weights stay."""
    model = tmp_path_factory.mktemp("learner") / "model"
    build_tiny_model("qwen3_vl", model)
    policy, processor = make_policy(model), processor_of(model)
    policy.optimizer.step = lambda: None  # type: ignore[method-assign, assignment]

    def update(*arguments: Any) -> dict[str, float]:
        return {**policy.forward_backward(*arguments), **policy.step()}

    return SimpleNamespace(policy=policy, family=policy.family, processor=processor, update=update)


@pytest.fixture(scope="module")
def groups(learner: Any) -> list[TrainingGroup]:
    return [
        TrainingGroup(prompt=StoredPrompt(prompt=prompt, media_ref=None), group=group, advantages=advantages)
        for prompt, group, advantages in zip(*make_groups(learner.family, learner.processor), strict=True)
    ]


def gradient_square(policy: Policy) -> float:
    square = sum(float(p.grad.square().sum()) for p in policy.model.parameters() if p.grad is not None)
    policy.optimizer.zero_grad()
    return square


@pytest.mark.parametrize(("size", "budget"), [(4, None), (1, None), (64, 100), (64, None)])
def test_the_noise_of_the_gradient_is_that_of_whole_groups(
    learner: Any, groups: list[TrainingGroup], size: int, budget: int | None
) -> None:
    """However groups are cut, their first ones are those of the step. One micro-batch has no first ones."""
    policy = learner.policy
    settings = GrpoSettings(max_tokens=11, micro_batch_size=size, micro_batch_tokens=budget)
    ready = prepared(learner, groups, settings, None)
    num_first = ready.whole.num_first_groups
    found = update_once(learner, ready, settings, RatioSpread())
    assert "grad_square_first" not in found
    assert (num_first > 0) == ("grad_square" in found) == (ready.size.num_passes > 1)
    if not num_first:
        return
    squares = []
    for part in (groups[:num_first], groups):
        loss = GrpoUpdateLoss(settings, RatioSpread())
        made = prepared(learner, part, settings, None)
        size_of_part = dataclasses.replace(made.size, counts=ready.size.counts)
        policy.forward_backward(made.batches, loss, size_of_part)
        squares.append(gradient_square(policy))
    first, whole = squares
    units = {"num_first_units": num_first, "num_units": 4}
    expected = gradient_estimates(first_square=first, whole_square=whole, **units)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-3)


def test_where_gradients_are_exchanged_once_there_is_no_noise(learner: Any, groups: list[TrainingGroup]) -> None:
    hardware = Hardware(sharding="optimizer")
    settings = GrpoSettings(max_tokens=11, micro_batch_size=4, hardware=hardware)
    assert prepared(learner, groups, settings, None).size.num_first_passes == 0


def test_an_update_is_the_same_wherever_its_groups_are_cut(learner: Any, groups: list[TrainingGroup]) -> None:
    policy, found = learner.policy, []
    for size, budget in ((64, None), (64, 100), (1, None)):
        settings = GrpoSettings(max_tokens=11, micro_batch_size=size, micro_batch_tokens=budget)
        made = prepared(learner, groups, settings, None)
        batches = list(made.batches)
        assert dataclasses.replace(made.size, num_first_passes=0) == StepSize.of(batches)
        metrics = policy.forward_backward(batches, GrpoUpdateLoss(settings, RatioSpread()), StepSize.of(batches))
        gradient = {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}
        policy.optimizer.zero_grad()
        found.append((len(batches), metrics, gradient))
    (num_whole, whole, expected), *others = found
    assert [num_whole, *(num_passes for num_passes, _, _ in others)] == [1, 4, 10]
    for _, metrics, gradient in others:
        assert metrics == pytest.approx(whole, rel=1e-5, abs=1e-6)
        for name, tensor in expected.items():
            assert (gradient[name] - tensor).abs().max() <= 1e-5 * tensor.abs().max() + 1e-9, name
