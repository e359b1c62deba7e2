"""Where a completion says something that the event log can answer: each claim's place in the text, right or wrong.

completion, Sample → thought → sentences → claims → marks; answer → mark
"""

from __future__ import annotations

from collections.abc import Iterator

from temporay.operators.pages.rollouts import Mark
from temporay.operators.primitives._base import Primitive, primitive_of
from temporay.operators.primitives._claims import holds
from temporay.operators.primitives.motion._stage import PATH
from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, Sample
from temporay.operators.rewards.process import (
    MAX_SENTENCE_CHARS,
    SENTENCE_END,
    readings,
    tally,
    thought,
)
from temporay.operators.scoring.answers import ParsedAnswer


def claim_marks(text: str, sample: Sample) -> list[Mark]:
    """Every claim of the thought, in order, as a process reward reads it."""
    primitive, words = primitive_of(sample.address.task), thought(text)
    if primitive is None or not words:
        return []
    first = text.index(THINK_OPEN) + len(THINK_OPEN)
    return [
        Mark(start=first + start, end=first + end, kind="right" if right else "wrong", title=title_of(right))
        for start, end, right in claims_in(primitive, words, sample)
    ]


def claims_in(primitive: Primitive, words: str, sample: Sample) -> Iterator[tuple[int, int, bool]]:
    """Start, end and truth of every claim; of a path every number is one."""
    for start, sentence in sentences(words):
        reached, nth = 0, 0
        for claim in primitive.claims(sentence) if len(sentence) <= MAX_SENTENCE_CHARS else ():
            right = holds(claim, sample.events)
            path = PATH.fullmatch(claim.text)
            if path is not None:  # one claim per position: the n-th digit after x and the n-th after y
                at = start + sentence.index(claim.text)
                for axis in ("x", "y"):
                    digit = at + path.start(axis) + 2 * nth
                    yield digit, digit + 1, right
                nth += 1
                continue
            at = sentence.index(claim.text, reached)
            reached = at + len(claim.text)
            yield start + at, start + reached, right


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Each with where it starts."""
    start = 0
    for end in SENTENCE_END.finditer(text):
        yield start, text[start : end.start()]
        start = end.end()
    yield start, text[start:]


def title_of(right: bool) -> str:
    return "the event log says the same" if right else "not in the event log"


def answer_mark(text: str, parsed: ParsedAnswer, sample: Sample) -> list[Mark]:
    """What stands between the answer tags, marked as the right option or not; none where no answer was read."""
    if parsed.index is None:
        return []
    start = text.rindex(ANSWER_OPEN, text.rfind(THINK_CLOSE) + 1) + len(ANSWER_OPEN)
    right = parsed.index == sample.question.answer_index
    title = "the right option" if right else f"right is: {sample.question.options[sample.question.answer_index]}"
    return [Mark(start=start, end=text.index(ANSWER_CLOSE, start), kind="hit" if right else "miss", title=title)]


def told(text: str, sample: Sample) -> str:
    """What the process reward counts, in words; "" where it does not apply."""
    primitive = primitive_of(sample.address.task)
    if primitive is None:
        return ""
    gold = readings(primitive, sample.rationale, sample.events)
    if not gold or not all(claim.events for claim in gold):
        return ""
    found = tally(readings(primitive, thought(text), sample.events), gold)
    wasted = f", {found.wasted} false or repeated" if found.wasted else ""
    return f"{found.told} of {found.to_tell} facts told{wasted}"
