"""A sample as a card: clip, tracks over it, timeline, question and options, reasoning, and what others wrote.

Sample, mp4, plan -> ShownSample -> card of one sample or of a twin pair
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from temporay.operators.pages.overlay import script_json
from temporay.operators.pages.page import bad, escape, why
from temporay.operators.pages.timeline import event_log, timeline
from temporay.operators.pages.words import Mark, marked
from temporay.operators.records import LETTERS, Sample

STATUSES = {"ok": "Single samples", "pair": "Twin pairs", "unreadable": "Unreadable", "dead": "Dead letters"}
ROLES = ("clip", "twin")  # names of the two clips of a pair
SMALL_PX = 128  # a smaller clip is enlarged without smoothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSample:
    """One sample as the page shows it."""

    sample: Sample
    mp4: bytes | None  # None: the clip cannot be read, for the reason in ``fault``
    fault: str = ""
    overlay: Mapping[str, Any] | None = None  # from ``overlay_of``; None: for the reason in ``overlay_fault``
    overlay_fault: str = ""
    marks: Sequence[Mark] = ()  # claims of the chain of thought, in the order of the text
    claims: Sequence[bool] = ()  # for every claim, whether the log says the same

    @property
    def seconds(self) -> float:
        return self.sample.clip.num_frames / self.sample.clip.fps


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One article of a page and what the filters compare."""

    html: str
    task: str
    level: int
    status: str  # a key of STATUSES


def sample_card(shown: Sequence[ShownSample], *, kicker: str = "", votes: Sequence[int] = (), words: str = "") -> Card:
    """Return the card of one sample, or of a sample and its twin, which share question and options.

    Args:
        kicker: HTML that follows the facts in the card's first line.
        votes: how often each option was chosen; empty when nobody chose.
        words: HTML below, with what others wrote about the sample.
    """
    sample, is_pair = shown[0].sample, len(shown) > 1
    facts = [f"level {sample.address.level}", f"{sample.clip.width} × {sample.clip.height} px"]
    facts.append(f"{sample.clip.num_frames} frames, {shown[0].seconds:.1f} s")
    if is_pair or sample.address.twin:
        facts.append("twin pair" if is_pair else "twin, shown alone")
    names = ROLES if is_pair else ("",)
    clips = "".join(clip(one, name) for one, name in zip(shown, names, strict=True))
    reasons = "".join(reasoning(one, name) for one, name in zip(shown, names, strict=True))
    body = (
        f'<div class="clips n{len(shown)}">{clips}<div class="asked"><p class="ask">{escape(sample.question.text)}</p>'
        f'{options(shown, votes)}<button class="reveal" aria-expanded="false">Show answer and reasoning</button>'
        f'<div class="whys">{reasons}</div></div></div>{words}'
    )
    unreadable = any(one.mp4 is None for one in shown)
    return article(
        sample.address.task,
        sample.address.level,
        "unreadable" if unreadable else "pair" if is_pair else "ok",
        "".join(f"<span>{escape(fact)}</span>" for fact in facts) + kicker,
        sample.address.pair_id if is_pair else sample.key,
        body,
    )


def article(task: str, level: int, status: str, kicker: str, key: str, body: str) -> Card:
    """Return a card; ``kicker`` and ``body`` are HTML."""
    html = (
        f'<article class="item {status}" tabindex="-1" data-task="{escape(task)}" data-status="{status}" '
        f'data-level="{level}"><header><h3>{escape(task)}</h3>{kicker}<code>{escape(key)}</code></header>{body}</article>'
    )
    return Card(html=html, task=task, level=level, status=status)


def clip(shown: ShownSample, role: str) -> str:
    """Return clip, overlay, controls, frames and events of one sample."""
    sample = shown.sample
    if shown.mp4 is None:
        return f'<section class="clip">{_label(role)}{bad(shown.fault)}{event_log(sample.events)}</section>'
    overlay = script_json(shown.overlay)
    fault = why(f"No tracks: {shown.overlay_fault}") if shown.overlay is None else ""
    small = " small" if max(sample.clip.width, sample.clip.height) < SMALL_PX else ""
    return (
        f'<section class="clip" data-fps="{sample.clip.fps:g}" data-frames="{sample.clip.num_frames}">{_label(role)}'
        f'<script type="application/json">{overlay}</script>'
        f'<script type="text/plain">{base64.b64encode(shown.mp4).decode()}</script>'
        f'<div class="screen{small}" style="aspect-ratio:{sample.clip.width}/{sample.clip.height}">'
        f'<video width="{sample.clip.width}" height="{sample.clip.height}" muted loop playsinline '
        f'aria-label="clip of {escape(sample.key)}"></video><canvas aria-hidden="true"></canvas></div>'
        f'<div class="controls"><button class="play" aria-label="play or pause"></button><output></output>'
        f'<input type="range" min="0" max="{sample.clip.num_frames - 1}" value="0" aria-label="frame"></div>'
        f"{timeline(sample.events, 1000 * shown.seconds)}{fault}{event_log(sample.events)}"
        f'<div class="strip{small}"></div></section>'
    )


def options(shown: Sequence[ShownSample], votes: Sequence[int] = ()) -> str:
    """Return the options as buttons to guess by; the page shows the right one when asked for it."""
    items = []
    names = ROLES if len(shown) > 1 else ("right",)
    for n, text in enumerate(shown[0].sample.question.options):
        right = [name for one, name in zip(shown, names, strict=True) if one.sample.question.answer_index == n]
        badges = "".join(f'<b class="badge">{name}</b>' for name in right)
        count = votes[n] if votes else 0
        dots = f'<span class="votes"><b aria-hidden="true">{"●" * count}</b>{count}</span>' if count else ""
        items.append(
            f'<li><button class="option" data-right="{int(bool(right))}"><span class="letter">{LETTERS[n]}</span>'
            f"<span>{escape(text)}</span>{dots}{badges}</button></li>"
        )
    return f'<ol class="options">{"".join(items)}</ol>'


def reasoning(shown: ShownSample, role: str) -> str:
    """Return the chain of thought with its claims marked, the answer, and how many claims hold."""
    wrong = sum(not holds for holds in shown.claims)
    count = f"{len(shown.claims)} claim{'s' * (len(shown.claims) != 1)}"
    verdict = f"{count}, {wrong} not in the log" if wrong else f"{count}, all in the log"
    checked = f'<p class="note {"bad" if wrong else "good"}">{verdict}</p>' if shown.claims else ""
    return (
        f'<section class="why" data-clip="{ROLES.index(role) if role else 0}">{_label(role)}'
        f'<p class="said">{marked(shown.sample.rationale, shown.marks)}</p>'
        f'<p class="answer">Answer: {escape(shown.sample.question.answer)}</p>{checked}</section>'
    )


def _label(role: str) -> str:
    return f'<p class="role">{role}</p>' if role else ""
