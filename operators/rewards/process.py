"""How much of a chain of thought is true, by the event log. No judge model is needed, because what happened is known.

A thought is read back as claims in its primitive's phrases (``primitives._claims``). The claims of the sample's own
rationale are what there is to tell. A claim tells one of them if both hold for the same event. Claims without times
must come in the right order, because their order is all that they say. Then

    precision = told / (told + wasted),  coverage = told / max(number to tell, told + wasted)
    reward    = precision × coverage

``wasted`` are claims that hold for no event, and repeated ones. True claims about what need not be told do not count.
So a repetition or a falsehood never gains, and silence is worth 0. Coverage is measured against the number of claims
once there are more than there is to tell, so that listing every possibility is worth less than committing to one. With
plain coverage it would not be: for n events with k possibilities each, listing all is worth 1/k, and guessing one each
is worth (1/k)² for large n.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from temporay.operators.primitives._base import Primitive, primitive_of
from temporay.operators.primitives._claims import Claim, holds
from temporay.operators.records import THINK_CLOSE, THINK_OPEN, Event, Rollout, Sample
from temporay.operators.rewards._base import Reward

MAX_THOUGHT_CHARS = 20_000  # 4,096 tokens of English; longer thoughts are worth nothing
MAX_SENTENCE_CHARS = 400  # longer ones are not read: patterns take more than linear time
SENTENCE_END = re.compile(r"(?<=\.)\s|\n")  # no phrase crosses it; a period inside a number precedes a digit


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The claims of a thought, counted."""

    told: int
    wasted: int  # false or repeated
    to_tell: int

    @property
    def value(self) -> float:
        said = self.told + self.wasted
        return 0.0 if said == 0 else (self.told / said) * (self.told / max(self.to_tell, said))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A claim compared with the log."""

    events: frozenset[int]  # indices of the events that it holds for
    timed: bool  # whether it says when


class Process(Reward):
    """In [0, 1]; None if the sample's own rationale makes no claims, or claims that the log does not hold."""

    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        primitive = primitive_of(sample.address.task)
        if primitive is None:
            return None
        gold = readings(primitive, sample.rationale, sample.events)
        if not gold or not all(claim.events for claim in gold):
            return None
        return tally(readings(primitive, thought(rollout.text), sample.events), gold).value


def thought(completion: str) -> str:
    """Return the text between the first ``<think>`` and the last ``</think>``; "" if it is too long to be read."""
    before_close, _, _ = completion.rpartition(THINK_CLOSE)
    _, _, text = before_close.partition(THINK_OPEN)
    return text if len(text) <= MAX_THOUGHT_CHARS else ""


def readings(primitive: Primitive, text: str, events: Sequence[Event]) -> list[Reading]:
    """Compare the claims of a text with the log, in their order."""
    return [
        Reading(
            events=frozenset(i for i, event in enumerate(events) if holds(claim, [event])),
            timed=claim.start_ms is not None or claim.end_ms is not None,
        )
        for claim in claims_by_sentence(primitive, text)
    ]


def claims_by_sentence(primitive: Primitive, text: str) -> list[Claim]:
    """Read the claims of a text, in time that is linear in its length."""
    sentences = SENTENCE_END.split(text)
    return [claim for s in sentences if len(s) <= MAX_SENTENCE_CHARS for claim in primitive.claims(s)]


def tally(said: Sequence[Reading], gold: Sequence[Reading]) -> Tally:
    """Count the claims. Each claim tells at most one thing; a claim with a time tells one with a time if it can."""
    left = list(gold)
    for claim in said:
        if claim.timed:
            same = [true for true in left if true.events & claim.events]
            if same:
                left.remove(next((true for true in same if true.timed), same[0]))
    timeless = [claim.events for claim in said if not claim.timed]
    told = len(gold) - len(left) + _longest_common_order(timeless, [true.events for true in left])
    beside_the_point = sum(
        bool(claim.events) and not any(true.events & claim.events for true in gold) for claim in said
    )
    return Tally(told=told, wasted=len(said) - beside_the_point - told, to_tell=len(gold))


def _longest_common_order(said: Sequence[frozenset[int]], true: Sequence[frozenset[int]]) -> int:
    """Length of the longest common subsequence, where two entries are the same when they share an event."""
    row = [0] * (len(true) + 1)
    for one in said:
        above = row[:]
        for j, other in enumerate(true, start=1):
            row[j] = above[j - 1] + 1 if one & other else max(above[j], row[j - 1])
    return row[-1]
