"""Levels get prompts by their signal, tasks keep their shares, and every level keeps a floor."""

from __future__ import annotations

import json
import math

import pytest
from temporay.operators.reinforcement.curriculum import Counts, PassRates, level_shares
from temporay.operators.seeding import rng_at

SIZES = {("a", 0): 10, ("a", 1): 10, ("a", 2): 10, ("b", 0): 70}


def test_signal_is_the_share_of_mixed_groups() -> None:
    """Test prompts that 8 times in 10 are always or never answered. The overall pass rate does not matter."""
    rng = rng_at("test_signal")
    rates = PassRates()
    for _ in range(200):
        p = rng.choice([0.0, 1.0, 0.5], 10, p=[0.4, 0.4, 0.2])
        rates = rates.updated([("a", 0)] * 10, (rng.binomial(8, p) / 8).tolist(), 0.99)
    assert rates.signal(("a", 0)) == pytest.approx(0.2, abs=0.04)
    assert rates.signal(("a", 1)) == 0.5


def test_unknown_levels_get_equal_shares_and_tasks_keep_theirs() -> None:
    shares = level_shares(SIZES, PassRates(), 0.1)
    assert shares == pytest.approx({("a", 0): 0.1, ("a", 1): 0.1, ("a", 2): 0.1, ("b", 0): 0.7})


def test_levels_without_signal_get_little_more_than_the_floor() -> None:
    known = {("a", 0): Counts(flat=60), ("a", 1): Counts(mixed=30, flat=30), ("a", 2): Counts(flat=60)}
    shares = level_shares(SIZES, PassRates(counts=known), 0.1)
    assert math.fsum(shares.values()) == pytest.approx(1.0)
    assert shares[("a", 1)] > 0.9 * 0.3 * 0.95
    assert min(shares[("a", 0)], shares[("a", 2)]) >= 0.3 * 0.1 / 3
    assert shares[("b", 0)] == pytest.approx(0.7)


def test_counts_fade_when_a_stratum_is_asked_again() -> None:
    rates = PassRates().updated([("a", 0), ("a", 0), ("b", 0)], [0.5, 0.125, 0.0], 0.5)
    assert rates.counts == {("a", 0): Counts(mixed=2), ("b", 0): Counts(flat=1)}
    later = rates.updated([("a", 0)], [1.0], 0.5)
    assert later.counts == {("a", 0): Counts(mixed=1, flat=1), ("b", 0): Counts(flat=1)}
    assert PassRates.from_json(json.loads(json.dumps(later.to_json()))) == later
