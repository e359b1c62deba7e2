"""Our losses against TRL's own, value, gradient and metrics."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from temporay.models.losses._base import GrpoLossSettings
from temporay.models.losses._correction import importance_weights
from torch import Tensor

from tests.models.losses.loss_examples import B, T, example, loss_settings, with_gradient

IN_TRL = ("grpo", "dr_grpo", "dapo", "gspo", "cispo")  # gspo: grpo at TRL's importance_sampling_level "sequence"


class OneProcess:
    """The part of an accelerator that TRL's loss calls."""

    num_processes = 1
    sync_gradients = True

    def gather(self, value: Tensor) -> Tensor:
        return value

    gather_for_metrics = gather

    def reduce(self, value: Tensor, reduction: str = "sum") -> Tensor:
        return value


def trl_loss(logprobs_BT: Tensor, inputs: dict[str, Any], config: GrpoLossSettings) -> tuple[Tensor, dict[str, float]]:
    """Return TRL's loss, its shares of clipped ratios and its KL."""
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
    return loss, {ours: metrics[theirs][0] for ours, theirs in names.items() if theirs in metrics}


@pytest.mark.parametrize("penalty", [{}, {"beta": 0.3}, {"beta": 0.3, "use_bias_correction_kl": False}])
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("name", IN_TRL)
def test_loss_and_gradient_equal_trl(name: str, corrected: bool, penalty: dict[str, Any]) -> None:
    settings, inputs = loss_settings(name, **penalty), example()
    old_BT, mask_BT = inputs.old_logprobs_BT, inputs.mask_BT
    given = {
        "prompt_ids": torch.zeros(B, 2, dtype=torch.long),
        "prompt_mask": torch.ones(B, 2, dtype=torch.long),
        "completion_ids": torch.zeros(B, T, dtype=torch.long),
        "completion_mask": mask_BT.long(),
        "advantages": inputs.advantages_B,
        "old_per_token_logps": old_BT,
        "ref_per_token_logps": inputs.reference_logprobs_BT,
        "num_items_in_batch": mask_BT.sum(),
    }
    if corrected:
        weights_BT = importance_weights(old_BT, old_BT + 0.2 * torch.randn(B, T), mask_BT, settings)
        inputs = example(importance_weights_BT=weights_BT)
        given["importance_sampling_ratio"] = weights_BT
    theirs_BT = inputs.logprobs_BT.clone().requires_grad_()
    expected, expected_metrics = trl_loss(theirs_BT, given, settings)
    (expected_gradient_BT,) = torch.autograd.grad(expected, theirs_BT)
    loss, metrics, gradient_BT = with_gradient(settings, inputs)
    assert abs(loss.item() - expected.item()) < 1e-6
    assert expected_gradient_BT.abs().sum() > 0.1  # else the comparison below says nothing
    torch.testing.assert_close(gradient_BT, expected_gradient_BT, atol=1e-6, rtol=0)
    assert 0.5 < metrics.pop("ratio").item() < 2
    assert {metric: value.item() for metric, value in metrics.items()} == pytest.approx(expected_metrics, abs=1e-6)
    assert sum(value.item() for metric, value in metrics.items() if metric.startswith("clip")) > 0
    assert ("kl" in metrics) == bool(settings.beta)
