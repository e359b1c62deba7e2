"""Named curves: one length, one speed, and each recognised from a path that lies anywhere, at any size."""

from __future__ import annotations

import numpy as np
import pytest

from operators.primitives.motion._curves import CURVES, curve, draw_curve, likest_curve


@pytest.mark.parametrize("name", CURVES)
def test_every_curve_has_length_one_and_constant_speed(name: str) -> None:
    step_T = np.abs(np.diff(curve(name, np.linspace(0, 1, 4001), phase=0.3)))
    assert step_T.sum() == pytest.approx(1.0, rel=0.01)
    assert np.quantile(step_T, 0.01) == pytest.approx(np.quantile(step_T, 0.99), rel=0.01)


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_recognised_under_noise(name: str) -> None:
    for seed in range(15):
        draw = np.random.default_rng(seed)
        path_T2 = 150 * draw_curve(draw, name, 28) + draw.normal(0, 0.4, (28, 2)) + draw.uniform(0, 90, 2)
        best, left, second = likest_curve(path_T2, CURVES)
        assert CURVES[best] == name
        assert left < second / 2


def test_an_unknown_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="spiral"):
        curve("spiral", np.zeros(3), phase=0.0)
