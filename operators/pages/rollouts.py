"""The rollouts of a prompt as one card: what was shown and asked, and beneath it every completion with its marks.

ScoredGroup, Sample, marks, tokens -> ShownGroup -> card
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from temporay.operators.pages.page import card, escape, table
from temporay.operators.pages.token_strip import Tokens, strip
from temporay.operators.records import LETTERS, TAGS, Event, Rollout, Sample, Score, ScoredGroup

MAX_TEXT_CHARS = 6_000  # of a completion
TAG = re.compile("|".join(re.escape(tag) for tag in TAGS))
BAR_WIDTH, BAR_HEIGHT = 13, 34  # of an advantage, px


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A part of a completion, by characters: a claim that is right or wrong, or an answer that hits or misses."""

    start: int
    end: int
    kind: Literal["right", "wrong", "hit", "miss"]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRollout:
    """One completion as the page shows it."""

    number: int  # in its group, from 1
    rollout: Rollout
    score: Score
    advantage: float | None
    marks: Sequence[Mark]  # in order, none over another
    told: str  # what the claims come to; "" where that cannot be said
    tokens: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGroup:
    """A prompt with those of its rollouts that the page has room for."""

    scored: ScoredGroup
    sample: Sample
    film: str  # HTML
    rollouts: Sequence[ShownRollout]
    weights: Mapping[str, float]  # of the rewards, by name
    votes: Sequence[int]  # how many of all rollouts chose each option


def group_card(shown: ShownGroup) -> str:
    """The whole card."""
    scored, sample = shown.scored, shown.sample
    reason = f'<span class="outcome {scored.outcome.value}">{escape(scored.outcome.value)}</span>'
    kicker = (
        f"<b>{escape(sample.address.task)}</b>{reason}<span>prompt {scored.position}, level {sample.address.level}"
        f"{', of the static mixture' if scored.static else ''}</span><code>{escape(sample.key)}</code>"
        f'<span class="spread" title="advantages of the {len(scored.advantages)} rollouts">'
        f"{spread(scored.advantages)}</span>"
    )
    left_out = len(scored.scores) - len(shown.rollouts)
    fewer = f'<p class="why">{left_out} more rollouts are in the run\'s files.</p>' if left_out else ""
    body = (
        f'{shown.film}<p class="ask">{escape(sample.question.text)}</p>{voted_options(sample, shown.votes)}'
        f"{event_log(sample.events)}"
        f'<div class="rolls">{"".join(panel(one, shown.weights, n == 0) for n, one in enumerate(shown.rollouts))}</div>'
        f"{fewer}"
    )
    return card(kicker, body, task=sample.address.task)


def spread(advantages: Sequence[float | None]) -> str:
    """A bar per rollout, up or down from zero; a dot where there is no advantage."""
    largest = max((abs(a) for a in advantages if a is not None), default=0.0) or 1.0
    middle = BAR_HEIGHT / 2
    parts = [f'<line class="grid" x1="0" x2="{len(advantages) * BAR_WIDTH}" y1="{middle}" y2="{middle}"/>']
    for n, advantage in enumerate(advantages):
        height = max(1.0, abs(advantage or 0.0) / largest * (middle - 1))
        top = middle - height if (advantage or 0.0) > 0 else middle
        color = "soft" if not advantage else "right" if advantage > 0 else "wrong"
        opacity = 0.35 if advantage is None else 1
        parts.append(
            f'<rect x="{n * BAR_WIDTH + 2}" y="{top:.1f}" width="{BAR_WIDTH - 4}" height="{height:.1f}" rx="1.5" '
            f'style="fill:var(--{color});opacity:{opacity}"/>'
        )
    return (
        f'<svg viewBox="0 0 {len(advantages) * BAR_WIDTH} {BAR_HEIGHT}" role="img" aria-label="advantages">'
        f"{''.join(parts)}</svg>"
    )


def voted_options(sample: Sample, votes: Sequence[int]) -> str:
    """The options, the right one marked, each with how many rollouts chose it."""
    items = []
    for n, (text, count) in enumerate(zip(sample.question.options, votes, strict=True)):
        kind = "right" if n == sample.question.answer_index else ""
        dots = f'<b aria-hidden="true">{"●" * count}</b>{count}' if count else ""
        items.append(
            f'<li class="{kind}"><span class="letter">{LETTERS[n]}</span>{escape(text)}'
            f'<span class="votes">{dots}</span></li>'
        )
    return f'<ul class="options">{"".join(items)}</ul>'


def event_log(events: Sequence[Event]) -> str:
    """What happened, for those who want to look a claim up."""
    if not events:
        return '<p class="why">This video has no event log, so no claim can be checked.</p>'
    rows = [
        (e.kind, e.subject, e.detail, f"{e.start_ms / 1000:.2f} - {e.end_ms / 1000:.2f} s")
        for e in sorted(events, key=lambda event: event.start_ms)
    ]
    inner = table(("event", "subject", "detail", "time"), rows, first_number=3)
    return f'<details class="log"><summary>Event log: {len(events)}</summary>{inner}</details>'


def panel(shown: ShownRollout, weights: Mapping[str, float], is_open: bool) -> str:
    """One completion: reward and advantage, its words with marks, what the reward is made of, its tokens."""
    score, rollout = shown.score, shown.rollout
    tone = "soft" if score.reward is None or not shown.advantage else "right" if shown.advantage > 0 else "wrong"
    reward = "no reward" if score.reward is None else f"{score.reward:.2f}"
    versions = sorted(set(rollout.weight_versions))
    of_weights = f"v{versions[0]}" if len(versions) == 1 else f"v{versions[0]} to v{versions[-1]}" if versions else ""
    ended = f"{len(rollout.completion_ids)} tokens, {rollout.finish_reason.value}, weights {of_weights}"
    return (
        f'<section class="roll" style="--tone:var(--{tone})"><header><b>{reward}</b>{signed(shown.advantage)}'
        f"<span>#{shown.number}</span><span>{escape(ended)}</span></header>"
        f'<p class="said">{marked(rollout.text, shown.marks)}</p>{breakdown(shown, weights)}'
        f"{token_details(shown.tokens, is_open)}</section>"
    )


def signed(advantage: float | None) -> str:
    if advantage is None:
        return "<span>no advantage</span>"
    kind, arrow = ("up", "▲ ") if advantage > 0 else ("down", "▼ ") if advantage < 0 else ("", "")
    return f'<span class="{kind}" title="advantage">{arrow}{advantage:+.2f}</span>'


def breakdown(shown: ShownRollout, weights: Mapping[str, float]) -> str:
    """Every reward before its weight, the status when it is not ok, and what the claims come to."""
    score = shown.score
    parts = [
        f"<span>{escape(name)} <b>{value:.3g}</b>{f' × {weights[name]:g}' if name in weights else ''}</span>"
        for name, value in score.breakdown.items()
    ]
    if score.status != "ok":
        detail = f": {score.detail}" if score.detail else ""
        parts.append(f'<span class="bad">{escape(score.status.value.replace("_", " ") + detail)}</span>')
    if shown.told:
        parts.append(f"<span>{escape(shown.told)}</span>")
    return f'<p class="parts">{"".join(parts)}</p>'


def marked(text: str, marks: Sequence[Mark]) -> str:
    """The text with its marks, the tags faint; of a very long one the beginning."""
    parts, reached = [], 0
    shown = text[:MAX_TEXT_CHARS]
    for mark in marks:
        if mark.end > len(shown):
            break
        parts.append(faint_tags(shown[reached : mark.start]))
        inner = escape(shown[mark.start : mark.end])
        parts.append(f'<mark class="{mark.kind}" title="{escape(mark.title)}">{inner}</mark>')
        reached = mark.end
    parts.append(faint_tags(shown[reached:]))
    if len(text) > len(shown):
        parts.append(f"<i> … {len(text) - len(shown):,} more characters</i>")
    return "".join(parts)


def faint_tags(text: str) -> str:
    parts, reached = [], 0
    for tag in TAG.finditer(text):
        parts.append(f"{escape(text[reached : tag.start()])}<i>{escape(tag[0])}</i>")
        reached = tag.end()
    return "".join([*parts, escape(text[reached:])])


def token_details(tokens: Tokens, is_open: bool) -> str:
    """The strip, folded but for one rollout of a card."""
    differences = tokens.differences
    if tokens.trainer is None:
        words = "Tokens (the trainer's log-probabilities of this group were not kept)"
    elif not differences:
        words = "No tokens"
    else:
        mean = sum(differences) / len(differences)
        words = f"Tokens, engine against trainer: largest {max(differences):.1e}, mean {mean:.1e} nats"
    return f"<details{' open' if is_open else ''}><summary>{words}</summary>{strip(tokens)}</details>"
