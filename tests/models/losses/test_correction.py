"""Importance weights by hand."""

from __future__ import annotations

import math

import torch
from temporay.models.losses._base import GrpoLossSettings
from temporay.models.losses._correction import engine_log_ratio, importance_weights


def test_engine_log_ratio_contains_no_nan() -> None:
    trainer_BT, engine_BT = torch.tensor([[-1.0, -2.0, -3.0]]), torch.tensor([[-1.5, math.nan, 7.0]])
    assert engine_log_ratio(trainer_BT, engine_BT, torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [[0.5, 0.0, 0.0]]


def test_importance_weights_by_mode() -> None:
    old_BT = torch.log(torch.tensor([[0.8, 0.5, 0.9]]))
    engine_BT = torch.log(torch.tensor([[0.2, math.nan, 0.3]]))  # ratios 4, unknown, 3 (masked)
    mask_BT = torch.tensor([[1.0, 1.0, 0.0]])

    def weights(mode: str) -> list[float]:
        settings = GrpoLossSettings.model_validate({"importance_sampling": mode})
        result = importance_weights(old_BT, engine_BT, mask_BT, settings)
        assert result is not None
        return [round(float(value), 4) for value in result[0]]

    assert weights("token_truncate") == [3.0, 1.0, 1.0]
    assert weights("token_mask") == [0.0, 1.0, 1.0]
    assert weights("sequence_truncate") == [3.0]
    assert weights("sequence_mask") == [0.0]
    assert importance_weights(old_BT, engine_BT, mask_BT, GrpoLossSettings(importance_sampling="none")) is None
