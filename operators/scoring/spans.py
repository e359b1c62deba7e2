"""Spans of time in seconds: how much two overlap, and how they are read from prose.

    tIoU = |answered ∩ true| / |answered ∪ true|     IoP = |answered ∩ true| / |answered|

Published code divides by the time from the first start to the last end instead. That is the union wherever two spans
overlap, and where they do not, both are 0. So the two differ only for a span that ends before it starts.
"""

import re

from temporay.operators.records import TimeSpan

MAX_SPAN_CHARS = 4_000  # the end of a longer text is read
_NUMBER = r"(\d{1,6}(?:\.\d{1,18})?)"
_UNIT = r"\s*(?:s|secs?|seconds?)?\s*"
_CLOCK = re.compile(r"(?<![\d.:])(?:(\d{1,2}):)?(\d{1,3}):(\d{2}(?:\.\d{1,6})?)(?![\d:])")
_RANGE = re.compile(rf"(?<![\d.]){_NUMBER}{_UNIT}(?:-|–|—|to|and|,)\s*{_NUMBER}", re.IGNORECASE)
_START_AND_END = re.compile(rf"start[^\d.]{{0,60}}{_NUMBER}[^\d]{{0,60}}end[^\d.]{{0,60}}{_NUMBER}", re.IGNORECASE)


def shared_s(one: TimeSpan, other: TimeSpan) -> float:
    """Return how many seconds two spans share; 0 where one of them ends before it starts."""
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def temporal_iou(said: TimeSpan, true: TimeSpan) -> float:
    """Return tIoU in [0, 1]; 0 for a span without length."""
    shared = shared_s(said, true)
    return shared / (max(said[1], true[1]) - min(said[0], true[0])) if shared else 0.0


def inside_share(said: TimeSpan, true: TimeSpan) -> float:
    """Return the share of the answered span that is inside the true one (IoP); 0 for a span without length."""
    shared = shared_s(said, true)
    return shared / (said[1] - said[0]) if shared else 0.0


def spans_in(text: str) -> list[TimeSpan]:
    """Return every span that a text states, such as "24.3 - 30.4", "from 1.2 s to 3 s", "00:18 to 00:23".

    Clock times count as seconds. The two numbers keep the order in which they are written.
    """
    seconds = _CLOCK.sub(_plain_seconds, text[-MAX_SPAN_CHARS:])
    found = _RANGE.findall(seconds) or _START_AND_END.findall(seconds)
    return [(float(start), float(end)) for start, end in found]


def only_span(text: str) -> TimeSpan | None:
    """Return the span of a text that states exactly one, however often, if it starts before it ends."""
    found = list(dict.fromkeys(spans_in(text)))
    return found[0] if len(found) == 1 and found[0][0] < found[0][1] else None


def clock_seconds(hours: str | None, minutes: str, seconds: str) -> float:
    """Return the seconds of a clock time."""
    return 3600 * float(hours or 0) + 60 * float(minutes) + float(seconds)


def _plain_seconds(match: re.Match[str]) -> str:
    return f"{clock_seconds(*match.groups()):.6f}".rstrip("0").rstrip(".")
