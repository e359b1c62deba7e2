"""What published readers take replies for, faults included, and what the strict protocol does instead."""

from dataclasses import replace
from pathlib import Path

import pytest
from temporay.operators.benchmarks._base import BenchmarkItem, benchmark_called
from temporay.operators.benchmarks._choice import (
    YES_NO,
    after_announcement,
    first_token_fits,
    guessed,
    leading_option,
    mmmu_choice,
    options_in_question,
    without_letters,
)

from tests.operators.benchmarks.layouts import LAYOUTS

OPTIONS = ("to the left", "to the right", "up", "down")
ITEM = BenchmarkItem(id="7", task="t", question="Where?", gold=1, videos=("v.mp4",), cluster="v", options=OPTIONS)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("(B) to the right", 1),
        ("b.", 1),
        ("(C) up", 2),
        ("Z", None),
        ("", 1),  # MVBench's check finds nothing in everything
        ("(", 1),
        ("because", None),
        ("(B)because", 1),
    ],
)
def test_first_token(text: str, index: int | None) -> None:
    assert first_token_fits(ITEM, text) == index


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("(A) or (C)", 2),  # the last one in brackets
        ("The answer is B ", 1),  # the letter needs a space behind it
        ("A ball moves so B", 1),
        ("It is D.", 3),
        ("the ball moves to the right in the end", 1),
        ("to the left", None),  # too few words for their words
        ("nothing", None),
        ("", None),
    ],
)
def test_mmmu(text: str, index: int | None) -> None:
    assert mmmu_choice(text, OPTIONS) == index


@pytest.mark.parametrize(
    ("text", "index"),
    [("The best answer is: C", 2), ("Because of that", 1), ("Final Answer: D", 3), ("b", None), ("Answer: (A)", 0)],
)
def test_announcements_are_taken_out(text: str, index: int | None) -> None:
    assert after_announcement(text, len(OPTIONS)) == index


def test_a_guess_is_the_same_in_every_run_and_even() -> None:
    items = [replace(ITEM, id=str(n)) for n in range(400)]
    guesses = [guessed(item) for item in items]
    assert guesses == [guessed(item) for item in items]
    assert all(70 < guesses.count(index) < 130 for index in range(4))


def test_options_of_a_question() -> None:
    assert options_in_question("Which?\nA. one ball.\nB. two balls.\nAnswer with a letter.") == (
        "one ball.",
        "two balls.",
    )
    assert options_in_question("Does it? A. yes, it does B. no") == ("yes, it does", "no")
    assert options_in_question("Does A hit B?") == ("A", "B")
    assert without_letters(("A. up", "(B) down", "C)left")) == ("up", "down", "left")
    assert without_letters(("A. up", "down")) == ("A. up", "down")


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("Yes", 0),
        ("**No**.", 1),
        ("No, there is no such thing. Yes, really.", 1),
        ("No there is none", 1),
        ("Yes or no", None),
        ("Yes and no.", None),
        ("Nothing", None),
        ("I say yes", None),
        ("", None),
    ],
)
def test_leading_option(text: str, index: int | None) -> None:
    assert leading_option(text, YES_NO) == index


def read_one(name: str, tmp_path: Path, text: str, **settings: str) -> tuple[object, object]:
    """Return what both protocols read from a text about the first question whose right option is the second."""
    LAYOUTS[name](tmp_path)
    benchmark = benchmark_called(name, settings)
    item = next(item for item in benchmark.read(tmp_path).items if item.gold == 1)
    return benchmark.read_answer(item, text, "official"), benchmark.read_answer(item, text, "strict")


@pytest.mark.parametrize(
    ("name", "text", "official", "strict"),
    [
        ("tvbench", "Best option:(B) To the right.", 1, None),
        ("tvbench", "", 1, None),
        ("mvbench", "a man walks", 0, None),
        ("mvbench", "B. anything", 1, None),
        ("mvbench", "The option (B)", 1, None),
        ("tomato", "I do not know", 0, None),
        ("tomato", "Answer is:B", 1, None),
        ("tomato", "Answer is: B", 0, None),  # the space is not foreseen, and "Answer" begins with A
        ("tomato", "b", 1, None),
        ("video_mme", "Because", 1, None),
        ("video_mme_v2", "Final Answer: D", 3, None),
        ("vinoground", "both", 1, None),
        ("temporalbench", "b", 1, None),
        ("aotbench", "b", None, None),
        ("timeblind", "Yes and no.", 0, None),
        ("timeblind", "no", 1, 1),
        ("cvbench", "<think>x</think><answer> No </answer>", 1, 1),
        ("cvbench", "No.", None, 1),
        ("tempcompass", "B. rolling", 1, None),
        ("tempcompass", "B", 1, 1),
        ("video_holmes", "It must be (C), and not (B)", 1, None),
        ("next_qa", "reason 1 is the only one that fits", 1, None),
    ],
)
def test_protocols(name: str, text: str, official: int | None, strict: int | None, tmp_path: Path) -> None:
    assert read_one(name, tmp_path, text) == (official, strict)


@pytest.mark.parametrize("name", ["video_holmes", "next_qa"])
def test_a_random_fallback_is_official_only(name: str, tmp_path: Path) -> None:
    official, strict = read_one(name, tmp_path, "?")
    assert official is not None
    assert strict is None
