"""Completion → option, or the reason why there is none. Nothing here guesses.

    "<think>…</think><answer>(B) left</answer>" → answer_span → "(B) left" → parse_choice → 1
    "<think>…</think><answer>{"answer": 3}</answer>" → answer_span → parse_json → "3" → parse_free → the option "3"

The span is found by plain string search, and a choice by an anchored pattern on a bounded string. So the time is linear
in the length of any completion.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, LETTERS, THINK_CLOSE, THINK_OPEN, AnswerKind, Question

MAX_COMPLETION_CHARS = 200_000  # ten times the length of 4,096 tokens of English
_DECORATION_CHARS = 16  # "(B) ", a final period and some spaces around an option's text
_JSON_CHARS = 32  # around an answer: braces, quotes, the key and spaces
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_WHITESPACE = " \t\r\n"

# [A-J] is ASCII: look-alikes of other scripts do not pass. Anchored on both sides and without nested repetition.
_CHOICE = re.compile(
    rf"(?:\((?P<parenthesized>[{LETTERS}])\)|(?P<dotted>[{LETTERS}])[.):])(?:\s+(?P<words>\S.*))?|(?P<bare>[{LETTERS}])",
    re.DOTALL | re.ASCII,
)


class ParseFailure(StrEnum):
    """Why a completion has no readable answer."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    UNCLOSED_THINK = "unclosed_think"
    NO_ANSWER_TAG = "no_answer_tag"  # there is none after the end of thinking
    MALFORMED_TAGS = "malformed_tags"  # nested, or opened again and never closed
    EMPTY_ANSWER = "empty_answer"
    NOT_A_CHOICE = "not_a_choice"  # neither a letter form nor the words of one option
    NO_SUCH_OPTION = "no_such_option"
    TEXT_MISMATCH = "text_mismatch"  # the letter of one option with the words of another
    NOT_A_VALUE = "not_a_value"  # a free answer that is no number, no order or too many words
    NOT_JSON = "not_json"  # anything but one object that has an answer of the asked type and nothing else


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """Either an option or a failure, never both. A free answer that no option says has neither."""

    index: int | None  # into the options
    failure: ParseFailure | None
    said: str = ""  # what stands between the tags, in plain words


def read_answer(completion: str, question: Question) -> ParsedAnswer:
    """Return what a completion answers, in the form that the question asks for."""
    span = answer_span(completion)
    if isinstance(span, ParseFailure):
        return ParsedAnswer(None, span)
    if question.lists_options:
        return replace(parse_choice(span, question.options), said=span)
    return parse_json(span, question) if question.answer_format == "json" else parse_free(span, question)


def parse_answer(completion: str, options: Sequence[str]) -> ParsedAnswer:
    """Return the option that a completion commits to in its last answer tag after the last thought.

    Args:
        completion: at most MAX_COMPLETION_CHARS characters are read as an answer; longer ones have none.
        options: texts of the options, A first.
    """
    span = answer_span(completion)
    return ParsedAnswer(None, span) if isinstance(span, ParseFailure) else parse_choice(span, options)


def answer_span(completion: str) -> str | ParseFailure:
    """Return the text between the last pair of answer tags after the last ``</think>``.

    An answer that begins a completion must end before a thought can: a thought inside an answer is none. A policy that
    was never taught what follows the answer's tag was seen to reason there.
    """
    if not completion.strip():
        return ParseFailure.EMPTY
    if len(completion) > MAX_COMPLETION_CHARS:
        return ParseFailure.TOO_LONG
    thought, _, after_thinking = completion.rpartition(THINK_CLOSE)
    if thought.lstrip().startswith(ANSWER_OPEN) and ANSWER_CLOSE not in thought:
        return ParseFailure.MALFORMED_TAGS
    if THINK_OPEN in after_thinking:
        return ParseFailure.UNCLOSED_THINK
    before_close, close, rest = after_thinking.rpartition(ANSWER_CLOSE)
    if not close:
        return ParseFailure.MALFORMED_TAGS if ANSWER_OPEN in after_thinking else ParseFailure.NO_ANSWER_TAG
    if ANSWER_OPEN in rest:
        return ParseFailure.MALFORMED_TAGS
    before_open, opened, span = before_close.rpartition(ANSWER_OPEN)
    if not opened or before_open.count(ANSWER_OPEN) != before_open.count(ANSWER_CLOSE) or ANSWER_CLOSE in span:
        return ParseFailure.MALFORMED_TAGS
    return span


def parse_choice(text: str, options: Sequence[str]) -> ParsedAnswer:
    """Return the option that is named by its letter, by its words, or by both.

    Letter forms are ``B``, ``(B)``, ``B.``, ``B)`` and ``B:``. The words of the option may follow the last four. Case,
    spacing and a final period do not count. A letter with other words is two answers. A bare letter is always a letter,
    even if the words of an option are a single letter.
    """
    text = text.strip(_WHITESPACE)
    if not text:
        return ParsedAnswer(None, ParseFailure.EMPTY_ANSWER)
    if len(text) > max((len(option) for option in options), default=0) + _DECORATION_CHARS:
        return ParsedAnswer(None, ParseFailure.NOT_A_CHOICE)
    match = _CHOICE.fullmatch(text)
    named = options_in_words(text, options)
    if match is None or (match["words"] is not None and named):
        return ParsedAnswer(named[0], None) if len(named) == 1 else ParsedAnswer(None, ParseFailure.NOT_A_CHOICE)
    index = LETTERS.index(match["parenthesized"] or match["dotted"] or match["bare"])
    if index >= len(options):
        return ParsedAnswer(None, ParseFailure.NO_SUCH_OPTION)
    if match["words"] is not None and index not in options_in_words(match["words"], options):
        return ParsedAnswer(None, ParseFailure.TEXT_MISMATCH)
    return ParsedAnswer(index, None)


def parse_free(text: str, question: Question) -> ParsedAnswer:
    """Read an answer to a question without options: a number in digits, an order with commas, or words.

    Case, spacing and a final period do not count. Only printable ASCII is read unless an option has other letters, so
    no look-alike passes, and no more words than an option has, so no list of guesses does.
    """
    text = " ".join(text.split())
    if not text:
        return ParsedAnswer(None, ParseFailure.EMPTY_ANSWER)
    most_words = max(len(option.split()) for option in question.options)
    is_known = text.isascii() or not all(option.isascii() for option in question.options)
    if not is_known or not text.isprintable() or len(text) > _most_chars(question):
        return ParsedAnswer(None, ParseFailure.NOT_A_VALUE)
    said, options = _value(text, question.kind), [_value(option, question.kind) for option in question.options]
    known = question.kind != "order" or sorted(said or ()) in [sorted(option or ()) for option in options]
    if said is None or not known or len(text.split()) > most_words:
        return ParsedAnswer(None, ParseFailure.NOT_A_VALUE)
    return ParsedAnswer(options.index(said) if said in options else None, None, text)


def parse_json(text: str, question: Question) -> ParsedAnswer:
    """Read ``{"answer": …}``: a number for a number, a list of texts for an order, a text for anything else."""
    failure = ParsedAnswer(None, ParseFailure.NOT_JSON)
    if len(text) > _most_chars(question):
        return failure
    try:
        pairs = json.loads(text, object_pairs_hook=list, parse_constant=lambda name: None)
    except ValueError:
        return failure
    if not isinstance(pairs, list) or len(pairs) != 1 or not isinstance(pairs[0], tuple) or pairs[0][0] != "answer":
        return failure
    answer = pairs[0][1]
    if question.kind == "order":
        listed = isinstance(answer, list) and all(isinstance(item, str) and "," not in item for item in answer)
        return parse_free(", ".join(answer), question) if listed else failure
    if isinstance(answer, bool) or not isinstance(answer, int | float if question.kind == "number" else str):
        return failure
    return parse_free(str(answer), question)


def _most_chars(question: Question) -> int:
    return 2 * max(len(option) for option in question.options) + _JSON_CHARS


def _value(text: str, kind: AnswerKind) -> Any | None:
    """Return what two free answers are compared by; None where a text is no answer of this kind."""
    if kind == "number":
        return float(text) if _NUMBER.fullmatch(text) else None
    if kind == "order":
        items = tuple(_normalized(item) for item in text.split(","))
        return items if len(items) > 1 and all(items) else None
    return _normalized(text)


def options_in_words(text: str, options: Sequence[str]) -> list[int]:
    """Return the options that a text says in full. Case, spacing and a final period do not count."""
    wanted = _normalized(text)
    return [index for index, option in enumerate(options) if _normalized(option) == wanted]


def _normalized(text: str) -> str:
    return " ".join(text.split()).removesuffix(".").rstrip().casefold()
