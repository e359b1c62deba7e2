"""Named curves: one length, one speed, and each recognized from a path at any place and size."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.primitives.motion._curves import CURVES, choose_curve, curve, curve_error, is_clockwise


@pytest.mark.parametrize("name", CURVES)
def test_every_curve_has_length_one_and_constant_speed(name: str) -> None:
    step_T = np.abs(np.diff(curve(name, np.linspace(0, 1, 4001), phase=0.3)))
    assert step_T.sum() == pytest.approx(1.0, rel=0.01)
    assert np.quantile(step_T, 0.01) == pytest.approx(np.quantile(step_T, 0.99), rel=0.01)


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_recognized_under_noise(name: str) -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        path_T2 = 150 * choose_curve(rng, name, 28) + rng.normal(0, 0.4, (28, 2)) + rng.uniform(0, 90, 2)
        left, second = sorted((curve_error(path_T2, one, np.linspace(0, 1, 28)), one) for one in CURVES)[:2]
        assert left[1] == name
        assert left[0] < second[0] / 2


@pytest.mark.parametrize("sense", [1, -1])
def test_a_closed_curve_is_gone_round_as_told(sense: int) -> None:
    """Three turns to the right, as a screen shows them, are clockwise."""
    assert is_clockwise(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    for name in ("circle", "square", "triangle"):
        path_T2 = choose_curve(np.random.default_rng(0), name, 28, sense)
        assert is_clockwise(path_T2) == (sense == 1)


def test_an_unknown_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="spiral"):
        curve("spiral", np.zeros(3), phase=0.0)
