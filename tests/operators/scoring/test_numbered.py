"""Numbers in place of letters: in prompts, and in replies, which the rules for letters then read."""

from __future__ import annotations

import pytest
from temporay.operators.dataset.rows import INSTRUCTIONS, question_text
from temporay.operators.records import Question
from temporay.operators.scoring.numbered import are_numbers, exchanged, written_with_numbers


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("2", "B"),
        ("(2) left", "(B) left"),
        ("10.", "J."),
        ("<answer>3</answer>", "<answer>C</answer>"),
        ("B", "2"),  # a letter was not on offer
        ("2.5 and 0.2, 12, 2nd", "2.5 and 0.2, 12, 2nd"),  # no labels
        ("Because", "Because"),
    ],
)
def test_labels_that_stand_alone_are_exchanged(said: str, read: str) -> None:
    assert exchanged(said) == read and exchanged(read) == said


def test_a_prompt_keeps_the_words_of_question_and_options() -> None:
    question = Question(text="Where does A go, 2 times?", options=("to B", "2 steps left"), answer_index=0)

    def write(text: str, options: tuple[str, ...]) -> str:
        asked = Question(text=text, options=options, answer_index=0)
        return question_text(asked, INSTRUCTIONS["letter"]) + " Give A, B, or C. A thought comes first."

    numbered = written_with_numbers(write, question.text, question.options)
    assert numbered is not None
    lines = numbered.split("\n")
    assert lines[:3] == ["Where does A go, 2 times?", "(1) to B", "(2) 2 steps left"]
    assert "give the number of the right option" in lines[3] and "letter" not in numbered
    assert lines[3].endswith("Give 1, 2, or 3. A thought comes first.")


def test_a_prompt_that_does_not_list_the_options_has_no_numbers() -> None:
    assert written_with_numbers(lambda text, options: f"{text} A. left B. right", "Where?", ("left", "right")) is None


def test_options_that_are_numbers_cannot_be_numbered() -> None:
    assert are_numbers(("3", "4")) and are_numbers(("left", "2."))
    assert not are_numbers(("2 times", "11", "1.5"))
