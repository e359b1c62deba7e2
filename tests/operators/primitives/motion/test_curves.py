"""Named curves: one length, one speed, and each recognized from a path at any place and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from temporay.operators.dataset.label_check import witness_of
from temporay.operators.pixels.render import render
from temporay.operators.primitives.motion._curves import CURVES, choose_curve, curve, curve_error, is_clockwise
from temporay.operators.primitives.motion.trajectory_shape import FEWEST_SHOWN, NUM_FIGURES_BY_LEVEL
from temporay.operators.sampling import TWO_PER_SECOND

from tests.operators.primitives.planning import LARGE, load_scene, make_plan, make_primitive

CLOSE_FRAMES = replace(LARGE, width=160, height=160, sampling=TWO_PER_SECOND)  # frames that are shown are even


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


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_so_many_frames_of_each_figure_are_needed_and_enough(level: int) -> None:
    """One frame less of each is not said to hold the answer, and as many of them never show another one."""
    primitive, num_figures = make_primitive("trajectory_shape"), NUM_FIGURES_BY_LEVEL[level]
    recovered = []
    for index in range(6):
        plan = make_plan("trajectory_shape", index, level, CLOSE_FRAMES)
        question, frames_THWC = primitive.ask(plan), render(plan, load_scene)
        fewer, enough = (
            np.rint(np.linspace(0, plan.num_frames - 1, num * num_figures + 1)).astype(int).tolist()
            for num in (FEWEST_SHOWN - 1, FEWEST_SHOWN)
        )
        assert primitive.survives(plan, enough) and not primitive.survives(plan, fewer[:-1])
        whole = witness_of(plan, question, frames_THWC, load_scene)
        rate = plan.fps * len(enough) / plan.num_frames
        recovered.append(primitive.recover(replace(whole, frames_THWC=frames_THWC[enough], fps=rate)))
        assert recovered[-1] in (None, question.answer_index)
    assert recovered.count(None) <= 1
