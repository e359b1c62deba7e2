"""The event log of a sample: bars over the time of its clip, and a table with the exact times.

events -> lanes -> bars; events -> table
"""

from collections.abc import Iterable, Sequence

from temporay.operators.pages.page import escape, table, why
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.records import Event

MIN_WORDS_PERCENT = 9.0  # words in a bar narrower than this share of the timeline would be cut after a letter or two
PLAIN_COLOR = (180, 83, 42)  # RGB of a subject that has no color in its name


def timeline(events: Iterable[Event], duration_ms: float) -> str:
    """Return a lane for every kind of event of every subject, with bars from start to end."""
    lanes = "".join(
        f'<div class="lane"><span class="who" title="{escape(_words(lane[0]))}">{escape(_words(lane[0]))}</span>'
        f'<span class="bars">{"".join(_bar(event, duration_ms) for event in lane)}</span></div>'
        for lane in lanes_of(events)
    )
    return f'<div class="timeline" role="group" aria-label="events">{lanes}<i class="cursor"></i></div>'


def lanes_of(events: Iterable[Event]) -> list[list[Event]]:
    """Put events of the same kind and subject into one lane unless they overlap."""
    lanes: dict[tuple[str, str], list[list[Event]]] = {}
    for event in sorted(events, key=lambda event: event.start_ms):
        rows = lanes.setdefault((event.subject, event.kind), [])
        free = next((row for row in rows if row[-1].end_ms <= event.start_ms), None)
        if free is None:
            rows.append([event])
        else:
            free.append(event)
    return [row for rows in lanes.values() for row in rows]


def event_log(events: Sequence[Event]) -> str:
    """Return the exact times as a folded table."""
    if not events:
        return why("This video has no event log, so no claim can be checked.")
    rows = [
        (event.kind, event.subject, event.detail, f"{event.start_ms / 1000:.2f} - {event.end_ms / 1000:.2f} s")
        for event in sorted(events, key=lambda event: event.start_ms)
    ]
    inner = table(("event", "subject", "detail", "time"), rows, first_number=3)
    return f'<details class="log"><summary>Event log: {len(events)}</summary>{inner}</details>'


def _words(event: Event) -> str:
    return f"{event.subject} {event.kind.replace('_', ' ')}".strip()


def _bar(event: Event, duration_ms: float) -> str:
    left = 100 * event.start_ms / duration_ms
    width = 100 * (event.end_ms - event.start_ms) / duration_ms
    words = f"{_words(event)} {event.detail}".strip()
    title = f"{words}: {event.start_ms / 1000:.2f} to {event.end_ms / 1000:.2f} s"
    red, green, blue = next((COLORS[word] for word in event.subject.split() if word in COLORS), PLAIN_COLOR)
    return (
        f'<b style="left:{left:.2f}%;width:{width:.2f}%;--of:rgb({red} {green} {blue})" title="{escape(title)}" '
        f'data-ms="{event.start_ms:g}">{escape(event.detail) if width >= MIN_WORDS_PERCENT else ""}</b>'
    )
