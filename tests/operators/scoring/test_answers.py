"""The parser reads one clear answer and nothing else, in bounded time."""

import pytest
from temporay.operators.records import AnswerForm, AnswerKind, AnswerValue, Question
from temporay.operators.scoring.answers import (
    MAX_COMPLETION_CHARS,
    ParseFailure,
    parse_answer,
    parse_choice,
    read_answer,
)

OPTIONS = ("left", "right", "up and to the left", "A cat sits. Then it runs.")
MEGABYTE = 1 << 20


def completion(answer: str) -> str:
    return f"<think>It moves.</think><answer>{answer}</answer>"


@pytest.mark.parametrize(
    ("answer", "index"),
    [
        ("B", 1),
        ("(B)", 1),
        ("B.", 1),
        ("B)", 1),
        ("B:", 1),
        (" B\n", 1),
        ("(B) right", 1),
        ("(B) Right.", 1),
        ("B. right", 1),
        ("C: up  and to the\nleft", 2),
        ("right", 1),
        ("Right.", 1),
        ("A cat sits. Then it runs", 3),
        ("(D) A cat sits. Then it runs.", 3),
    ],
)
def test_reads_letters_and_words(answer: str, index: int) -> None:
    parsed = parse_answer(completion(answer), OPTIONS)
    assert (parsed.index, parsed.failure) == (index, None)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("", ParseFailure.EMPTY_ANSWER),
        ("  \n", ParseFailure.EMPTY_ANSWER),
        ("A or B", ParseFailure.NOT_A_CHOICE),
        ("A B C D", ParseFailure.NOT_A_CHOICE),
        ("AB", ParseFailure.NOT_A_CHOICE),
        ("A, B", ParseFailure.NOT_A_CHOICE),
        ("(A)(B)", ParseFailure.NOT_A_CHOICE),
        ("(A) (B)", ParseFailure.TEXT_MISMATCH),
        ("A. B. C. D.", ParseFailure.TEXT_MISMATCH),
        ("(A", ParseFailure.NOT_A_CHOICE),
        ("b", ParseFailure.NOT_A_CHOICE),
        ("B right", ParseFailure.NOT_A_CHOICE),
        ("left or right", ParseFailure.NOT_A_CHOICE),
        ("(A) right", ParseFailure.TEXT_MISMATCH),
        ("(A) left\n(B) right", ParseFailure.TEXT_MISMATCH),
        ("E", ParseFailure.NO_SUCH_OPTION),
        ("K", ParseFailure.NOT_A_CHOICE),
        ("\uff22", ParseFailure.NOT_A_CHOICE),  # full-width B
        ("\u0412", ParseFailure.NOT_A_CHOICE),  # Cyrillic Ve, drawn like B
        ("\U0001d401", ParseFailure.NOT_A_CHOICE),  # mathematical bold B
        ("\u0661", ParseFailure.NOT_A_CHOICE),  # Arabic-Indic digit one
        ("1", ParseFailure.NOT_A_CHOICE),
        ("B\u200b", ParseFailure.NOT_A_CHOICE),  # zero-width space
        ("B" * 100, ParseFailure.NOT_A_CHOICE),
        (
            "\n".join(f"({letter}) {text}" for letter, text in zip("ABCD", OPTIONS, strict=True)),
            ParseFailure.NOT_A_CHOICE,
        ),
    ],
)
def test_refuses_anything_but_one_answer(answer: str, failure: ParseFailure) -> None:
    parsed = parse_answer(completion(answer), OPTIONS)
    assert (parsed.index, parsed.failure) == (None, failure)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("", ParseFailure.EMPTY),
        (" \n\t", ParseFailure.EMPTY),
        ("B", ParseFailure.NO_ANSWER_TAG),
        ("<answer>B</answer><think>Now I think.</think>", ParseFailure.NO_ANSWER_TAG),
        ("<think><answer>B</answer></think>", ParseFailure.NO_ANSWER_TAG),
        ("<think>I think <answer>B</answer>", ParseFailure.UNCLOSED_THINK),
        ("<think>a</think><answer>B</answer><think>", ParseFailure.UNCLOSED_THINK),
        ("<think>a</think><answer>B", ParseFailure.MALFORMED_TAGS),
        ("<think>a</think>B</answer>", ParseFailure.MALFORMED_TAGS),
        ("<answer>A</answer><answer>B", ParseFailure.MALFORMED_TAGS),
        ("<answer><answer>B</answer>", ParseFailure.MALFORMED_TAGS),
        ("<answer><answer>B</answer></answer>", ParseFailure.MALFORMED_TAGS),
        ("<answer>A</answer>B</answer>", ParseFailure.MALFORMED_TAGS),
        ("<answer>First a dog.</think><answer>B</answer>", ParseFailure.MALFORMED_TAGS),
        ("\n<answer>First a dog.</think><answer>B</answer>", ParseFailure.MALFORMED_TAGS),
        ("<ANSWER>B</ANSWER>", ParseFailure.NO_ANSWER_TAG),
    ],
)
def test_refuses_broken_structure(text: str, failure: ParseFailure) -> None:
    assert parse_answer(text, OPTIONS).failure is failure


def test_last_answer_after_last_thought_counts() -> None:
    assert parse_answer("<answer>A</answer> no, <answer>B</answer>", OPTIONS).index == 1
    assert parse_answer("<think>x</think><answer>A</answer><think>y</think><answer>B</answer>", OPTIONS).index == 1
    assert parse_answer("An <answer> follows.</think><answer>B</answer>", OPTIONS).index == 1


def test_a_direct_answer_needs_no_thought() -> None:
    assert parse_answer("<answer>C</answer>", OPTIONS).index == 2


def test_words_shared_by_two_options_name_neither() -> None:
    assert parse_choice("same", ("same", "Same.")).failure is ParseFailure.NOT_A_CHOICE
    assert parse_choice("(B) same", ("same", "Same.")).index == 1


def test_a_sentence_that_starts_with_a_letter_is_not_that_option() -> None:
    assert parse_choice("A dog runs", ("a cat sits", "a dog runs")).index == 1


@pytest.mark.timeout(5)  # a pattern that backtracks would need hours
@pytest.mark.parametrize(
    "text",
    [
        "a" * MEGABYTE,
        "<answer>" * (MEGABYTE // 8),
        "</answer>" * (MAX_COMPLETION_CHARS // 9),
        "<answer>" * (MAX_COMPLETION_CHARS // 8),
        "<answer>B</answer>" * (MAX_COMPLETION_CHARS // 18) + "<answer>",
        completion("(" * 100_000),
        completion("B." + " \t" * 90_000 + "!"),
        completion("B. " + "right " * 30_000),
    ],
)
def test_hostile_text_is_refused_at_once(text: str) -> None:
    assert parse_answer(text, OPTIONS).index is None


def test_long_completions_are_read_up_to_the_bound() -> None:
    thought = "x" * (MAX_COMPLETION_CHARS - len("</think><answer>B</answer>"))
    assert parse_answer(f"{thought}</think><answer>B</answer>", OPTIONS).index == 1
    assert parse_answer(f"{thought}x</think><answer>B</answer>", OPTIONS).failure is ParseFailure.TOO_LONG


# Answers to questions that list no options.

FREE: dict[AnswerKind, dict[str, AnswerValue]] = {
    "choice": {"GURA": (), "RUGA": ()},
    "number": {"3": (3.0, ""), "12": (12.0, "")},
    "order": {
        "red dot, blue dot, green dot": ("red dot", "blue dot", "green dot"),
        "blue dot, red dot, green dot": ("blue dot", "red dot", "green dot"),
    },
}


def asked(kind: AnswerKind, answer_format: AnswerForm) -> Question:
    """Return a question whose first option is right."""
    values = tuple(FREE[kind].values()) if kind != "choice" else ()
    return Question(
        text="?", options=tuple(FREE[kind]), answer_index=0, answer_format=answer_format, kind=kind, values=values
    )


@pytest.mark.parametrize(
    ("kind", "answer", "index"),
    [
        ("choice", "GURA", 0),
        ("choice", " ruga.\n", 1),
        ("choice", "GARU", None),  # a word that is no option is read, and wrong
        ("choice", "A", None),  # nobody saw that letter
        ("number", "3", 0),
        ("number", "+12.0", 1),
        ("number", "7", None),
        ("order", "red dot, blue dot, green dot", 0),
        ("order", "Blue dot,red dot , green  dot.", 1),
        ("order", "green dot, red dot, blue dot", None),
    ],
)
def test_free_answers_are_compared_by_what_they_say(kind: AnswerKind, answer: str, index: int | None) -> None:
    parsed = read_answer(completion(answer), asked(kind, "free"))
    assert (parsed.index, parsed.failure) == (index, None)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("choice", "GURA or RUGA"),
        ("choice", "GURA RUGA"),
        ("choice", "\uff27URA"),
        ("choice", "GURA\u200b"),
        ("choice", "GURA" * 50),
        ("number", "three"),
        ("number", "3 or 4"),
        ("number", "3, 4"),
        ("number", "\u0663"),
        ("number", "nan"),
        ("number", "1e3"),
        ("order", "red dot"),
        ("order", "red dot,, blue dot"),
        ("order", "red dot, blue dot, green dot, blue dot, red dot, green dot"),
    ],
)
def test_a_free_answer_that_hedges_is_no_answer(kind: AnswerKind, answer: str) -> None:
    assert read_answer(completion(answer), asked(kind, "free")).failure is ParseFailure.NOT_A_VALUE


@pytest.mark.parametrize(
    ("kind", "answer", "index"),
    [
        ("choice", '{"answer": "GURA"}', 0),
        ("choice", ' {"answer":"gura"}\n', 0),
        ("choice", '{"answer": "GARU"}', None),
        ("number", '{"answer": 12}', 1),
        ("number", '{"answer": 3.0}', 0),
        ("order", '{"answer": ["blue dot", "red dot", "green dot"]}', 1),
    ],
)
def test_json_answers_are_compared_by_what_they_say(kind: AnswerKind, answer: str, index: int | None) -> None:
    parsed = read_answer(completion(answer), asked(kind, "json"))
    assert (parsed.index, parsed.failure) == (index, None)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("choice", "GURA"),
        ("choice", '"GURA"'),
        ("choice", '{"answer": "GURA", "answer": "RUGA"}'),
        ("choice", '{"answer": "GURA", "sure": true}'),
        ("choice", '{"Answer": "GURA"}'),
        ("choice", '{"answer": ["GURA"]}'),
        ("choice", '{"answer": {"answer": "GURA"}}'),
        ("choice", '[["answer", "GURA"]]'),
        ("choice", '{"answer": "GURA"} {"answer": "RUGA"}'),
        ("choice", "{'answer': 'GURA'}"),
        ("choice", "[" * 5000),
        ("number", '{"answer": "3"}'),
        ("number", '{"answer": true}'),
        ("number", '{"answer": NaN}'),
        ("number", '{"answer": [3]}'),
        ("order", '{"answer": "red dot, blue dot, green dot"}'),
        ("order", '{"answer": [1, 2, 3]}'),
        ("order", '{"answer": ["red dot, blue dot", "green dot"]}'),
    ],
)
def test_json_is_read_strictly(kind: AnswerKind, answer: str) -> None:
    assert read_answer(completion(answer), asked(kind, "json")).failure is ParseFailure.NOT_JSON


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize("answer_format", ["letter", "text", "free", "json"])
def test_what_is_taught_is_read_back(kind: AnswerKind, answer_format: AnswerForm) -> None:
    question = asked(kind, answer_format)
    assert read_answer(completion(question.answer), question).index == 0
