"""Tokens keep their values and get the color of their difference."""

from __future__ import annotations

import pytest
from temporay.operators.pages.token_strip import MAX_TOKENS, STEPS_NATS, Tokens, step_of, strip


def test_values_and_colors() -> None:
    tokens = Tokens(
        pieces=["a", "<b>", "c"], engine=[-1.0, -2.0, -3.0], trainer=[-1.0, -2.02, -5.0], versions=[4, 4, 5]
    )
    html = strip(tokens)
    assert '<s class="q0" data-v="-1 -1 4">a</s>' in html
    assert '<s class="q4" data-v="-2 -2.02 4">&lt;b&gt;</s>' in html
    assert '<s class="q6 new" data-v="-3 -5 5">c</s>' in html
    assert tokens.differences == pytest.approx([0.0, 0.02, 2.0])


def test_without_the_trainers_there_is_no_color() -> None:
    html = strip(Tokens(pieces=["a"], engine=[-1.0], trainer=None, versions=[0]))
    assert '<s class="" data-v="-1 - 0">a</s>' in html


def test_a_long_strip_is_cut_and_says_so() -> None:
    many = MAX_TOKENS + 7
    html = strip(Tokens(pieces=["a"] * many, engine=[0.0] * many, trainer=None, versions=[0] * many))
    assert html.count("<s ") == MAX_TOKENS and "7 more" in html


def test_every_bound_begins_a_color() -> None:
    assert [step_of(bound) for bound in STEPS_NATS] == list(range(1, len(STEPS_NATS) + 1))
    assert step_of(0.0) == 0
