"""Schedules: token budgets, passes that ranks share evenly, and little padding."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from temporay.operators.errors import UserError
from temporay.workflows.learner.passes import PassLimits
from temporay.workflows.sft.schedule import CHUNK, Pass, Schedule, make_schedule, pack
from temporay.workflows.sft.token_counts import check_share, too_long

TOKENS_N = np.random.default_rng(0).integers(10, 200, 50)
LIMITS = PassLimits(micro_batch_size=6, micro_batch_tokens=400)


def rows_at(first: int, count: int) -> list[int]:
    """Return rows of epochs of 50, laid end to end."""
    return [(7 * place) % 50 for place in range(first, first + count)]


def schedule(num_steps: int, **changes: int | None) -> Schedule:
    settings = {"batch_size": None, "tokens_per_step": 1000, **changes}
    return make_schedule(rows_at, TOKENS_N, LIMITS, num_steps=num_steps, **settings)


def test_steps_by_tokens_are_as_full_as_the_order_allows() -> None:
    made = schedule(2000)  # more samples than are taken at a time
    assert len(made.rows) > CHUNK
    assert made.rows.tolist() == rows_at(0, len(made.rows))
    for step in range(1999):
        tokens = int(TOKENS_N[made.rows_of(step)].sum())
        following = int(TOKENS_N[made.rows[made.starts[step + 1]]])
        assert tokens <= 1000 < tokens + following


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short, long = schedule(5), schedule(50)
    assert [short.rows_of(step) for step in range(5)] == [long.rows_of(step) for step in range(5)]
    assert short.digest(5) == long.digest(5) != long.digest(6)


def test_steps_by_samples() -> None:
    made = schedule(5, batch_size=8, tokens_per_step=None)
    assert [made.rows_of(step) for step in range(5)] == [rows_at(8 * step, 8) for step in range(5)]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_every_step_in_as_many_passes(world_size: int) -> None:
    made = schedule(40)
    for step in range(40):
        ranks = [made.passes(step, rank, world_size) for rank in range(world_size)]
        assert len({len(passes) for passes in ranks}) == 1
        every = [one for passes in ranks for one in passes]
        assert Counter(row for one in every if not one.is_blank for row in one.rows) == Counter(made.rows_of(step))
        for one in every:
            assert len(one.rows) <= 6
            assert len(one.rows) * int(TOKENS_N[list(one.rows)].max()) <= 400


def test_rows_of_similar_length_go_together() -> None:
    made = schedule(40, tokens_per_step=3000)
    plain = PassLimits(micro_batch_size=6, micro_batch_tokens=None)
    drawn_order = []
    for step in range(40):
        rows = made.rows_of(step)
        padded = sum(len(rows[i : i + 6]) * TOKENS_N[rows[i : i + 6]].max() for i in range(0, len(rows), 6))
        drawn_order.append(1 - TOKENS_N[rows].sum() / padded)
    sorted_padding = [
        Schedule(rows=made.rows, starts=made.starts, tokens_N=TOKENS_N, limits=plain).token_metrics(step, 1)["padding"]
        for step in range(40)
    ]
    assert np.mean(sorted_padding) < 0.5 * np.mean(drawn_order)


def test_passes_are_halved_before_blanks_are_added() -> None:
    tokens = np.asarray([5, 9, 9, 7])
    wide = PassLimits(micro_batch_size=8, micro_batch_tokens=None)
    assert pack([0, 1, 2, 3], tokens, wide, 1) == [Pass((1, 2, 3, 0))]
    assert pack([0, 1, 2, 3], tokens, wide, 2) == [Pass((1, 2)), Pass((3, 0))]
    assert pack([3, 0], tokens, wide, 3) == [Pass((3,)), Pass((0,)), Pass((0,), is_blank=True)]
    assert pack([3, 3], tokens, wide, 2) == [Pass((3,)), Pass((3,))]  # the same sample twice, at an epoch's end


def test_the_lowest_limit_names_the_reason() -> None:
    lengths = np.asarray([10, 30, 20])
    dropped = too_long([4, 5, 6], lengths, {"max_length": 25, "micro_batch_tokens": None, "tokens_per_step": 15})
    assert [(one.row, one.tokens, one.reason) for one in dropped] == [
        (5, 30, "over_tokens_per_step"),
        (6, 20, "over_tokens_per_step"),
    ]
    assert too_long([4], lengths[:1], {"max_length": None}) == []
    check_share(dropped, 3, 0.7, {"max_length": 25})
    with pytest.raises(UserError, match=r"2 of 3 samples are too long \(max_length 25; the longest has 30 tokens\)"):
        check_share(dropped, 3, 0.5, {"max_length": 25})
    with pytest.raises(UserError, match="2 of 2 samples"):
        check_share(dropped, 2, 1.0, {"max_length": 25})
