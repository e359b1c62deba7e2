"""Places in a text where it makes a claim, with whether the event log says the same.

completion, Sample → thought → sentences → claims → marks; answer → mark
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from temporay.operators.pages.words import Mark
from temporay.operators.primitives._base import Primitive, primitive_of
from temporay.operators.primitives._claims import Claim, holds, sentences
from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, Sample
from temporay.operators.rewards.process import (
    MAX_SENTENCE_CHARS,
    Process,
    tally_of,
    thought,
)
from temporay.operators.scoring.answers import ParsedAnswer, read_answer


def claim_marks(text: str, sample: Sample) -> list[Mark]:
    """Mark every claim of a completion's thought, in order, as the process reward reads it."""
    words = thought(text)
    return marks_in(words, sample, text.index(THINK_OPEN) + len(THINK_OPEN)) if words else []


def marks_in(words: str, sample: Sample, first: int = 0) -> list[Mark]:
    """Mark every claim of a chain of thought, in the order of the text; ``first`` is where it begins there."""
    primitive = primitive_of(sample.address.task)
    if primitive is None:
        return []
    marks = []
    for start, end, claim in claims_in(primitive, words, primitive.names(sample.events)):
        right = holds(claim, sample.events)
        title = "the event log says the same" if right else "not in the event log"
        kind: Literal["right", "wrong"] = "right" if right else "wrong"
        marks.append(Mark(start=first + start, end=first + end, kind=kind, title=title, start_ms=claim.start_ms))
    return sorted(marks, key=lambda mark: mark.start)  # a path names its numbers by axis


def claims_in(primitive: Primitive, words: str, names: Sequence[str]) -> Iterator[tuple[int, int, Claim]]:
    """Yield start and end of every claim; in a path, of every number of it."""
    for first, sentence in sentences(words, names):
        for claim in primitive.claims(sentence, names) if len(sentence) <= MAX_SENTENCE_CHARS else ():
            yield from ((first + start, first + end, claim) for start, end in claim.spans)


def text_marks(text: str, sample: Sample) -> list[Mark]:
    """Mark the claims and the answer of a completion, in the order of the text."""
    answer = answer_mark(text, read_answer(text, sample.question), sample)
    return sorted([*claim_marks(text, sample), *answer], key=lambda mark: mark.start)


def answer_mark(text: str, parsed: ParsedAnswer, sample: Sample) -> list[Mark]:
    """Mark the text between the answer tags as right or wrong; return no mark where no answer was read."""
    if parsed.failure is not None:
        return []
    start = text.rindex(ANSWER_OPEN, text.rfind(THINK_CLOSE) + 1) + len(ANSWER_OPEN)
    right = parsed.index == sample.question.answer_index
    title = "the right option" if right else f"right is: {sample.question.options[sample.question.answer_index]}"
    return [Mark(start=start, end=text.index(ANSWER_CLOSE, start), kind="hit" if right else "miss", title=title)]


def told(text: str, sample: Sample) -> str:
    """Say in words what the process reward counts; return "" where it does not apply."""
    primitive = primitive_of(sample.address.task)
    if primitive is None or Process().inapplicable(sample):
        return ""
    found = tally_of(primitive, thought(text), sample)
    wasted = f", {found.wasted:.3g} false or repeated" if found.wasted > 1e-9 else ""
    return f"{found.told:.3g} of {found.to_tell} facts told{wasted}"
