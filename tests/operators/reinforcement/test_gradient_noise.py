"""The gradient noise scale against gradients whose mean and variance are known."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.reinforcement.gradient_noise import DECAY, gradient_estimates, noise_scale

NUM_WEIGHTS = 200


def steps(
    num_steps: int, *, length: float, noise: float, num_units: int = 12, num_first: int = 5
) -> list[dict[str, float]]:
    """Return estimates from steps of gradients around a G of this length, each with this S."""
    rng = np.random.default_rng(1)
    mean_W = np.full(NUM_WEIGHTS, length / np.sqrt(NUM_WEIGHTS))
    rows = []
    for _ in range(num_steps):
        units_NW = mean_W + np.sqrt(noise / NUM_WEIGHTS) * rng.normal(size=(num_units, NUM_WEIGHTS))
        first, whole = units_NW[:num_first].sum(0) / num_units, units_NW.mean(0)
        squares = {"first_square": float(first @ first), "whole_square": float(whole @ whole)}
        rows.append(gradient_estimates(**squares, num_first_units=num_first, num_units=num_units))
    return rows


@pytest.mark.parametrize(("length", "noise"), [(1.0, 4.0), (0.5, 16.0)])
def test_it_is_that_of_the_gradients(length: float, noise: float) -> None:
    rows = steps(400, length=length, noise=noise)
    assert np.mean([row["grad_square"] for row in rows]) == pytest.approx(length**2, rel=0.1)
    assert np.mean([row["grad_noise"] for row in rows]) == pytest.approx(noise, rel=0.02)
    found = noise_scale(rows)
    assert found["noise_scale"] == pytest.approx(noise / length**2, rel=0.1)
    assert 0.8 * noise / length**2 < found["noise_scale_low"] < noise / length**2
    assert noise_scale([{"reward": 1.0}, *rows, {"reward": 0.0}]) == found


def test_two_units_give_what_their_gradients_say() -> None:
    """The gradients are (2, 0) and (1, 1), so their mean is (1.5, 0.5), to which the first one adds (1, 0)."""
    found = gradient_estimates(first_square=1.0, whole_square=2.5, num_first_units=1, num_units=2)
    assert found == pytest.approx({"grad_square": 1.0, "grad_noise": 3.0})


def test_of_a_gradient_hidden_in_its_noise_only_a_bound_is_known() -> None:
    found = noise_scale(steps(50, length=0.0, noise=4.0))
    assert found["noise_scale"] is None
    assert found["noise_scale_low"] > 4.0 / 0.2**2
    assert noise_scale(steps(1, length=1.0, noise=1.0)) == noise_scale([]) == {}


def test_what_was_long_ago_is_forgotten() -> None:
    rows = [*steps(300, length=1.0, noise=40.0), *steps(300, length=1.0, noise=4.0)]
    assert noise_scale(rows, DECAY)["noise_scale"] == pytest.approx(4.0, rel=0.15)
    assert noise_scale(rows)["noise_scale"] == pytest.approx(22.0, rel=0.15)
