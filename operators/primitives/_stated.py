"""What a claim states, field by field, so that a claim that is partly right is worth its share.

    kind, subject, detail -> Stated(about, what, when)

``about`` says which event is meant and is nothing to be paid for: with another one, a claim is about another thing.
``what`` had to be seen. ``when`` are places in time and in an order. Anybody can write the times of a clip without
watching it. So they only scale what is right of ``what``, and count by themselves where there is nothing else to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from temporay.operators.primitives._claims import TIME_TOLERANCE_MS, Claim
from temporay.operators.records import Event

# Exactly equal; a measured number; or the cells of a state, of which each counts.
Value = str | float | tuple[str, ...]
NUMBER_TOLERANCE = 0.2  # error in parts of the true number from which on a measured number is worth nothing
DECIMAL = re.compile(r"\d+\.\d+")
DIRECTION = re.compile(r"(up|down)?(?: and to the )?(?<!\w)(left|right)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The fields of a claim or of an event."""

    about: frozenset[str] = frozenset()
    what: Mapping[str, Value] = field(default_factory=dict)
    when: Mapping[str, str | float] = field(default_factory=dict)  # a float is in ms


def with_times(stated: Stated, of: Claim | Event) -> Stated:
    """Add the start and the end that a claim or an event has."""
    times = {name: ms for name, ms in (("start", of.start_ms), ("end", of.end_ms)) if ms is not None}
    return Stated(about=stated.about, what=stated.what, when={**stated.when, **times})


def words_of(detail: str) -> dict[str, Value]:
    """Return every word of a detail as a field; a word with decimals is a measured number."""
    return {str(i): _value(word) for i, word in enumerate(detail.split(), start=1)}


def direction_of(detail: str) -> dict[str, Value]:
    """Return a direction by its axes: "down and to the left" has two."""
    found = DIRECTION.fullmatch(detail)
    if found is None or not any(found.groups()):
        return {"direction": detail}
    ways: dict[str, Value] = dict(zip(("vertical", "horizontal"), found.groups(), strict=True))
    return {axis: way for axis, way in ways.items() if way}


def share_right(said: Stated, true: Stated, asked: Stated) -> float:
    """Return how much of a claim is right, in [0, 1]; 1 where all of it is.

    Args:
        true: what the event is.
        asked: what there is to state about it; a field that is left out counts as wrong.
    """
    if not asked.about <= said.about <= true.about:
        return 0.0
    what, num_what = _right(said.what, true.what), max(len(said.what), len(asked.what))
    when, num_when = _right(said.when, true.when), max(len(said.when), len(asked.when))
    if num_what == 0:
        return when / num_when if num_when else 1.0
    if not asked.what:  # only when it happens is asked for, or that it does
        return what / num_what * (when / num_when if num_when else 1.0)
    return what / num_what * (1 + when) / (1 + num_when)


def _right(said: Mapping[str, Value], true: Mapping[str, Value]) -> float:
    return sum(
        _closeness(value, true[name], is_time=name in ("start", "end")) for name, value in said.items() if name in true
    )


def _closeness(said: Value, true: Value, *, is_time: bool) -> float:
    """Return 1 for what is right and 0 for what is wrong; between for near numbers and states."""
    if isinstance(said, float) and isinstance(true, float):
        error = abs(said - true)
        return (
            float(error <= TIME_TOLERANCE_MS)
            if is_time
            else max(0.0, 1 - error / max(NUMBER_TOLERANCE * abs(true), 1e-9))
        )
    if isinstance(said, tuple) and isinstance(true, tuple):
        same = sum(one == other for one, other in zip(said, true, strict=False))
        return same / max(len(said), len(true), 1)
    return float(said == true)


def _value(word: str) -> Value:
    return float(word) if DECIMAL.fullmatch(word) else word
