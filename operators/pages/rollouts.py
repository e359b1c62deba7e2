"""The rollouts of a prompt as the card of its sample: votes on the options, and below every completion with its marks.

ScoredGroup, ShownSample, marks, tokens -> ShownGroup -> card
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from temporay.operators.pages.page import escape, why
from temporay.operators.pages.sample_card import Card, ShownSample, sample_card
from temporay.operators.pages.token_strip import Tokens, strip
from temporay.operators.pages.words import Mark, panel
from temporay.operators.records import Rollout, Score, ScoredGroup

BAR_WIDTH, BAR_HEIGHT = 13, 34  # size of an advantage's bar, px


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRollout:
    """One completion as the page shows it."""

    number: int  # in its group, from 1
    rollout: Rollout
    score: Score
    advantage: float | None
    marks: Sequence[Mark]  # in the order of the text, without overlaps
    told: str  # summary of the claims; "" where there is none
    tokens: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGroup:
    """A prompt with the rollouts that the page has room for."""

    scored: ScoredGroup
    sample: ShownSample
    rollouts: Sequence[ShownRollout]
    weights: Mapping[str, float]  # by name of the reward
    votes: Sequence[int]  # for each option, how many of all rollouts chose it


def group_card(shown: ShownGroup) -> Card:
    """Return the whole card."""
    scored = shown.scored
    outcome = escape(scored.outcome.value)
    kicker = (
        f'<span class="outcome {outcome}">{outcome}</span><span>prompt {scored.position}'
        f"{', of the static mixture' if scored.static else ''}</span>"
        f'<span class="spread" title="advantages of the {len(scored.advantages)} rollouts">'
        f"{spread(scored.advantages)}</span>"
    )
    left_out = len(scored.scores) - len(shown.rollouts)
    panels = "".join(rollout_panel(one, shown.weights, n == 0) for n, one in enumerate(shown.rollouts))
    fewer = why(f"{left_out} more rollouts are in the run's files.") if left_out else ""
    return sample_card(
        [shown.sample], kicker=kicker, votes=shown.votes, words=f'<div class="panels">{panels}</div>{fewer}'
    )


def spread(advantages: Sequence[float | None]) -> str:
    """Return a bar per rollout, up or down from zero; a dot where there is no advantage."""
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


def rollout_panel(shown: ShownRollout, weights: Mapping[str, float], is_open: bool) -> str:
    """Return one completion: reward and advantage, marked text, parts of the reward, tokens."""
    score, rollout = shown.score, shown.rollout
    tone = "soft" if score.reward is None or not shown.advantage else "right" if shown.advantage > 0 else "wrong"
    reward = "no reward" if score.reward is None else f"{score.reward:.2f}"
    versions = sorted(set(rollout.weight_versions))
    weights_used = " to ".join(f"v{version}" for version in dict.fromkeys([*versions[:1], *versions[-1:]]))
    ended = f"{len(rollout.completion_ids)} tokens, {rollout.finish_reason.value}, weights {weights_used}"
    header = f"<b>{reward}</b>{signed(shown.advantage)}<span>#{shown.number}</span><span>{escape(ended)}</span>"
    below = breakdown(shown, weights) + token_details(shown.tokens, is_open)
    return panel(header, tone, rollout.text, shown.marks, below)


def signed(advantage: float | None) -> str:
    """Return the advantage with its sign and an arrow."""
    if advantage is None:
        return "<span>no advantage</span>"
    kind, arrow = ("up", "▲ ") if advantage > 0 else ("down", "▼ ") if advantage < 0 else ("", "")
    return f'<span class="{kind}" title="advantage">{arrow}{advantage:+.2f}</span>'


def breakdown(shown: ShownRollout, weights: Mapping[str, float]) -> str:
    """Return every reward before its weight, the status when it is not ok, and the summary of the claims."""
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


def token_details(tokens: Tokens, is_open: bool) -> str:
    """Return the strip of tokens, folded unless ``is_open``."""
    differences = tokens.differences
    if tokens.trainer is None:
        words = f"Tokens ({tokens.fault})"
    elif not differences:
        words = "No tokens"
    else:
        mean = sum(differences) / len(differences)
        words = f"Tokens, engine against trainer: differ by {max(differences):.2g} at most, {mean:.2g} on average"
    return f"<details{' open' if is_open else ''}><summary>{words}</summary>{strip(tokens)}</details>"
