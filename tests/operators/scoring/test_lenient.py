"""The lenient reader: what foreign models write is read, and prose that names several options is not."""

import pytest
from temporay.operators.scoring.answers import parse_answer
from temporay.operators.scoring.lenient import lenient_choice, plain_choice, plain_span

OPTIONS = ("left", "right", "up and to the left", "down")


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "b",
        "(B)",
        "(b)",
        "B.",
        "B)",
        "B:",
        "**B**",
        "**B.** right",
        r"\boxed{B}",
        r"$\boxed{\text{B}}$",
        "Option B",
        "option (b)",
        "B. right",
        "(B) right.",
        "right",
        "Right.",
        "Answer: B",
        "**Answer:** B",
        "The answer is B.",
        "The correct answer is (B) right.",
        "The best option is B",
        "Final Answer: B",
        '{"answer": "B"}',
        '"answer": "b"',
        "<answer>B</answer>",
        "<think>A? No, up and to the left.</think>\nB",
        "<think>It is A or C.</think>So the answer is B",
        "<answer>Option B",
        "The ball passes the door.\nB",
        "The ball passes the door.\n\nFinal answer: B. right",
        "Option A shows the start. Option C is too late.\n**Final Answer: B**",
        "The correct answer is B, because the ball goes to that side.",
        "So the answer is B since nothing else fits.",
        "The ball does not stop. The answer is B, and it is not close.",
    ],
)
def test_an_answer_in_any_usual_form_is_read(text: str) -> None:
    assert lenient_choice(text, OPTIONS) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "It could be A or B.",
        "A or B",
        "A, B",
        "A and B are both possible, so the answer is B or A.",
        "B is wrong, so it is C.",
        "B because A is too early",
        "Option A shows left. Option B shows right.",
        "Either (A) or (B).",
        "A or B?\nB",  # the last line does not say that it is the answer
        "The answer is B, not A.",
        "The answer is not B.",
        "I don't think the answer is B.",
        "It is wrong that the answer is B, I believe.",
        "I am not sure whether the answer is B",
        "B. left",  # the letter of one option with the words of another
        "E",
        "Option E",
        "The answer is a dog.",
        "A man walks to the door.",
        "I cannot tell.",
        "I",
        "<think>B",
        "<think>The answer is B",
        "left or right",
        "It moves left, then right.",
        "Answer: A\nAnswer: B and C",
        "The answer is B-roll footage.",
    ],
)
def test_what_names_several_options_or_none_is_not_read(text: str) -> None:
    assert lenient_choice(text, OPTIONS) is None


def test_a_bare_capital_is_a_letter_although_an_option_has_it_as_its_words() -> None:
    letters = ("b", "c", "a")
    assert lenient_choice("B", letters) == 1
    assert lenient_choice("b", letters) == 0  # as the strict reader has it: a small letter is a word
    assert parse_answer("<answer>b</answer>", letters).index == 0


def test_whatever_the_strict_reader_reads_the_lenient_one_reads_alike() -> None:
    texts = [
        f"{form}" for letter in "ABCDEF" for form in (letter, f"({letter})", f"{letter}.", f"{letter}: right", "down.")
    ]
    for text in texts:
        strict = parse_answer(f"<think>x</think><answer>{text}</answer>", OPTIONS).index
        if strict is not None:
            assert lenient_choice(f"<think>x</think><answer>{text}</answer>", OPTIONS) == strict
            assert lenient_choice(text, OPTIONS) == plain_choice(text, OPTIONS) == strict


def test_plain_span() -> None:
    assert plain_span("<think>A</think> B ") == "B"
    assert plain_span("<think>A</think><answer> C </answer>") == "C"
    assert plain_span("<think>A") == plain_span("") == plain_span("<answer>A") == ""


def test_long_texts_take_linear_time() -> None:
    for text in ("(" * 150_000, "answer " * 30_000, "A. " * 60_000, " " * 190_000 + "B", "\\boxed{" * 25_000):
        lenient_choice(text, OPTIONS)
