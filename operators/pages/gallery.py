"""Samples as cards of an offline page: the clip with its tracks drawn over it, what is asked, and why it is so.

Sample, mp4, ScenePlan -> Take -> card of one sample or of a twin pair; dead letter row -> card -> gallery
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from temporay.operators.pages.page import escape
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._claims import Claim
from temporay.operators.records import LETTERS, Event, Sample, ScenePlan, Shot, Track

STATUSES = {"ok": "Single samples", "pair": "Twin pairs", "unreadable": "Unreadable", "dead": "Dead letters"}
ROLES = ("clip", "twin")  # of the two takes of a pair
MIN_WORDS_PERCENT = 9.0  # of the timeline; words in a narrower bar would be cut after a letter or two
KEYS = (
    ("J K", "next, previous"),
    ("Space", "play or pause"),
    ("← →", "one frame"),
    ("A", "answers"),
    ("T", "tracks"),
    ("E", "events"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One sample as the page shows it."""

    sample: Sample
    mp4: bytes | None  # None: it cannot be read, for the reason in ``fault``
    fault: str = ""
    overlay: Mapping[str, Any] | None = None  # what ``overlay_of`` gives; None: for the reason in ``overlay_fault``
    overlay_fault: str = ""
    claims: Sequence[tuple[Claim, bool]] = ()  # in the order of the text, with whether the log says the same

    @property
    def duration_ms(self) -> float:
        return 1000.0 * self.sample.num_frames / self.sample.fps


def overlay_of(plan: ScenePlan) -> dict[str, Any]:
    """Tracks and shots of a plan as JSON values, positions in pixels of the frame."""
    return {
        "tracks": [_track_json(track) for track in plan.tracks],
        "shots": [_shot_json(shot, plan.width, plan.height) for shot in plan.shots],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One article of the gallery and what the filters match."""

    html: str
    task: str
    level: int
    status: str  # a key of STATUSES


def item(takes: Sequence[Take]) -> Card:
    """The card of one sample or of a sample and its twin, whose question and options are the same."""
    sample = takes[0].sample
    status = "unreadable" if any(take.mp4 is None for take in takes) else "pair" if len(takes) > 1 else "ok"
    role_words = "twin pair" if len(takes) > 1 else "twin, shown alone" if sample.address.twin else ""
    facts = [
        f"level {sample.address.level}",
        f"{sample.width} × {sample.height} px",
        f"{sample.num_frames} frames, {takes[0].duration_ms / 1000:.1f} s",
        *([role_words] if role_words else []),
    ]
    kicker = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    names = ROLES if len(takes) > 1 else ("",)
    stages = "".join(stage(take, name) for take, name in zip(takes, names, strict=True))
    why = "".join(reasoning(take, name) for take, name in zip(takes, names, strict=True))
    body = (
        f'<div class="takes n{len(takes)}">{stages}<div class="asked"><p class="ask">{escape(sample.question.text)}</p>'
        f'{answers(takes)}<button class="reveal" aria-expanded="false">Show answer and reasoning</button>'
        f'<div class="whys">{why}</div></div></div>'
    )
    key = sample.address.pair_id if len(takes) > 1 else sample.key
    return _card(sample.address.task, sample.address.level, status, kicker, key, body)


def stage(take: Take, role: str) -> str:
    """Clip, overlay, controls and timeline of one take."""
    label = f'<p class="role">{role}</p>' if role else ""
    sample = take.sample
    if take.mp4 is None:
        return f'<section class="take">{label}<p class="bad">{escape(take.fault)}</p></section>'
    overlay = _script_json(take.overlay) if take.overlay is not None else "null"
    fault = f'<p class="note">No tracks: {escape(take.overlay_fault)}</p>' if take.overlay is None else ""
    last = sample.num_frames - 1
    small = " small" if max(sample.width, sample.height) < 128 else ""
    return (
        f'<section class="take" data-fps="{sample.fps:g}" data-frames="{sample.num_frames}">{label}'
        f'<script type="application/json">{overlay}</script>'
        f'<script type="text/plain">{base64.b64encode(take.mp4).decode()}</script>'
        f'<div class="stage{small}" style="aspect-ratio:{sample.width}/{sample.height}">'
        f'<video width="{sample.width}" height="{sample.height}" muted loop playsinline '
        f'aria-label="clip of {escape(sample.key)}"></video><canvas aria-hidden="true"></canvas></div>'
        f'<div class="controls"><button class="play" aria-label="play or pause"></button><output></output>'
        f'<input type="range" min="0" max="{last}" value="0" aria-label="frame"></div>'
        f"{timeline(take)}{fault}</section>"
    )


def timeline(take: Take) -> str:
    """A lane for every kind of event of every subject, bars from start to end in the subject's colour."""
    lanes = "".join(
        f'<div class="lane"><span class="who" title="{escape(_words(events[0]))}">{escape(_words(events[0]))}</span>'
        f'<span class="bars">{"".join(_bar(event, take) for event in events)}</span></div>'
        for events in lanes_of(take.sample.events)
    )
    return f'<div class="timeline" role="group" aria-label="events">{lanes}<i class="cursor"></i></div>'


def lanes_of(events: Iterable[Event]) -> list[list[Event]]:
    """Events that do not overlap share a lane when kind and subject are the same."""
    lanes: dict[tuple[str, str], list[list[Event]]] = {}
    for event in sorted(events, key=lambda event: event.start_ms):
        rows = lanes.setdefault((event.subject, event.kind), [])
        free = next((row for row in rows if row[-1].end_ms <= event.start_ms), None)
        if free is None:
            rows.append([event])
        else:
            free.append(event)
    return [row for rows in lanes.values() for row in rows]


def answers(takes: Sequence[Take]) -> str:
    """The options as buttons to guess by; which is right is in the page but not shown before it is asked for."""
    question = takes[0].sample.question
    items = []
    for n, text in enumerate(question.options):
        right = [take.sample.question.answer_index == n for take in takes]
        names = ROLES if len(takes) > 1 else ("right",)
        badges = "".join(
            f'<b class="badge">{name}</b>' for name, is_right in zip(names, right, strict=True) if is_right
        )
        items.append(
            f'<li><button class="option" data-right="{int(any(right))}"><span class="letter">{LETTERS[n]}</span>'
            f"<span>{escape(text)}</span>{badges}</button></li>"
        )
    return f'<ol class="guesses">{"".join(items)}</ol>'


def reasoning(take: Take, role: str) -> str:
    """The chain of thought, its claims marked with whether they hold, and the answer."""
    sample = take.sample
    wrong = sum(not holds for _, holds in take.claims)
    count = f"{len(take.claims)} claim{'s' * (len(take.claims) != 1)}"
    verdict = f"{count}, {wrong} not in the log" if wrong else f"{count}, all in the log"
    checked = f'<p class="note {"bad" if wrong else "good"}">{verdict}</p>' if take.claims else ""
    label = f'<p class="role">{role}</p>' if role else ""
    return (
        f'<section class="why" data-take="{ROLES.index(role) if role else 0}">{label}'
        f"<p>{marked_claims(sample.rationale, take.claims)}</p>"
        f'<p class="answer">Answer: {escape(sample.question.answer)}</p>{checked}</section>'
    )


def marked_claims(text: str, claims: Iterable[tuple[Claim, bool]]) -> str:
    """The text with every claim in a span that knows its time and whether it holds."""
    parts: list[str] = []
    done = 0
    for claim, holds in claims:
        start = text.find(claim.text, done)
        if start < 0:
            continue  # part of a longer reading already marked
        kind = "holds" if holds else "fails"
        seek = "" if claim.start_ms is None else f' role="button" tabindex="0" data-ms="{claim.start_ms:g}"'
        parts.append(escape(text[done:start]))
        parts.append(f'<span class="claim {kind}"{seek}>{escape(claim.text)}</span>')
        done = start + len(claim.text)
    return "".join([*parts, escape(text[done:])])


def dead_letter(row: Mapping[str, str]) -> Card:
    """The card of a sample that could not be made."""
    address = json.loads(row["address_json"])
    kicker = f"<span>level {escape(address['level'])}</span>"
    body = f'<p><b class="bad">{escape(row["reason"])}</b> {escape(row["detail"])}</p>'
    return _card(address["task"], address["level"], "dead", kicker, row["id"], body)


def gallery(cards: Sequence[Card]) -> str:
    """Filters, with how many cards each leaves, beside the cards."""
    tasks = sorted(Counter(card.task for card in cards).items())
    levels = sorted(Counter(card.level for card in cards).items())
    statuses = Counter(card.status for card in cards)
    keys = "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(phrase)}</dd>" for key, phrase in KEYS)
    panel = (
        '<aside class="panel" aria-label="what is shown"><div class="switches">'
        '<button data-switch="tracks">Tracks</button><button data-switch="events">Events</button>'
        '<button data-switch="answers">Answers</button></div>'
        + _filter("status", "Status", [(key, name, statuses[key]) for key, name in STATUSES.items() if statuses[key]])
        + _filter("level", "Level", [(str(level), str(level), n) for level, n in levels])
        + _filter("task", "Primitive", [(task, task, n) for task, n in tasks])
        + f'<dl class="keys">{keys}</dl></aside>'
    )
    articles = "".join(card.html for card in cards)
    return (
        f'<div class="gallery">{panel}<div class="items"><p class="count" aria-live="polite"></p>{articles}</div></div>'
    )


def _card(task: str, level: int, status: str, kicker: str, key: str, body: str) -> Card:
    html = (
        f'<article class="item {status}" tabindex="-1" data-task="{escape(task)}" data-status="{status}" '
        f'data-level="{level}"><header><h3>{escape(task)}</h3>{kicker}<code>{escape(key)}</code></header>{body}</article>'
    )
    return Card(html=html, task=task, level=level, status=status)


def _filter(field: str, title: str, entries: Sequence[tuple[str, str, int]]) -> str:
    total = sum(n for _, _, n in entries)
    buttons = "".join(
        f'<button data-filter="{field}" data-only="{escape(only)}" aria-pressed="{str(only == "").lower()}">'
        f"{escape(name)}<small>{n}</small></button>"
        for only, name, n in [("", "all", total), *entries]
    )
    return f'<div class="filter-{field}" role="group" aria-label="{title}"><h2>{title}</h2>{buttons}</div>'


def _words(event: Event) -> str:
    return " ".join(word for word in (event.subject, event.kind.replace("_", " ")) if word)


def _bar(event: Event, take: Take) -> str:
    left = 100 * event.start_ms / take.duration_ms
    width = 100 * (event.end_ms - event.start_ms) / take.duration_ms
    words = f"{_words(event)} {event.detail}".strip()
    title = f"{words}: {event.start_ms / 1000:.2f} to {event.end_ms / 1000:.2f} s"
    red, green, blue = next((COLORS[word] for word in event.subject.split() if word in COLORS), (180, 83, 42))
    return (
        f'<b style="left:{left:.2f}%;width:{width:.2f}%;--of:rgb({red} {green} {blue})" title="{escape(title)}" '
        f'data-ms="{event.start_ms:g}">{escape(event.detail) if width >= MIN_WORDS_PERCENT else ""}</b>'
    )


def _track_json(track: Track) -> dict[str, Any]:
    return {
        "name": track.label or track.name,
        "color": list(track.color),
        "radius": round(track.radius_px, 1),
        "xy": np.round(track.xy_T2, 1).tolist(),
        "visible": track.visible_T.astype(int).tolist(),
        "wraps": track.wraps,
        "scale": None if track.scale_T is None else np.round(track.scale_T, 2).tolist(),
    }


def _shot_json(shot: Shot, width: int, height: int) -> dict[str, Any]:
    corners_43 = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    caption = shot.scene.captions[0] if shot.scene.captions else str(shot.scene.image_id)
    corners_T42 = np.einsum("tij,kj->tki", shot.affine_T23, corners_43)
    return {
        "name": caption,
        "start": shot.start_frame,
        "end": shot.end_frame,
        "corners": np.round(corners_T42, 1).tolist(),
    }


def _script_json(tree: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
