"""Chains of thought that can be checked: a phrase tells an event, and is read back as a claim.

    Event -> phrase with its fields filled in -> sentence -> the phrase as a pattern -> Claim -> compared with the log

A phrase is a sentence with fields: ``{subject}``, ``{detail}`` or its words one by one as ``{d1}``, ``{d2}`` …, and
``{start}`` and ``{end}`` in seconds with one decimal. The pattern is made from the phrase, so whatever a phrase says
can be read back. A policy's own words are read in the same way, and a process reward scores them.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from temporay.operators.records import Event

TIME_TOLERANCE_MS = 51.0  # a second is told with one decimal
FIELD = re.compile(r"\{(subject|detail|d\d|start|end)\}")
WORD = r"\S+?"  # matches one word of a detail
PATTERNS = {"subject": r".+?", "detail": r".+?", "start": r"\d+\.\d", "end": r"\d+\.\d"}

Phrases = Mapping[str, Sequence[str]]  # event kind -> phrases that say the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An event that a sentence says happened. A field that the phrase does not have is None."""

    kind: str
    text: str
    subject: str | None = None
    detail: str | None = None
    start_ms: float | None = None
    end_ms: float | None = None


def tell(event: Event, phrase: str) -> str:
    """Fill the event's fields into the phrase."""
    words = event.detail.split()
    return phrase.format(
        subject=event.subject,
        detail=event.detail,
        start=f"{event.start_ms / 1000:.1f}",
        end=f"{event.end_ms / 1000:.1f}",
        **{f"d{i}": word for i, word in enumerate(words, start=1)},
    )


def read_claims(text: str, phrases: Iterable[Phrases]) -> list[Claim]:
    """Return the claims of a text in these phrases, in its order. The longest of overlapping readings counts."""
    found: list[tuple[int, int, Claim]] = []
    for by_kind in phrases:
        for kind, variants in by_kind.items():
            for phrase in variants:
                for match in pattern(phrase).finditer(text):
                    found.append((match.start(), match.end(), _claim(kind, match)))
    found.sort(key=lambda item: (item[0], -item[1]))
    claims: list[Claim] = []
    reached = -1
    for start, end, claim in found:
        if start >= reached:
            claims.append(claim)
            reached = end
    return claims


def holds(claim: Claim, events: Iterable[Event]) -> bool:
    """Return whether the log has an event of the claim's kind with all that the claim says about it."""
    return any(_matches(claim, event) for event in events)


@functools.lru_cache(maxsize=4096)
def pattern(phrase: str) -> re.Pattern[str]:
    """Turn the phrase into a pattern that matches it with any values in its fields."""
    parts: list[str] = []
    named: set[str] = set()
    end = 0
    for field in FIELD.finditer(phrase):
        parts.append(re.escape(phrase[end : field.start()]))
        name = field[1]
        parts.append(f"(?P={name})" if name in named else f"(?P<{name}>{PATTERNS.get(name, WORD)})")
        named.add(name)
        end = field.end()
    return re.compile("".join([*parts, re.escape(phrase[end:])]))


def _claim(kind: str, match: re.Match[str]) -> Claim:
    fields = match.groupdict()
    words = [fields[name] for name in sorted(name for name in fields if re.fullmatch(r"d\d", name))]
    detail = fields.get("detail") or (" ".join(words) if words else None)
    start, end = fields.get("start"), fields.get("end")
    return Claim(
        kind=kind,
        text=match[0],
        subject=fields.get("subject"),
        detail=detail,
        start_ms=None if start is None else 1000 * float(start),
        end_ms=None if end is None else 1000 * float(end),
    )


def _matches(claim: Claim, event: Event) -> bool:
    times = ((claim.start_ms, event.start_ms), (claim.end_ms, event.end_ms))
    return (
        claim.kind == event.kind
        and claim.subject in (None, event.subject)
        and claim.detail in (None, event.detail)
        and all(said is None or abs(said - true) <= TIME_TOLERANCE_MS for said, true in times)
    )
