"""Values by step, as logged and smoothed."""

from __future__ import annotations

import math

import pytest
from temporay.workflows.reports.curves import SMOOTHING, smoothed


def test_a_smoothed_curve_averages_over_a_twelfth_of_its_steps() -> None:
    rows = [{"step": step, "reward": float(step % 2)} for step in range(4 * SMOOTHING)]
    raw, smooth = smoothed(rows, "reward", "base")
    assert raw.steps == smooth.steps == [row["step"] for row in rows]
    assert raw.values == [row["reward"] for row in rows]
    assert smooth.values[SMOOTHING:-SMOOTHING] == pytest.approx([0.5] * (2 * SMOOTHING))


def test_steps_without_a_value_are_left_out() -> None:
    rows = [{"step": 0, "reward": 1.0}, {"step": 1}, {"step": 2, "reward": math.nan}, {"step": 3, "reward": 3.0}]
    raw, smooth = smoothed(rows, "reward", "base")
    assert (raw.steps, raw.values) == ([0.0, 3.0], [1.0, 3.0])
    assert smooth.values == raw.values  # so few are not smoothed
