r"""Completion of a model that was never trained here → option, if it names exactly one. Rewards never use this.

    "**B**", "\boxed{B}", "Option B", "b) left", "The video shows ….\nFinal Answer: B" → 1
    "It could be A or B." → None

A foreign model was never told our form of an answer, and the strict reader (``answers``) would measure it low. This one
looks past decoration and introductory words. It does not weigh prose: a text that names several options is read only
where its last line alone states the answer. An evaluation tells both readings, and how often they differ.
"""

import re
from collections.abc import Sequence

from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, LETTERS, THINK_CLOSE, THINK_OPEN
from temporay.operators.scoring.answers import MAX_COMPLETION_CHARS, ParseFailure, answer_span, options_in_words
from temporay.operators.scoring.answers import parse_choice as strict_choice

MAX_PROSE_CHARS = 4_000  # the end of a longer text is read
_DECORATION = re.compile(r"\*\*|__|`|\$|\\\(|\\\)|\\text(?:bf|rm)?\{|\\boxed\{|[{}]|\"")
_SAID = (
    r"(?:(?:so|thus|therefore|hence),? )?(?:(?:the|my) )?(?:(?:final|best|correct|right) )?"
    r"(?:answer|option|choice)(?: (?:is|would be|must be))?"
)
_STATES = re.compile(rf"(?:{_SAID})\s*[:=]?\s*(?P<rest>\S.*)", re.IGNORECASE | re.DOTALL)
_LETTER = re.compile(rf"\(?(?P<letter>[{LETTERS}])(?:[).:,]|$)\s*(?P<words>.*)", re.IGNORECASE | re.DOTALL)
_STATED_IN_PROSE = re.compile(
    rf"\b(?:answer|option|choice)(?: is| would be| must be)?:? (?:option )?\(?([{LETTERS}])\b(?![’'-])", re.ASCII
)
_DOUBT = re.compile(r"\b(?:not|if|whether|unless|unlikely|doubt|wrong|false)\b|n['’]t\b", re.IGNORECASE)  # before it
_SENTENCE_END = re.compile(r"[.!?\n]")
_NAMED = re.compile(
    rf"\(([{LETTERS}])\)|\b([{LETTERS}])[.):](?=\s|$)|\b[Oo]ption ([{LETTERS}])\b|\b([B-HJ])\b"
    r"|\b([AI])\b(?=\s*(?:[,/?;]|or\b|and\b|$))",
    re.ASCII | re.MULTILINE,
)


def plain_span(text: str) -> str:
    """Return what stands between the answer tags, or without them everything after the last thought; "" for none."""
    span = answer_span(text)
    if not isinstance(span, ParseFailure):
        return span.strip()
    if span is not ParseFailure.NO_ANSWER_TAG:
        return ""
    return text.rpartition(THINK_CLOSE)[2].strip()


def plain_choice(text: str, options: Sequence[str]) -> int | None:
    """Read a bare answer strictly: as ``parse_choice``, but tags around it are not required."""
    return strict_choice(plain_span(text), options).index


def lenient_choice(text: str, options: Sequence[str]) -> int | None:
    """Return the only option that a text commits to, or None.

    Args:
        text: the completion, of which at most MAX_COMPLETION_CHARS characters are read.
        options: texts of the options, A first, without letters.
    """
    span = _after_thinking(text)
    whole = _statement(span, options)
    if whole is not None:
        return whole
    lines = [line.strip() for line in span.splitlines() if line.strip()]
    if len(lines) > 1:
        last = _statement(lines[-1], options, announced=len(_named(span, options)) > 1)
        if last is not None:
            return last
    return _only_one_in_prose(span, options)


def _after_thinking(text: str) -> str:
    """Return what follows the last thought; between answer tags where there are any, closed or not."""
    span = text[-MAX_COMPLETION_CHARS:].rpartition(THINK_CLOSE)[2]
    if THINK_OPEN in span:
        return ""
    if ANSWER_OPEN in span:
        span = span.rpartition(ANSWER_OPEN)[2].partition(ANSWER_CLOSE)[0]
    return span[-MAX_PROSE_CHARS:].strip()


def _statement(text: str, options: Sequence[str], announced: bool = False) -> int | None:
    """Read a text that is an answer and nothing else: a letter, an option's words, or both, perhaps announced.

    Args:
        announced: whether words such as "Final answer" must come before it.
    """
    bare = " ".join(_DECORATION.sub("", text).split()).strip(" .:'")
    stated = _STATES.fullmatch(bare)
    candidates = [stated["rest"]] if stated else []
    for candidate in candidates if announced else [*candidates, bare]:
        index = _named_by(candidate.strip(" .'"), options)
        if index is not None:
            return index
    return None


def _named_by(text: str, options: Sequence[str]) -> int | None:
    strict = strict_choice(text, options).index
    if strict is not None:
        return strict
    match = _LETTER.fullmatch(text)
    if match is None:
        return None
    index = LETTERS.index(match["letter"].upper())
    if index >= len(options):
        return None
    words = match["words"].strip()
    return index if not words or index in options_in_words(words, options) else None


def _only_one_in_prose(text: str, options: Sequence[str]) -> int | None:
    """Return the option that prose calls its answer, if it names no other."""
    plain = _DECORATION.sub("", text)
    statements = list(_STATED_IN_PROSE.finditer(plain))
    stated = {LETTERS.index(statement[1]) for statement in statements}
    if any(_DOUBT.search(_SENTENCE_END.split(plain[: statement.start()])[-1]) for statement in statements):
        return None
    if len(stated) != 1 or not stated >= _named(plain, options):
        return None
    (index,) = stated
    return index if index < len(options) else None


def _named(text: str, options: Sequence[str]) -> set[int]:
    """Return the options that a text names by letter or by words. A lone A or I may be a word, and is none."""
    letters = {LETTERS.index(next(filter(None, found))) for found in _NAMED.findall(_DECORATION.sub("", text))}
    lowered = " ".join(text.casefold().split())
    return letters | {n for n, option in enumerate(options) if _in_words(option, lowered)}


def _in_words(option: str, lowered: str) -> bool:
    words = " ".join(option.casefold().split()).rstrip(".")
    return len(words) > 1 and re.search(rf"(?<!\w){re.escape(words)}(?!\w)", lowered) is not None
