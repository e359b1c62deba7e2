"""Chains of thought in which one field of one claim is wrong, for the tests and the table of the process reward."""

import re
from collections.abc import Iterator

from temporay.operators.dataset.rows import make_sample
from temporay.operators.errors import SampleRejected
from temporay.operators.primitives._base import Style, primitive_called
from temporay.operators.primitives._claims import Claim, Span, sentences
from temporay.operators.records import Sample
from temporay.operators.rewards.process import readings

from tests.operators.primitives.planning import CANVAS, TINY, make_plan, make_primitive

STYLES: tuple[Style, ...] = ("concise", "detailed")
LEVELS = range(5)
DECIMAL, LAST_DIGIT = re.compile(r"\d+\.\d+"), re.compile(r"\d(?!.*\d)")


def samples_of(task: str, style: Style, num_each: int) -> Iterator[Sample]:
    """Yield samples of every level on a tiny and on a larger canvas."""
    for level in LEVELS:
        for canvas in (TINY, CANVAS):
            for index in range(num_each):
                try:
                    plan = make_plan(task, index, level, canvas)
                except SampleRejected:
                    continue
                yield make_sample(make_primitive(task), plan, style)


def spoiled(sample: Sample) -> Iterator[str]:
    """Yield the sample's own reasoning with one field of one claim changed, once for every field that is paid for."""
    primitive = primitive_called(sample.address.task)
    names = primitive.names(sample.events)
    about = [claim.stated.about for claim in readings(primitive, sample.rationale, sample.events)]
    for first, sentence in sentences(sample.rationale, names):
        for claim in primitive.claims(sentence, names):
            for start, end in _fields(claim, sentence):
                words = sample.rationale
                thought = words[: first + start] + _other(words[first + start : first + end]) + words[first + end :]
                read = readings(primitive, thought, sample.events)
                # Where another thing is meant than before, a claim is worth nothing; a list says nothing but names.
                if claim.text == claim.subject or [one.stated.about for one in read] == about:
                    yield thought


def _fields(claim: Claim, sentence: str) -> Iterator[Span]:
    """Yield where the values stand that a claim states."""
    if claim.text == claim.subject or len(claim.spans) > 1:  # an item of a list, or a position of a path
        yield from claim.spans
        return
    [(start, end)] = claim.spans
    times = [f"{ms / 1000:.1f}" for ms in (claim.start_ms, claim.end_ms) if ms is not None]
    for value in {*(claim.detail or "").split(), *times}:
        for found in re.finditer(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)", sentence[start:end]):
            yield start + found.start(), start + found.end()


def _other(value: str) -> str:
    if DECIMAL.fullmatch(value):
        return f"{3 * float(value) + 50:.{len(value.partition('.')[2])}f}"
    if LAST_DIGIT.search(value):
        return LAST_DIGIT.sub(lambda digit: str((int(digit[0]) + 5) % 10), value)
    return "sideways" if value.isalpha() else "?" * len(value)
