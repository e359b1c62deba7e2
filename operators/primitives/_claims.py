"""Chains of thought that can be checked: a phrase tells an event, and is read back as a claim.

    Event -> phrase with its fields filled in -> sentence -> the phrase as a pattern -> Claim -> compared with the log

A phrase is a sentence with fields: ``{subject}``, ``{detail}`` or its words one by one as ``{d1}``, ``{d2}`` …, and
``{start}`` and ``{end}`` in seconds with one decimal. The pattern is made from the phrase, so whatever a phrase says
can be read back. A policy's own words are read in the same way, and a process reward scores them.

A reader may be given the names that a log uses. They are found first and stand in the text as one unit. So a caption
with a period, a quote or ", then" in it is read whole, and no subject reaches back into the words before it.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from temporay.operators.records import Event

TIME_TOLERANCE_MS = 51.0  # a second is told with one decimal
SENTENCE_END = re.compile(r"(?<=\.)\s|\n")  # no phrase crosses it; a period inside a number precedes a digit
FIELD = re.compile(r"\{(subject|detail|d\d|start|end)\}")
NAMED = "\ue000"  # a letter for private use: each stands for one letter of a name that the log uses
WORD = r"\S+?"  # matches one word of a detail
SUBJECT = rf"(?:{NAMED}+|[^\".,:;{NAMED}]+?)"
QUOTED = rf"(?:{NAMED}+|[^\"]+?)"  # a subject between quotation marks
PATTERNS = {"detail": rf"(?:[^.\n{NAMED}]|\.(?=\d))+?", "start": r"\d+\.\d", "end": r"\d+\.\d"}

Phrases = Mapping[str, Sequence[str]]  # event kind -> phrases that say the same
Span = tuple[int, int]  # start and end in a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An event that a sentence says happened. A field that the phrase does not have is None."""

    kind: str
    text: str
    subject: str | None = None
    detail: str | None = None
    words: tuple[int, ...] = ()  # which words of an event's detail ``detail`` has, from 1; none: all of them
    start_ms: float | None = None
    end_ms: float | None = None
    spans: tuple[Span, ...] = ()  # where the claim stands in the text that was read


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


def read_claims(text: str, phrases: Iterable[Phrases], names: Sequence[str] = ()) -> list[Claim]:
    """Return the claims of a text in these phrases, in its order. The longest of overlapping readings counts."""
    found: list[tuple[int, int, Claim]] = []
    marked = mark_names(text, names)
    for by_kind in phrases:
        for kind, variants in by_kind.items():
            for phrase in variants:
                for match in pattern(phrase).finditer(marked):
                    found.append((match.start(), match.end(), _claim(kind, match, text)))
    found.sort(key=lambda item: (item[0], -item[1]))
    claims: list[Claim] = []
    reached = -1
    for start, end, claim in found:
        if start >= reached:
            claims.append(claim)
            reached = end
    return claims


def read_lists(
    kind: str, text: str, listing: re.Pattern[str], separator: re.Pattern[str], names: Sequence[str] = ()
) -> list[Claim]:
    """Return a claim for every item of the lists in a text. The first group of ``listing`` holds the items."""
    marked = mark_names(text, names)
    claims: list[Claim] = []
    for found in listing.finditer(marked):
        start, end = found.span(1)
        cuts = [cut.span() for cut in separator.finditer(marked, start, end)]
        for span in zip([start, *(stop for _, stop in cuts)], [*(begin for begin, _ in cuts), end], strict=True):
            item = text[slice(*span)]
            claims.append(Claim(kind=kind, text=item, subject=item, spans=(span,)))
    return claims


def sentences(text: str, names: Sequence[str] = ()) -> Iterator[tuple[int, str]]:
    """Yield every sentence with its start."""
    start = 0
    for end in SENTENCE_END.finditer(mark_names(text, names)):
        yield start, text[start : end.start()]
        start = end.end()
    yield start, text[start:]


def moved(claim: Claim, by: int) -> Claim:
    """Return a claim as it stands in a longer text, so many letters later."""
    return replace(claim, spans=tuple((start + by, end + by) for start, end in claim.spans))


def mark_names(text: str, names: Sequence[str]) -> str:
    """Replace every letter of these names by ``NAMED``, so that all places in the text stay the same."""
    text = text.replace(NAMED, "?")
    return _any_of(tuple(names)).sub(lambda name: NAMED * len(name[0]), text) if names else text


def holds(claim: Claim, events: Iterable[Event]) -> bool:
    """Return whether the log has an event of the claim's kind with all that the claim says about it."""
    return any(_matches(claim, event) for event in events)


@functools.lru_cache(maxsize=4096)
def pattern(phrase: str) -> re.Pattern[str]:
    """Turn the phrase into a pattern that matches it with any values in its fields, at the start of a word.

    A subject with a detail after it ends at the first place where the phrase goes on. To try every later place as
    well would take time as the cube of the sentence.
    """
    parts: list[str] = []
    named: set[str] = set()
    end = 0
    for field in FIELD.finditer(phrase):
        parts.append(re.escape(phrase[end : field.start()]))
        name = field[1]
        value = (QUOTED if parts[-1].endswith('"') else SUBJECT) if name == "subject" else PATTERNS.get(name, WORD)
        parts.append(f"(?P={name})" if name in named else f"(?P<{name}>{value})")
        named.add(name)
        end = field.end()
    parts.append(re.escape(phrase[end:]))
    if 0 <= phrase.find("{subject}") < phrase.find("{detail}"):
        at = next(i for i, part in enumerate(parts) if part.startswith("(?P<subject>"))
        if any(map(str.isalpha, parts[at + 1])):
            parts[at : at + 2] = [f"(?>{parts[at]}{parts[at + 1]})"]
    return re.compile(r"(?<![\w.])" + "".join(parts))


@functools.lru_cache(maxsize=256)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(set(names), key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _claim(kind: str, match: re.Match[str], text: str) -> Claim:
    fields = {name: text[slice(*match.span(name))] for name in match.groupdict()}
    words = sorted(name for name in fields if re.fullmatch(r"d\d", name))
    detail = fields.get("detail") or (" ".join(fields[name] for name in words) if words else None)
    start, end = fields.get("start"), fields.get("end")
    return Claim(
        kind=kind,
        text=text[slice(*match.span())],
        subject=fields.get("subject"),
        detail=detail,
        words=tuple(int(name[1:]) for name in words),
        start_ms=None if start is None else 1000 * float(start),
        end_ms=None if end is None else 1000 * float(end),
        spans=(match.span(),),
    )


def _matches(claim: Claim, event: Event) -> bool:
    if claim.kind != event.kind or claim.subject not in (None, event.subject):
        return False
    times = ((claim.start_ms, event.start_ms), (claim.end_ms, event.end_ms))
    words = event.detail.split()
    told = " ".join(words[i - 1] for i in claim.words if i <= len(words)) if claim.words else event.detail
    return claim.detail in (None, told) and all(
        said is None or abs(said - true) <= TIME_TOLERANCE_MS for said, true in times
    )
