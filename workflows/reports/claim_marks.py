"""Places in a text where it makes a claim, with what the process reward credits for it.

completion, Sample → thought → claims, each with its credit → marks; answer → mark
"""

from typing import Literal

from temporay.operators.pages.words import Mark
from temporay.operators.primitives._base import primitive_of
from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, Sample
from temporay.operators.rewards.process import Process, claims_by_sentence, tally_of, thought
from temporay.operators.scoring.answers import ParsedAnswer, read_answer

NEARLY = 1 - 1e-9  # a credit as good as whole


def claim_marks(text: str, sample: Sample) -> list[Mark]:
    """Mark every claim of a completion's thought that counts, in order, as the process reward reads it."""
    words = thought(text)
    return marks_in(words, sample, text.index(THINK_OPEN) + len(THINK_OPEN)) if words else []


def marks_in(words: str, sample: Sample, first: int = 0) -> list[Mark]:
    """Mark every claim of a chain of thought that counts, in the order of the text.

    A true claim about what the sample's own reasoning does not tell counts neither way, and has no mark. Nor has any
    claim where there is no such reasoning to compare with.

    Args:
        first: where the chain of thought begins in the text.
    """
    primitive = primitive_of(sample.address.task)
    if primitive is None:
        return []
    found = tally_of(primitive, words, sample)
    if not found.to_tell:
        return []
    marks = []
    claims = claims_by_sentence(primitive, words, primitive.names(sample.events))
    for claim, credit in zip(claims, found.credits, strict=True):
        if credit is None:
            continue
        kind, title = credited(credit)
        for start, end in claim.spans:  # of a position in a path, one of each number
            marks.append(Mark(start=first + start, end=first + end, kind=kind, title=title, start_ms=claim.start_ms))
    return sorted(marks, key=lambda mark: mark.start)  # a path names its numbers by axis


def credited(credit: float) -> tuple[Literal["right", "part", "wrong"], str]:
    """Return the kind of a claim's mark, and what it says in words."""
    if credit >= NEARLY:
        return "right", "credited: the event log says the same"
    if credit > 0:
        return "part", f"{credit:.0%} of it is credited; the event log says otherwise of the rest"
    return "wrong", "not credited: the event log says otherwise, or it is repeated, contradicted or out of order"


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
