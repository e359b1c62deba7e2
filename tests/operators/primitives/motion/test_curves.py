"""Named curves: one length, one speed, and each recognized from a path at any place and size."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.primitives.motion._curves import CURVES, choose_curve, curve, most_like_curve


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
        best, left, second = most_like_curve(path_T2, CURVES)
        assert CURVES[best] == name
        assert left < second / 2


def test_an_unknown_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="spiral"):
        curve("spiral", np.zeros(3), phase=0.0)
