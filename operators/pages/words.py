"""What somebody wrote about a clip: text with its claims and its answer marked.

text, marks -> paragraph; paragraph, header -> panel
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from temporay.operators.pages.page import escape
from temporay.operators.records import TAG

MAX_TEXT_CHARS = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A part of a text, by characters: a claim that is right, in part or not, or an answer that hits or misses."""

    start: int
    end: int
    kind: Literal["right", "part", "wrong", "hit", "miss"]
    title: str
    start_ms: float | None = None  # the time in the clip that a claim names; a click goes there


def panel(header: str, tone: str, text: str, marks: Sequence[Mark], below: str = "") -> str:
    """Return a box of one text.

    Args:
        header: HTML above the text.
        tone: name of the CSS variable that colors the box's edge.
        below: HTML below the text.
    """
    return (
        f'<section class="panel" style="--tone:var(--{tone})"><header>{header}</header>'
        f'<p class="said">{marked(text, marks)}</p>{below}</section>'
    )


def marked(text: str, marks: Sequence[Mark]) -> str:
    """Return the text with its marks and faint tags; only the beginning of a very long text."""
    parts, reached = [], 0
    shown = text[:MAX_TEXT_CHARS]
    for mark in marks:
        if mark.end > len(shown):
            break
        seek = "" if mark.start_ms is None else f' role="button" tabindex="0" data-ms="{mark.start_ms:g}"'
        parts.append(_faint_tags(shown[reached : mark.start]))
        inner = escape(shown[mark.start : mark.end])
        parts.append(f'<mark class="{mark.kind}" title="{escape(mark.title)}"{seek}>{inner}</mark>')
        reached = mark.end
    parts.append(_faint_tags(shown[reached:]))
    if len(text) > len(shown):
        parts.append(f"<i> … {len(text) - len(shown):,} more characters</i>")
    return "".join(parts)


def _faint_tags(text: str) -> str:
    tags = [f"<i>{escape(tag)}</i>" for tag in TAG.findall(text)]
    return "".join(escape(part) + tag for part, tag in zip(TAG.split(text), [*tags, ""], strict=True))
