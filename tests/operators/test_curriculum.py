"""Levels get prompts by what they are worth, tasks keep theirs, and nothing is starved."""

from __future__ import annotations

import json
import math

import pytest

from operators.curriculum import Counts, PassRates, level_shares, signal
from operators.seeding import rng

SIZES = {("a", 0): 10, ("a", 1): 10, ("a", 2): 10, ("b", 0): 70}


def test_signal_is_the_chance_of_rollouts_of_both_kinds() -> None:
    draw = rng("test_signal")
    for right, wrong, group_size in [(0.0, 0.0, 8), (3.5, 1.0, 4), (40.0, 2.0, 8)]:
        p = draw.beta(1 + right, 1 + wrong, 200_000)
        expected = float((1 - p**group_size - (1 - p) ** group_size).mean())
        assert signal(Counts(right=right, wrong=wrong), group_size) == pytest.approx(expected, abs=0.005)


def test_unknown_levels_share_alike_and_tasks_keep_their_part() -> None:
    shares = level_shares(SIZES, PassRates(), 8, 0.1)
    assert shares == pytest.approx({("a", 0): 0.1, ("a", 1): 0.1, ("a", 2): 0.1, ("b", 0): 0.7})


def test_what_is_always_right_or_always_wrong_gets_little_but_a_floor() -> None:
    known = {("a", 0): Counts(right=500, wrong=0), ("a", 1): Counts(right=50, wrong=50), ("a", 2): Counts(wrong=500)}
    shares = level_shares(SIZES, PassRates(counts=known), 8, 0.1)
    assert math.fsum(shares.values()) == pytest.approx(1.0)
    assert shares[("a", 1)] > 0.9 * 0.3 * 0.95
    assert min(shares[("a", 0)], shares[("a", 2)]) >= 0.3 * 0.1 / 3
    assert shares[("b", 0)] == pytest.approx(0.7)


def test_what_is_known_fades_where_it_is_asked_again() -> None:
    rates = PassRates().updated([("a", 0), ("a", 0), ("b", 0)], [4, 2, 0], [4, 6, 8], 0.5)
    assert rates.pass_rate(("a", 0)) == pytest.approx(6 / 16)
    assert rates.pass_rate(("a", 1)) is None
    later = rates.updated([("a", 0)], [8], [0], 0.5)
    assert later.pass_rate(("a", 0)) == pytest.approx((3 + 8) / (8 + 8))
    assert later.pass_rate(("b", 0)) == rates.pass_rate(("b", 0)) == 0.0
    assert PassRates.from_json(json.loads(json.dumps(later.to_json()))) == later
