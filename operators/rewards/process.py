"""How much of a chain of thought is true, by the event log. No judge model is needed, because what happened is known.

A thought is read back as claims in its primitive's phrases (``primitives._claims``). The claims of the sample's own
rationale are what there is to tell. Each claim tells at most one of them, and each of them is told at most once. A
claim is worth the share of its fields that are right by the log (``primitives._stated``). Claims with a time are paired
with what there is to tell so that the most is right. Claims without times must come in the right order, because their
order is all that they say. With the sum of what the claims are worth as ``told``,

    precision = told / claims,  coverage = told / max(number to tell, claims)
    reward    = precision × coverage

A claim that is wrong, repeated or left out is worth 0. So are claims that say different things of the same place or
time, and twice as many claims of a kind as there is to tell. True claims about what need not be told do not
count. So a repetition or a falsehood never gains, and silence is worth 0. Coverage is measured against the number of
claims once there are more than there is to tell, so that listing every possibility is worth less than committing to
one. With plain coverage it would not be: for n events with k possibilities each, listing all is worth 1/k, and guessing
one each is worth (1/k)² for large n.
"""

import functools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from temporay.operators.primitives._base import Primitive, primitive_of
from temporay.operators.primitives._claims import Claim, holds, moved, sentences
from temporay.operators.primitives._stated import Stated, Value, share_right, with_times
from temporay.operators.records import TAG, THINK_CLOSE, THINK_OPEN, Event, Rollout, Sample
from temporay.operators.rewards._base import Reward

MAX_THOUGHT_CHARS = 20_000  # 4,096 tokens of English; longer thoughts are worth nothing
GUESSES = 2  # times as many claims of a kind as there is to tell are a list of guesses
MAX_SENTENCE_CHARS = 2_000  # longer ones are not read: patterns take more than linear time


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The claims of a thought, counted."""

    told: float  # a claim that is partly right counts as its share
    wasted: float  # claims, and shares of them, that are false, contradict another or repeat it
    to_tell: int
    credits: tuple[float | None, ...] = ()  # of every claim what is told by it, in [0, 1]; None: beside the point

    @property
    def value(self) -> float:
        said = self.told + self.wasted
        return 0.0 if said == 0 else (self.told / said) * (self.told / max(self.to_tell, said))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A claim compared with the log."""

    kind: str
    stated: Stated
    events: frozenset[int]  # indices of the events of which all that it says is true
    timed: bool  # whether it says when


class Process(Reward):
    """In [0, 1]; None if the sample has no rationale, or one that its log does not bear out."""

    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        primitive = primitive_of(sample.address.task)
        if primitive is None or self.inapplicable(sample):
            return None
        return tally_of(primitive, thought(rollout.text), sample).value

    def inapplicable(self, sample: Sample) -> str:
        primitive = primitive_of(sample.address.task)
        if not sample.rationale:
            return "its samples have no reasoning to compare with"
        if primitive is None:
            return "no primitive of this name says what its reasoning claims"
        gold = gold_readings(type(primitive), sample.rationale, sample.events)
        if not gold:
            return "its reasoning makes no claim that can be read"
        return "" if all(claim.events for claim in gold) else "its reasoning claims what is not in its event log"


def thought(completion: str) -> str:
    """Return the text between the first ``<think>`` and the last ``</think>``; "" if it is too long to be read.

    A tag inside it ends a sentence: in its place are as many ends of lines.
    """
    before_close, _, _ = completion.rpartition(THINK_CLOSE)
    _, _, text = before_close.partition(THINK_OPEN)
    return TAG.sub(lambda tag: "\n" * len(tag[0]), text) if len(text) <= MAX_THOUGHT_CHARS else ""


def tally_of(primitive: Primitive, text: str, sample: Sample) -> Tally:
    """Count the claims of a chain of thought about this sample."""
    gold = gold_readings(type(primitive), sample.rationale, sample.events)
    log = [log_entry(primitive, event) for event in sample.events]
    return tally(readings(primitive, text, sample.events), gold, log)


@functools.lru_cache(maxsize=256)  # all rollouts of a prompt are compared with the same reasoning
def gold_readings(primitive: type[Primitive], rationale: str, events: tuple[Event, ...]) -> tuple[Reading, ...]:
    """Compare the claims of a sample's own reasoning with its log."""
    return tuple(readings(primitive(), rationale, events))


def readings(primitive: Primitive, text: str, events: Sequence[Event]) -> list[Reading]:
    """Compare the claims of a text with the log, in their order."""
    return [reading(primitive, claim, events) for claim in claims_by_sentence(primitive, text, primitive.names(events))]


def reading(primitive: Primitive, claim: Claim, events: Sequence[Event]) -> Reading:
    """Compare one claim with the log."""
    return Reading(
        kind=claim.kind,
        stated=with_times(primitive.stated(claim.kind, claim.subject, claim.detail), claim),
        events=frozenset(i for i, event in enumerate(events) if holds(claim, [event])),
        timed=claim.start_ms is not None or claim.end_ms is not None,
    )


def log_entry(primitive: Primitive, event: Event) -> Stated:
    """Return what there is to state about an event."""
    return with_times(primitive.stated(event.kind, event.subject, event.detail or None), event)


def claims_by_sentence(primitive: Primitive, text: str, names: Sequence[str] = ()) -> list[Claim]:
    """Read the claims of a text with their places in it, in time that is linear in its length."""
    found = ((first, s) for first, s in sentences(text, names) if len(s) <= MAX_SENTENCE_CHARS)
    return [moved(claim, first) for first, s in found for claim in primitive.claims(s, names)]


def tally(said: Sequence[Reading], gold: Sequence[Reading], log: Sequence[Stated]) -> Tally:
    """Count the claims. Those with a time are paired first; those without take what is left, in its order."""
    counted_S = np.array([not _is_beside_the_point(claim, gold) for claim in said], np.bool_)
    counted = [claim for claim, counts in zip(said, counted_S, strict=True) if counts]
    useless = _useless(counted, gold)
    worth_SG = np.array(
        [[0.0 if i in useless else _worth(one, true, log) for true in gold] for i, one in enumerate(counted)]
    ).reshape(len(counted), len(gold))
    timed_S = np.array([claim.timed for claim in counted], np.bool_)
    paired = linear_sum_assignment(worth_SG[timed_S], maximize=True)
    worth_of_pairs = worth_SG[timed_S][paired]
    taken = paired[1][worth_of_pairs > 0]
    left_SG = np.delete(worth_SG[~timed_S], taken, axis=1)
    credits_S = np.zeros(len(counted))
    credits_S[np.flatnonzero(timed_S)[paired[0]]] = worth_of_pairs
    credits_S[~timed_S] = _best_in_order(left_SG)
    told, each = float(credits_S.sum()), iter(credits_S.tolist())
    return Tally(
        told=told,
        wasted=len(counted) - told,
        to_tell=len(gold),
        credits=tuple(next(each) if counts else None for counts in counted_S),
    )


def _worth(said: Reading, true: Reading, log: Sequence[Stated]) -> float:
    """Return how much of what there is to tell a claim tells, in [0, 1]."""
    if said.kind != true.kind:
        return 0.0
    return max((share_right(said.stated, log[i], true.stated) for i in true.events), default=0.0)


def _is_beside_the_point(claim: Reading, gold: Sequence[Reading]) -> bool:
    return bool(claim.events) and not any(true.events & claim.events for true in gold)


def _useless(claims: Sequence[Reading], gold: Sequence[Reading]) -> set[int]:
    """Return which claims are a list of guesses, repeat an earlier one, or contradict one of the same place or time."""
    to_tell = Counter((true.kind, true.timed) for true in gold)
    by_kind: dict[tuple[str, bool], set[Hashable]] = {}
    by_when: dict[Hashable, list[int]] = {}
    for i, claim in enumerate(claims):
        when = _key(claim.stated.when)
        # Without a place or a time, order is all that tells two claims apart: each counts.
        kind = claim.kind, claim.timed
        by_kind.setdefault(kind, set()).add((claim.stated.about, when, _key(claim.stated.what)) if when else i)
        if when:
            by_when.setdefault((claim.kind, claim.stated.about, when), []).append(i)
    # A thought may tell the same events with times and without; where it is to do one of the two, the other is as good.
    most = {(kind, timed): to_tell[kind, timed] or to_tell[kind, not timed] for kind, timed in by_kind}
    guessed = {kind for kind, claimed in by_kind.items() if len(claimed) >= GUESSES * max(1, most[kind])}
    useless = {i for i, claim in enumerate(claims) if (claim.kind, claim.timed) in guessed}
    for alike in by_when.values():
        said = {_key(claims[i].stated.what) for i in alike}
        useless.update(alike if len(said) > 1 else alike[1:])
    return useless


def _key(fields: Mapping[str, Value]) -> Hashable:
    return tuple(sorted((name, str(value)) for name, value in fields.items()))


def _best_in_order(worth_SG: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what each claim is worth where all together are worth the most, in the order of what there is to tell.

    Some may be left out, and are worth nothing.
    """
    num_said, num_true = worth_SG.shape
    best_SG = np.zeros((num_said + 1, num_true + 1))  # of the first claims, and of the first that there is to tell
    for i, worth_G in enumerate(worth_SG):
        best_SG[i + 1, 1:] = np.maximum.accumulate(np.maximum(best_SG[i, 1:], best_SG[i, :-1] + worth_G))
    credits_S = np.zeros(num_said)
    i, j = num_said, num_true
    while i and j:
        if best_SG[i, j] == best_SG[i - 1, j]:
            i -= 1
        elif best_SG[i, j] == best_SG[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            credits_S[i] = worth_SG[i, j]
    return credits_S
