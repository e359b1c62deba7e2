"""Options in one line behind the question are options; letters in brackets elsewhere are words."""

from __future__ import annotations

import json

import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.options import listed_in, read_options


@pytest.mark.parametrize(
    ("text", "stem", "options"),
    [
        ("Which way? (A) up (B) down", "Which way?", ("up", "down")),
        ("Which way?\n(A) up (B) to the left (C) down", "Which way?", ("up", "to the left", "down")),
        ("(A) up (B) down", "", ("up", "down")),
        ("Which way?\n(A) up\n(B) down", "Which way?", ("up", "down")),
    ],
)
def test_options_may_stand_in_one_line(text: str, stem: str, options: tuple[str, ...]) -> None:
    listed = listed_in(text)
    assert listed is not None and listed[0] == stem and listed[1].texts == options


@pytest.mark.parametrize(
    "text",
    ["Is shape (A) behind shape (B) or (D) ?", "Where is (A) now?", "Is f(A) or g(B) larger?", "(B) up (A) down?"],
)
def test_letters_in_brackets_that_are_no_list_stay(text: str) -> None:
    assert listed_in(text) is None


def test_a_number_that_is_too_large_is_no_option() -> None:
    with pytest.raises(SampleRejected, match="a number too large") as caught:
        read_options(json.loads("[1e400, 2]"))
    assert caught.value.reason == "bad_options"
    assert read_options([1e300, 2]).texts == ("1e+300", "2")
