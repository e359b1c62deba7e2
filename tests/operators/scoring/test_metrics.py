"""Intervals against known numbers and against coverage; the table against its text."""

import math

import numpy as np
import pytest
from temporay.operators.scoring.metrics import (
    ConfidenceInterval,
    TableRow,
    accuracy_interval,
    macro_interval,
    mean_interval,
    render_table,
)


def test_wilson_matches_published_values() -> None:
    interval = accuracy_interval([True] * 81 + [False] * 182)  # Newcombe (1998), table I, method 3: 81/263
    assert (interval.value, interval.n) == (81 / 263, 263)
    assert interval.low == pytest.approx(0.2553, abs=5e-5)
    assert interval.high == pytest.approx(0.3662, abs=5e-5)


def test_wilson_is_uncertain_when_all_are_right() -> None:
    interval = accuracy_interval([True] * 20)  # Newcombe (1998): 0/20 has 0 to 0.1611
    assert interval.low == pytest.approx(1 - 0.1611, abs=5e-5)
    assert interval.high == pytest.approx(1.0)
    assert 0 < interval.half_width < 0.1


def test_no_data_is_unknown_not_zero() -> None:
    for interval in (accuracy_interval([]), mean_interval([]), macro_interval({"a": []})):
        assert interval.n == 0
        assert math.isnan(interval.value)


def test_normal_interval() -> None:
    interval = mean_interval([1.0, 2.0, 3.0, 4.0])
    assert interval.value == 2.5
    assert interval.half_width == pytest.approx(1.959964 * 1.290994 / 2, rel=1e-5)
    assert mean_interval([3.0]).high == math.inf


def test_expected_guesses_count_as_their_share() -> None:
    interval = accuracy_interval([1.0, 0.0, 0.25, 0.25])
    assert (interval.value, interval.n) == (0.375, 4)


def test_wilson_covers_the_true_share_as_often_as_stated() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        interval = accuracy_interval((rng.random(60) < 0.9).tolist())
        hits += interval.low <= 0.9 <= interval.high
    assert 0.92 <= hits / 400 <= 0.98


def test_macro_weighs_groups_alike() -> None:
    interval = macro_interval({"big": [True] * 90 + [False] * 10, "small": [False] * 10})
    assert (interval.value, interval.n) == (0.45, 110)
    assert 0 < interval.half_width < 0.2


def test_table() -> None:
    half = ConfidenceInterval(value=0.5, low=0.4, high=0.6, n=96)
    rows = [
        TableRow(name="motion_direction", n=96, chance=0.25, arms={"base": half, "grpo": half}),
        TableRow(name="macro", n=96, chance=0.25, arms={}),
    ]
    assert render_table(rows, arms=("base", "sft", "grpo")).splitlines() == [
        "primitive          n  chance         base  sft         grpo",
        "motion_direction  96    25.0  50.0 +-10.0    -  50.0 +-10.0",
        "macro             96    25.0            -    -            -",
    ]


def test_a_star_stands_behind_its_number_and_moves_no_other() -> None:
    half = ConfidenceInterval(value=0.5, low=0.4, high=0.6, n=96)
    rows = [
        TableRow(name="one", n=96, chance=0.25, arms={"grpo": half, "blind": half}, starred=("blind",)),
        TableRow(name="two", n=96, chance=0.25, arms={"grpo": half, "blind": half}),
    ]
    assert render_table(rows, arms=("grpo", "blind")).splitlines() == [
        "primitive   n  chance         grpo        blind",
        "one        96    25.0  50.0 +-10.0  50.0 +-10.0*",
        "two        96    25.0  50.0 +-10.0  50.0 +-10.0",
    ]
