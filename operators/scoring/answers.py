"""Completion → option, or the reason why there is none. Nothing here guesses.

    "<think>…</think><answer>(B) left</answer>" → answer_span → "(B) left" → parse_choice → 1

The span is found by plain string search, and a choice by an anchored pattern on a bounded string. So the time is linear
in the length of any completion.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, LETTERS, THINK_CLOSE, THINK_OPEN

MAX_COMPLETION_CHARS = 200_000  # ten times the length of 4,096 tokens of English
_DECORATION_CHARS = 16  # "(B) ", a final period and some spaces around an option's text
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


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """Either an option or a failure, never both."""

    index: int | None  # into the options
    failure: ParseFailure | None


def parse_answer(completion: str, options: Sequence[str]) -> ParsedAnswer:
    """Return the option that a completion commits to in its last answer tag after the last thought.

    Args:
        completion: at most MAX_COMPLETION_CHARS characters are read as an answer; longer ones have none.
        options: texts of the options, A first.
    """
    span = answer_span(completion)
    return ParsedAnswer(None, span) if isinstance(span, ParseFailure) else parse_choice(span, options)


def answer_span(completion: str) -> str | ParseFailure:
    """Return the text between the last pair of answer tags after the last ``</think>``."""
    if not completion.strip():
        return ParseFailure.EMPTY
    if len(completion) > MAX_COMPLETION_CHARS:
        return ParseFailure.TOO_LONG
    _, _, after_thinking = completion.rpartition(THINK_CLOSE)
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
    named = _options_in_words(text, options)
    if match is None or (match["words"] is not None and named):
        return ParsedAnswer(named[0], None) if len(named) == 1 else ParsedAnswer(None, ParseFailure.NOT_A_CHOICE)
    index = LETTERS.index(match["parenthesized"] or match["dotted"] or match["bare"])
    if index >= len(options):
        return ParsedAnswer(None, ParseFailure.NO_SUCH_OPTION)
    if match["words"] is not None and index not in _options_in_words(match["words"], options):
        return ParsedAnswer(None, ParseFailure.TEXT_MISMATCH)
    return ParsedAnswer(index, None)


def _options_in_words(text: str, options: Sequence[str]) -> list[int]:
    wanted = _normalized(text)
    return [index for index, option in enumerate(options) if _normalized(option) == wanted]


def _normalized(text: str) -> str:
    return " ".join(text.split()).removesuffix(".").rstrip().casefold()
