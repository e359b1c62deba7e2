"""Our losses against TRL's own, value and gradient."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from temporay.models.losses import (
    Counts,
    GrpoLossSettings,
    LossType,
    engine_log_ratio,
    grpo_loss,
    importance_weights,
    k3,
    sft_loss,
)
from torch import Tensor

B, T = 6, 5
LOSS_TYPES: tuple[LossType, ...] = ("grpo", "dr_grpo", "dapo", "gspo", "cispo")
EPSILON_HIGH = {"gspo": 0.05, "cispo": 1.3}  # small, so that some ratios are above it


class OneProcess:
    """The part of an accelerator that TRL's loss calls."""

    num_processes = 1
    sync_gradients = True

    def gather(self, value: Tensor) -> Tensor:
        return value

    gather_for_metrics = gather

    def reduce(self, value: Tensor, reduction: str = "sum") -> Tensor:
        return value


def settings(loss_type: LossType, **changes: Any) -> GrpoLossSettings:
    return GrpoLossSettings(loss_type=loss_type, epsilon_high=EPSILON_HIGH.get(loss_type, 0.28), **changes)


def trl_loss(logprobs_BT: Tensor, inputs: dict[str, Any], config: GrpoLossSettings) -> Tensor:
    """TRL's loss; what it says was clipped, and its KL, are put into ``inputs``."""
    from trl import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    arguments = SimpleNamespace(**{name: field.default for name, field in GRPOConfig.__dataclass_fields__.items()})
    arguments.steps_per_generation, arguments.delta = 1, None
    arguments.use_bias_correction_kl = config.use_bias_correction_kl
    corrects = "importance_sampling_ratio" in inputs
    trainer = SimpleNamespace(
        args=arguments,
        accelerator=OneProcess(),
        model=SimpleNamespace(training=True),
        loss_type="grpo" if config.loss_type == "gspo" else config.loss_type,
        importance_sampling_level="sequence" if config.loss_type == "gspo" else "token",
        epsilon_low=config.epsilon,
        epsilon_high=config.epsilon_high,
        beta=config.beta,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=corrects,
        vllm_importance_sampling_correction=corrects,
        current_gradient_accumulation_steps=1,
        max_completion_length=T,
        aux_loss_enabled=False,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs_BT, torch.ones_like(logprobs_BT), None),
    )
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    assert isinstance(loss, Tensor)
    names = {
        "clip_fraction_low": "clip_ratio/low_mean",
        "clip_fraction_high": "cispo_clip_ratio" if config.loss_type == "cispo" else "clip_ratio/high_mean",
        "kl": "kl",
    }
    metrics = trainer._metrics["train"]
    inputs["metrics"] = {ours: metrics[theirs][0] for ours, theirs in names.items() if theirs in metrics}
    return loss


def example() -> tuple[Tensor, Tensor, Tensor, Tensor, Counts]:
    torch.manual_seed(0)
    old_BT = -torch.rand(B, T)
    new_BT = old_BT + 0.4 * torch.randn(B, T)
    mask_BT = torch.ones(B, T)
    mask_BT[1, 3:], mask_BT[4, 1:] = 0, 0
    return old_BT, new_BT, mask_BT, torch.randn(B), Counts(num_tokens=float(mask_BT.sum()), num_sequences=B)


@pytest.mark.parametrize("penalty", [{}, {"beta": 0.3}, {"beta": 0.3, "use_bias_correction_kl": False}])
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_loss_and_gradient_equal_trl(loss_type: LossType, corrected: bool, penalty: dict[str, Any]) -> None:
    old_BT, new_BT, mask_BT, advantages_B, counts = example()
    reference_BT = old_BT + 0.5 * torch.randn(B, T)
    config = settings(loss_type, **penalty)
    weights_BT = importance_weights(old_BT, old_BT + 0.2 * torch.randn(B, T), mask_BT, config) if corrected else None
    inputs = {
        "prompt_ids": torch.zeros(B, 2, dtype=torch.long),
        "prompt_mask": torch.ones(B, 2, dtype=torch.long),
        "completion_ids": torch.zeros(B, T, dtype=torch.long),
        "completion_mask": mask_BT.long(),
        "advantages": advantages_B,
        "old_per_token_logps": old_BT,
        "ref_per_token_logps": reference_BT,
        "num_items_in_batch": mask_BT.sum(),
    }
    if weights_BT is not None:
        inputs["importance_sampling_ratio"] = weights_BT
    theirs_BT = new_BT.clone().requires_grad_()
    expected = trl_loss(theirs_BT, inputs, config)
    expected.backward()  # type: ignore[no-untyped-call]
    ours_BT = new_BT.clone().requires_grad_()
    loss, metrics = grpo_loss(
        ours_BT,
        old_BT,
        mask_BT,
        advantages_B,
        config,
        counts,
        max_completion_length=T,
        importance_weights_BT=weights_BT,
        reference_logprobs_BT=reference_BT if config.beta else None,
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert theirs_BT.grad is not None and ours_BT.grad is not None
    assert abs(loss.item() - expected.item()) < 1e-6
    assert theirs_BT.grad.abs().sum() > 0.1  # else the comparison below says nothing
    torch.testing.assert_close(ours_BT.grad, theirs_BT.grad, atol=1e-6, rtol=0)
    ratio = metrics.pop("ratio").item()
    assert {name: value.item() for name, value in metrics.items()} == pytest.approx(inputs["metrics"], abs=1e-6)
    assert sum(metrics[name].item() for name in metrics if name.startswith("clip")) > 0
    assert 0.5 < ratio < 2
    assert ("kl" in metrics) == bool(config.beta)


@pytest.mark.parametrize(("loss_type", "same"), [("gspo", "grpo"), ("cispo", "dapo")])
def test_on_policy_it_is_the_plain_policy_gradient(loss_type: LossType, same: LossType) -> None:
    old_BT, _, mask_BT, advantages_B, counts = example()

    def gradient(kind: LossType) -> Tensor:
        logprobs_BT = old_BT.clone().requires_grad_()
        loss, _ = grpo_loss(logprobs_BT, old_BT, mask_BT, advantages_B, settings(kind), counts, max_completion_length=T)
        loss.backward()  # type: ignore[no-untyped-call]
        assert logprobs_BT.grad is not None
        return logprobs_BT.grad

    torch.testing.assert_close(gradient(loss_type), gradient(same))


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_what_the_mask_leaves_out_may_be_any_finite_number(loss_type: LossType) -> None:
    old_BT, new_BT, mask_BT, advantages_B, counts = example()
    config = settings(loss_type, beta=0.1)

    def loss_and_gradient(junk: float) -> tuple[Tensor, Tensor]:
        logprobs_BT = new_BT.masked_fill(mask_BT == 0, junk).requires_grad_()
        loss, metrics = grpo_loss(
            logprobs_BT,
            old_BT,
            mask_BT,
            advantages_B,
            config,
            counts,
            max_completion_length=T,
            reference_logprobs_BT=old_BT,
        )
        loss.backward()  # type: ignore[no-untyped-call]
        assert logprobs_BT.grad is not None
        return torch.stack([loss.detach(), *metrics.values()]), logprobs_BT.grad

    for value, expected in zip(loss_and_gradient(1e4), loss_and_gradient(0.0), strict=True):
        torch.testing.assert_close(value, expected)


def test_k3_is_an_unbiased_estimate_that_is_never_negative() -> None:
    torch.manual_seed(0)
    policy_V, other_V = torch.randn(7).log_softmax(-1), torch.randn(7).log_softmax(-1)
    estimate_V = k3(policy_V, other_V)
    assert (estimate_V >= 0).all()
    exact = torch.nn.functional.kl_div(other_V, policy_V, reduction="sum", log_target=True)
    torch.testing.assert_close((policy_V.exp() * estimate_V).sum(), exact)
    near = k3(torch.tensor(-2.0), torch.tensor(-2.0 + 2.0**-20))
    assert near.item() == pytest.approx(0.5 * 2.0**-40, rel=0.2)  # with exp it would be 0 or 1e-7


def test_a_penalty_needs_a_reference() -> None:
    old_BT, new_BT, mask_BT, advantages_B, counts = example()
    with pytest.raises(ValueError, match="reference"):
        grpo_loss(new_BT, old_BT, mask_BT, advantages_B, settings("grpo", beta=0.1), counts, max_completion_length=T)


def test_cispo_with_dapos_clip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"epsilon_high is 0\.28, and cispo caps the ratio itself"):
        GrpoLossSettings(loss_type="cispo")


def test_engine_log_ratio_knows_no_nan() -> None:
    trainer_BT, engine_BT = torch.tensor([[-1.0, -2.0, -3.0]]), torch.tensor([[-1.5, math.nan, 7.0]])
    assert engine_log_ratio(trainer_BT, engine_BT, torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [[0.5, 0.0, 0.0]]


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_shares_of_two_ranks_add_up(loss_type: LossType) -> None:
    old_BT, new_BT, mask_BT, advantages_B, counts = example()
    config = settings(loss_type, beta=0.1)

    def part(rows: slice) -> dict[str, float]:
        loss, metrics = grpo_loss(
            new_BT[rows],
            old_BT[rows],
            mask_BT[rows],
            advantages_B[rows],
            config,
            counts,
            max_completion_length=T,
            reference_logprobs_BT=old_BT[rows] - 0.1,
        )
        return {name: value.item() for name, value in {"loss": loss, **metrics}.items()}

    first, second, whole = part(slice(0, 2)), part(slice(2, B)), part(slice(0, B))
    assert {name: first[name] + second[name] for name in whole} == pytest.approx(whole)


def test_sft_loss_is_cross_entropy_over_the_mask() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 7), torch.randint(0, 7, (2, 4))
    mask_BT = torch.tensor([[0.0, 0, 1, 1], [0, 1, 0, 0]])
    logprobs_BT = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    masked = labels.masked_fill(mask_BT == 0, -100)
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, 7), masked.reshape(-1))
    torch.testing.assert_close(sft_loss(logprobs_BT, mask_BT, 3.0), expected)


def test_importance_weights_by_mode() -> None:
    old_BT = torch.log(torch.tensor([[0.8, 0.5, 0.9]]))
    engine_BT = torch.log(torch.tensor([[0.2, math.nan, 0.3]]))  # ratios 4, unknown, 3 (masked out)
    mask_BT = torch.tensor([[1.0, 1.0, 0.0]])

    def weights(mode: str) -> list[float]:
        result = importance_weights(
            old_BT, engine_BT, mask_BT, GrpoLossSettings.model_validate({"importance_sampling": mode})
        )
        assert result is not None
        return [round(float(value), 4) for value in result[0]]

    assert weights("token_truncate") == [3.0, 1.0, 1.0]
    assert weights("token_mask") == [0.0, 1.0, 1.0]
    assert weights("sequence_truncate") == [3.0]
    assert weights("sequence_mask") == [0.0]
    assert importance_weights(old_BT, engine_BT, mask_BT, GrpoLossSettings(importance_sampling="none")) is None
