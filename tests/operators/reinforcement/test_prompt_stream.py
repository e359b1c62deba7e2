"""The stream has whole epochs, whole pairs and the shares asked for, and resumes at any cursor."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from temporay.operators.errors import UserError
from temporay.operators.reinforcement.prompt_stream import Cursor, PromptStream

TASKS = ["a"] * 6 + ["b"] * 6
LEVELS = [0, 0, 1, 1, 2, 2] * 2
PAIRS = [f"p{i // 2}" for i in range(12)]
SINGLE = PromptStream.over(TASKS, LEVELS, PAIRS, seed=3, pairs=False)
PAIRED = PromptStream.over(TASKS, LEVELS, PAIRS, seed=3, pairs=True)
EVEN = {(task, level): 1 / 6 for task in "ab" for level in range(3)}


def test_every_row_comes_once_before_any_comes_again() -> None:
    chosen, cursor = SINGLE.choose(Cursor(), 36)
    epochs = [[one.row for one in chosen[first : first + 12]] for first in (0, 12, 24)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [one.position for one in chosen] == list(range(36)) and all(one.static for one in chosen)
    assert cursor.num_prompts == 36


def test_pairs_stay_together_and_come_whole() -> None:
    chosen, cursor = PAIRED.choose(Cursor(), 5)  # the third pair comes whole
    rows = [one.row for one in chosen]
    assert len(rows) == 6 and all(a // 2 == b // 2 and a != b for a, b in zip(rows[::2], rows[1::2], strict=True))
    assert cursor.num_prompts == 6


@pytest.mark.parametrize("stream", [SINGLE, PAIRED])
@pytest.mark.parametrize("shares", [None, EVEN])
def test_the_stream_resumes_at_any_cursor(stream: PromptStream, shares: dict[tuple[str, int], float] | None) -> None:
    whole, end = stream.choose(Cursor(), 60, shares, 0.3)
    cursor, parts = Cursor(), []
    for count in (2, 14, 4, 40):
        some, cursor = stream.choose(Cursor.from_json(json.loads(json.dumps(cursor.to_json()))), count, shares, 0.3)
        parts += some
    assert parts == whole and cursor == end


def test_shares_are_followed_and_a_static_part_is_not() -> None:
    shares = {("a", 0): 0.5, ("a", 1): 0.0, ("a", 2): 0.0, ("b", 0): 0.0, ("b", 1): 0.25, ("b", 2): 0.25}
    chosen, _ = SINGLE.choose(Cursor(), 4000, shares, 0.25)
    steered = Counter(one.stratum for one in chosen if not one.static)
    assert sum(steered.values()) == pytest.approx(3000, abs=4 * 27)  # four standard deviations
    assert set(steered) == {("a", 0), ("b", 1), ("b", 2)}
    assert steered[("a", 0)] / sum(steered.values()) == pytest.approx(0.5, abs=0.04)
    static = Counter(one.row for one in chosen if one.static)
    assert max(static.values()) - min(static.values()) <= 1  # whole epochs of its own
    of_stratum = Counter(one.row for one in chosen if not one.static and one.stratum == ("b", 1))
    assert max(of_stratum.values()) - min(of_stratum.values()) <= 1


def test_another_seed_is_another_order() -> None:
    other = PromptStream.over(TASKS, LEVELS, PAIRS, seed=4, pairs=False)
    assert other.choose(Cursor(), 12)[0] != SINGLE.choose(Cursor(), 12)[0]


def test_a_row_without_its_twin_is_named() -> None:
    with pytest.raises(UserError, match=r"pair p5.*--twins True"):
        PromptStream.over(TASKS[:11], LEVELS[:11], PAIRS[:11], seed=0, pairs=True)
