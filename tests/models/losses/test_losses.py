"""The contract of every loss in the directory, the KL estimate, and the supervised loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import temporay.models.losses
import torch
from pydantic import ValidationError
from temporay.models.collate import Batch, BatchCounts
from temporay.models.losses._base import LOSSES, GrpoLossSettings, LossInputs, build_loss, k3, loss_class
from temporay.models.losses._supervised import supervised
from temporay.models.scoring_head import Scores
from temporay.operators.components import available
from torch import Tensor

from tests.models.losses.loss_examples import B, T, example, loss_settings, with_gradient

ROWS = ("logprobs_BT", "old_logprobs_BT", "mask_BT", "advantages_B", "reference_logprobs_BT")
every_loss = pytest.mark.parametrize("name", available(LOSSES))


def rows_of(inputs: LossInputs, rows: Tensor) -> LossInputs:
    return replace(inputs, **{field: getattr(inputs, field)[rows] for field in ROWS})


def assert_equal(found: tuple[Tensor, dict[str, Tensor]], expected: tuple[Tensor, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])


@every_loss
def test_loss_metrics_and_gradient_are_finite(name: str) -> None:
    inputs = example()
    inputs.logprobs_BT[0, 0], inputs.old_logprobs_BT[2, 1] = -30.0, -30.0  # ratios near 0 and near e^30
    loss, metrics, gradient_BT = with_gradient(loss_settings(name, beta=0.1), inputs)
    assert torch.stack([loss, *metrics.values()]).isfinite().all() and gradient_BT.isfinite().all()


@every_loss
def test_without_advantage_there_is_no_gradient(name: str) -> None:
    _, _, gradient_BT = with_gradient(loss_settings(name), example(advantages_B=torch.zeros(B)))
    assert (gradient_BT == 0).all()


@every_loss
def test_on_policy_good_tokens_become_likelier_and_bad_ones_less(name: str) -> None:
    inputs = example()
    inputs = replace(inputs, logprobs_BT=inputs.old_logprobs_BT)
    _, metrics, gradient_BT = with_gradient(loss_settings(name), inputs)
    assert torch.equal(gradient_BT.sign(), -inputs.advantages_B1.sign() * inputs.mask_BT)
    assert metrics["ratio"].item() == pytest.approx(1.0)
    assert all(value == 0 for metric, value in metrics.items() if metric.startswith("clip"))


@every_loss
def test_the_ratio_has_the_level_that_the_loss_states(name: str) -> None:
    loss = build_loss(loss_settings(name))
    assert loss.ratio(example()).shape == {"token": (B, T), "sequence": (B, 1)}[loss.level]


@every_loss
def test_masked_tokens_may_hold_any_finite_number(name: str) -> None:
    inputs, settings = example(), loss_settings(name, beta=0.1)
    filled = [
        replace(inputs, logprobs_BT=inputs.logprobs_BT.masked_fill(inputs.mask_BT == 0, junk)) for junk in (1e4, 0.0)
    ]
    (loss, metrics, gradient_BT), expected = (with_gradient(settings, one) for one in filled)
    assert_equal((loss, metrics), expected[:2])
    torch.testing.assert_close(gradient_BT, expected[2])
    assert (gradient_BT[inputs.mask_BT == 0] == 0).all()


@every_loss
def test_shares_of_two_ranks_add_up(name: str) -> None:
    inputs, loss = example(), build_loss(loss_settings(name, beta=0.1))
    (first, some), (second, others) = (loss(rows_of(inputs, torch.arange(B)[rows])) for rows in (slice(2), slice(2, B)))
    added = first + second, {metric: some[metric] + others[metric] for metric in some}
    assert_equal(added, loss(inputs))


@every_loss
def test_order_of_sequences_and_padding_change_nothing(name: str) -> None:
    inputs, loss = example(), build_loss(loss_settings(name, beta=0.1))
    assert_equal(loss(rows_of(inputs, torch.randperm(B))), loss(inputs))
    wide = [field for field in ROWS if field.endswith("_BT")]
    padded = {field: torch.nn.functional.pad(getattr(inputs, field), (0, 3)) for field in wide}
    assert_equal(loss(replace(inputs, **padded)), loss(inputs))


@every_loss
def test_a_penalty_needs_a_reference(name: str) -> None:
    with pytest.raises(ValueError, match="reference"):
        build_loss(loss_settings(name, beta=0.1))(example(reference_logprobs_BT=None))


@pytest.mark.parametrize(("name", "same"), [("gspo", "grpo"), ("cispo", "dapo")])
def test_on_policy_it_is_the_plain_policy_gradient(name: str, same: str) -> None:
    inputs = example()
    inputs = replace(inputs, logprobs_BT=inputs.old_logprobs_BT)
    found, expected = (with_gradient(loss_settings(one), inputs)[2] for one in (name, same))
    torch.testing.assert_close(found, expected)


def test_a_new_file_is_a_new_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doubled_grpo.py").write_text(
        "from temporay.models.losses._base import PolicyLoss, mean_over_sequences\n"
        "class DoubledGrpo(PolicyLoss):\n"
        "    def mean(self, token_loss, inputs):\n"
        "        return 2 * mean_over_sequences(token_loss, inputs)\n"
    )
    monkeypatch.setattr(temporay.models.losses, "__path__", [*temporay.models.losses.__path__, str(tmp_path)])
    doubled, _, _ = with_gradient(loss_settings("doubled_grpo"), example())
    torch.testing.assert_close(doubled, 2 * with_gradient(loss_settings("grpo"), example())[0])
    assert loss_class("temporay.models.losses.doubled_grpo:DoubledGrpo") is loss_class("doubled_grpo")


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"unknown loss 'dappo'; did you mean 'dapo'\? \(valid: cispo, dapo"):
        GrpoLossSettings(loss_type="dappo")
    with pytest.raises(ValidationError, match="'pathlib:Path' is no PolicyLoss"):
        GrpoLossSettings(loss_type="pathlib:Path")
    with pytest.raises(ValidationError, match=r"epsilon_high is 0\.28, and cispo caps the ratio itself"):
        GrpoLossSettings(loss_type="cispo")


def test_k3_is_an_unbiased_estimate_that_is_never_negative() -> None:
    torch.manual_seed(0)
    policy_V, other_V = torch.randn(7).log_softmax(-1), torch.randn(7).log_softmax(-1)
    estimate_V = k3(policy_V, other_V)
    assert (estimate_V >= 0).all()
    exact = torch.nn.functional.kl_div(other_V, policy_V, reduction="sum", log_target=True)
    torch.testing.assert_close((policy_V.exp() * estimate_V).sum(), exact)
    near = k3(torch.tensor(-2.0), torch.tensor(-2.0 + 2.0**-20))
    assert near.item() == pytest.approx(0.5 * 2.0**-40, rel=0.2)  # with exp it would be 0 or 1e-7


def test_the_supervised_loss_is_cross_entropy_over_the_mask() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 7), torch.randint(0, 7, (2, 4))
    mask_BT = torch.tensor([[0.0, 0, 1, 1], [0, 1, 0, 0]])
    scores = Scores(logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0], torch.zeros(2, 4))
    batch = Batch(
        input_ids_RL=labels,
        completion_ids_BT=labels,
        completion_mask_BT=mask_BT,
        predictors_BT=labels,
        model_inputs={},
        lengths_R=(4, 4),
    )
    masked = labels.masked_fill(mask_BT == 0, -100)
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, 7), masked.reshape(-1))
    loss, _ = supervised(scores, batch, BatchCounts(num_tokens=3.0, num_sequences=2.0))
    torch.testing.assert_close(loss, expected)
