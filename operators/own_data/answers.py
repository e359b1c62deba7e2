"""What a line says is right: the option that is meant, or the value of an open answer.

    "<think>…</think><answer>B</answer>" -> Said(thought "…", answer "B") -> chosen -> 1
    3 -> a number;  [1.5, 4] -> an interval, seconds;  ["a", "b"] or [3, 1, 2] -> an order;  "a red ball" -> words

Nothing here guesses: what could mean two things is rejected by name.
"""

import re
from dataclasses import dataclass
from typing import Any

from temporay.operators.errors import SampleRejected
from temporay.operators.markup import encodable, without_markers
from temporay.operators.own_data.options import Options, label_and_words
from temporay.operators.records import (
    ANSWER_CLOSE,
    ANSWER_OPEN,
    LETTERS,
    TAGS,
    THINK_CLOSE,
    THINK_OPEN,
    AnswerKind,
    AnswerValue,
    Question,
)
from temporay.operators.scoring.answers import ParseFailure, answer_span

MAX_NUMBER = 1e15  # of an answer; floats count by ones below it
_DIGITS = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,6})?", re.ASCII)
_SECONDS = r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(?:s|sec|seconds)?"
_SPAN = re.compile(rf"\[?(?:from )?{_SECONDS} ?(?:to|-|,) ?{_SECONDS}\]?\.?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Said:
    """A reply, taken apart."""

    thought: str  # without tags; "" where there is none
    answer: str


def taken_apart(reply: str) -> Said:
    """Split a reply into its chain of thought and its answer, by their tags where it has any.

    Text before the answer's tag is a thought, too.

    Raises:
        SampleRejected: ``bad_answer`` where tags are nested, open or repeated, or text stands behind them.
    """
    before, closed, after = reply.partition(THINK_CLOSE)
    lead, opened, thought = before.rpartition(THINK_OPEN) if closed else ("", "", "")
    rest = after if closed else reply
    if lead.strip() or any(tag in rest for tag in (THINK_OPEN, THINK_CLOSE)) or (closed and not opened):
        raise SampleRejected("bad_answer", f"the thought must stand once, first, as {THINK_OPEN}…{THINK_CLOSE}")
    if not any(tag in rest for tag in TAGS):
        return Said(thought.strip(), rest.strip())
    span = answer_span(rest)
    if isinstance(span, ParseFailure) or rest.count(ANSWER_OPEN) != 1:
        failure = span if isinstance(span, ParseFailure) else ParseFailure.MALFORMED_TAGS
        raise SampleRejected("bad_answer", f"the answer tags cannot be read ({failure})")
    untagged, behind = rest.partition(ANSWER_OPEN)[0].strip(), rest.partition(ANSWER_CLOSE)[2].strip()
    if behind or (untagged and closed):
        raise SampleRejected("bad_answer", f"{behind or untagged!r:.80} stands outside the tags")
    return Said(thought.strip() or untagged, span.strip())


def chosen(answer: Any, options: Options) -> int:
    """Return the position of the option that an answer names by its label, by its words, or by both.

    Raises:
        SampleRejected: ``bad_answer``: it names no option, or the label of one and the words of another.
    """
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise SampleRejected(
            "bad_answer", f"the answer must be the label or the words of an option, not {answer!r:.80}"
        )
    text = str(answer)
    named = set(_by_words(text, options))
    split = label_and_words(text)
    if split is not None and split[0] in options.labels:
        label, words = split
        place = options.labels.index(label)
        if words and not named and place not in _by_words(words, options):
            raise SampleRejected("bad_answer", f"{text!r:.80} has the label of one option and the words of another")
        named.add(place)
    if len(named) != 1:
        meant = " or ".join(f"{options.labels[n]} {options.texts[n]!r:.40}" for n in sorted(named))
        hint = "; the place of an option is given as answer_index, from 0" if isinstance(answer, int) else ""
        raise SampleRejected("bad_answer", f"{text!r:.80} names {meant or 'no option'}{hint}")
    return named.pop()


def open_question(text: str, answer: Any, kind: AnswerKind | None) -> Question:
    """Return a question without options: its answer is a number, an interval, an order, or else words.

    Args:
        answer: a number, a list of two times in seconds, a list of names in their order, or a text.
        kind: what the answer is; None: what it looks like. A text in digits is a number, and a letter alone is nothing.

    Raises:
        SampleRejected: ``bad_answer``.
    """
    kind = _kind_of(answer) if kind is None else kind
    words, value = _READERS[kind](answer)
    values = () if value is None else (value,)
    return Question(text=text, options=(words,), answer_index=0, answer_format="free", kind=kind, values=values)


def _by_words(text: str, options: Options) -> list[int]:
    wanted = _plain(without_markers(text))
    return [n for n, option in enumerate(options.texts) if _plain(option) == wanted]


def _plain(text: str) -> str:
    return " ".join(text.split()).removesuffix(".").rstrip().casefold()


def _kind_of(answer: Any) -> AnswerKind:
    if _is_number(answer) or (isinstance(answer, str) and _DIGITS.fullmatch(answer.strip())):
        return "number"
    label, words = (label_and_words(answer) if isinstance(answer, str) else None) or ("", "")
    if label in LETTERS and label and not words:
        raise SampleRejected("bad_answer", f"{answer!r} is the label of an option, but there are no options")
    if isinstance(answer, list):
        return "interval" if len(answer) == 2 and all(map(_is_number, answer)) else "order"
    return "choice"


def _words(answer: Any) -> tuple[str, None]:
    if not isinstance(answer, str) or not answer.strip():
        raise SampleRejected("bad_answer", f"an open answer must be a text, a number or a list, not {answer!r:.80}")
    return " ".join(without_markers(answer).split()), None


def _number(answer: Any) -> tuple[str, AnswerValue]:
    text = f"{answer:.6f}".rstrip("0").rstrip(".") if isinstance(answer, float) else str(answer).strip()
    if isinstance(answer, str) and _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if not isinstance(answer, str) and not _is_number(answer):
        raise SampleRejected("bad_answer", f"the answer must be a number, not {answer!r:.80}")
    if not _DIGITS.fullmatch(text) or (isinstance(answer, float) and float(text) != answer):
        raise SampleRejected(
            "bad_answer", f"{answer!r:.80} is no number of at most 9 digits before and 6 behind the point, without unit"
        )
    return text, (float(text), "")


def _interval(answer: Any) -> tuple[str, AnswerValue]:
    match = _SPAN.fullmatch(answer.strip()) if isinstance(answer, str) else None
    ends = [match[1], match[2]] if match else answer
    if not isinstance(ends, list) or len(ends) != 2 or not (match or all(map(_is_number, ends))):
        raise SampleRejected("bad_answer", f"an interval is [start, end] in seconds, not {answer!r:.80}")
    start_s, end_s = (round(float(end), 3) for end in ends)
    if not 0 <= start_s < end_s < 1e6:
        raise SampleRejected("bad_answer", f"an interval must begin at 0 s or later and end after that, not {answer!r}")
    told = [f"{end:.3f}".rstrip("0").rstrip(".") for end in (start_s, end_s)]
    return f"from {told[0]} s to {told[1]} s", (start_s, end_s)


def _order(answer: Any) -> tuple[str, AnswerValue]:
    items = answer.split(",") if isinstance(answer, str) else answer
    if not isinstance(items, list) or not all(isinstance(item, str) or type(item) is int for item in items):
        raise SampleRejected("bad_answer", f"an order is a list of names, not {answer!r:.80}")
    names = [" ".join(without_markers(encodable(str(item))).split()) for item in items]
    if len(names) < 2 or not all(names) or len({_plain(name) for name in names}) < len(names):
        raise SampleRejected("bad_answer", f"an order needs two or more different names, not {answer!r:.80}")
    if any("," in name for name in names):
        raise SampleRejected("bad_answer", f"names of an order must have no comma, not {answer!r:.80}")
    return ", ".join(names), tuple(names)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER


_READERS = {"choice": _words, "number": _number, "interval": _interval, "order": _order}
