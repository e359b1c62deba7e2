"""Our losses against TRL's own, value and gradient."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.losses import Counts, GrpoLossSettings, LossType, grpo_loss, importance_weights, sft_loss

B, T = 6, 5


class OneProcess:
    """The part of an accelerator that TRL's loss calls."""

    num_processes = 1
    sync_gradients = True

    def gather(self, value: Tensor) -> Tensor:
        return value

    gather_for_metrics = gather

    def reduce(self, value: Tensor, reduction: str = "sum") -> Tensor:
        return value


def trl_loss(loss_type: str, logprobs_BT: Tensor, inputs: dict[str, Any], config: GrpoLossSettings) -> Tensor:
    from trl import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    arguments = SimpleNamespace(**{name: field.default for name, field in GRPOConfig.__dataclass_fields__.items()})
    arguments.steps_per_generation, arguments.delta = 1, None
    corrects = "importance_sampling_ratio" in inputs
    trainer = SimpleNamespace(
        args=arguments,
        accelerator=OneProcess(),
        model=SimpleNamespace(training=True),
        loss_type=loss_type,
        importance_sampling_level="token",
        epsilon_low=config.epsilon,
        epsilon_high=config.epsilon_high,
        beta=0.0,
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
    trainer.metrics = trainer._metrics["train"]
    assert isinstance(loss, Tensor)
    inputs["clip"] = trainer.metrics["clip_ratio/low_mean"][0], trainer.metrics["clip_ratio/high_mean"][0]
    return loss


def example() -> tuple[Tensor, Tensor, Tensor, Tensor, Counts]:
    torch.manual_seed(0)
    old_BT = -torch.rand(B, T)
    new_BT = old_BT + 0.4 * torch.randn(B, T)
    mask_BT = torch.ones(B, T)
    mask_BT[1, 3:], mask_BT[4, 1:] = 0, 0
    return old_BT, new_BT, mask_BT, torch.randn(B), Counts(num_tokens=float(mask_BT.sum()), num_sequences=B)


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "dapo"])
def test_loss_and_gradient_equal_trl(loss_type: LossType, corrected: bool) -> None:
    old_BT, new_BT, mask_BT, advantages_B, counts = example()
    config = GrpoLossSettings(loss_type=loss_type)
    weights_BT = importance_weights(old_BT, old_BT + 0.2 * torch.randn(B, T), mask_BT, config) if corrected else None
    inputs = {
        "prompt_ids": torch.zeros(B, 2, dtype=torch.long),
        "prompt_mask": torch.ones(B, 2, dtype=torch.long),
        "completion_ids": torch.zeros(B, T, dtype=torch.long),
        "completion_mask": mask_BT.long(),
        "advantages": advantages_B,
        "old_per_token_logps": old_BT,
        "num_items_in_batch": mask_BT.sum(),
    }
    if weights_BT is not None:
        inputs["importance_sampling_ratio"] = weights_BT
    theirs_BT = new_BT.clone().requires_grad_()
    expected = trl_loss(loss_type, theirs_BT, inputs, config)
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
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert theirs_BT.grad is not None and ours_BT.grad is not None
    assert abs(loss.item() - expected.item()) < 1e-6
    assert theirs_BT.grad.abs().sum() > 0.1  # else the comparison below says nothing
    torch.testing.assert_close(ours_BT.grad, theirs_BT.grad, atol=1e-6, rtol=0)
    clip = metrics["clip_fraction_low"].item(), metrics["clip_fraction_high"].item()
    assert clip == pytest.approx(inputs["clip"])
    assert sum(clip) > 0


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "dapo"])
def test_shares_of_two_ranks_add_up(loss_type: LossType) -> None:
    old_BT, new_BT, mask_BT, advantages_B, counts = example()
    config = GrpoLossSettings(loss_type=loss_type)

    def part(rows: slice) -> Tensor:
        return grpo_loss(
            new_BT[rows],
            old_BT[rows],
            mask_BT[rows],
            advantages_B[rows],
            config,
            counts,
            max_completion_length=T,
        )[0]

    assert part(slice(0, 2)) + part(slice(2, B)) == pytest.approx(part(slice(0, B)).item())


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
