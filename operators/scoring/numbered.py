"""Options with numbers for letters: how a question is then written, and how its answer is read.

    "(A) left" → "(1) left"        a prompt keeps the words of its question and its options
    "2. right" → "B. right"        a reply is read by the rules for letters once the two are exchanged

A score that falls with the letters came from them. The exchange goes both ways, so that a letter, which was not on
offer, names no option.
"""

import re
from collections.abc import Callable, Sequence

from temporay.operators.records import LETTERS

NUMBERS = tuple(str(n) for n in range(1, len(LETTERS) + 1))
_OTHER = {**dict(zip(LETTERS, NUMBERS, strict=True)), **dict(zip(NUMBERS, LETTERS, strict=True))}
_LABEL = re.compile(rf"(?<![\w.])(?:{NUMBERS[-1]}|[1-9])(?!\w|\.\d)|\b[{LETTERS}]\b", re.ASCII)
_OFFERED = re.compile(rf"\b[{LETTERS}]\b(?! (?!or\b|and\b)[a-z])")  # "A" before a word is an article
_LETTER_WORD = re.compile(r"\bletter(s?)\b")


def exchanged(text: str) -> str:
    """Return a text with letters of options for the numbers that stand alone, and numbers for the letters."""
    return _LABEL.sub(lambda match: _OTHER[match[0]], text)


def are_numbers(options: Sequence[str]) -> bool:
    """Return whether an option is itself a number that another option may have: a reply would name two of them."""
    return any(option.strip().removesuffix(".") in NUMBERS for option in options)


def written_with_numbers(
    write: Callable[[str, tuple[str, ...]], str], question: str, options: Sequence[str]
) -> str | None:
    """Return a prompt that offers numbers where it would offer letters; None if it does not list these options.

    Args:
        write: question, options → prompt.
    """
    marks = {_mark(n): text for n, text in enumerate([question, *options])}
    frame = write(_mark(0), tuple(marks)[1:])
    if not all(mark in frame for mark in marks):
        return None
    numbered = _LETTER_WORD.sub(r"number\1", _OFFERED.sub(lambda match: _OTHER[match[0]], frame))
    for mark, text in marks.items():
        numbered = numbered.replace(mark, text)
    return numbered


def _mark(place: int) -> str:
    """Return what stands for a text while labels are exchanged; no letter, no digit, and no part of another one."""
    return f"⟦{'·' * (place + 1)}⟧"
