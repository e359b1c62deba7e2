"""Tokens in a row, colored by the difference of engine and trainer; the values appear under the pointer.

pieces, logprobs_engine, logprobs_trainer, weight versions -> spans
"""

from collections.abc import Sequence
from dataclasses import dataclass

from temporay.operators.pages.page import escape

STEPS_NATS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)  # lower bounds of the colors
MAX_TOKENS = 800  # a strip shows no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A completion token by token; sequences have one entry per token. Log-probabilities in nats."""

    pieces: Sequence[str]
    engine: Sequence[float]
    trainer: Sequence[float] | None  # None: not kept, for the reason in ``fault``
    versions: Sequence[int]
    fault: str = ""

    @property
    def differences(self) -> list[float]:
        """Return |engine - trainer| for every token; nothing if the trainer's values were not kept."""
        if self.trainer is None:
            return []
        return [abs(ours - theirs) for ours, theirs in zip(self.engine, self.trainer, strict=True)]


def strip(tokens: Tokens) -> str:
    """Return the first ``MAX_TOKENS`` tokens, with a bar wherever the version of the weights changes."""
    trainer = tokens.trainer if tokens.trainer is not None else [None] * len(tokens.pieces)
    parts: list[str] = []
    before = tokens.versions[0] if tokens.versions else 0
    for piece, ours, theirs, version in zip(tokens.pieces, tokens.engine, trainer, tokens.versions, strict=True):
        if len(parts) == MAX_TOKENS:
            parts.append(f'<span class="less"> … {len(tokens.pieces) - MAX_TOKENS} more</span>')
            break
        kinds = [*([] if theirs is None else [f"q{step_of(abs(ours - theirs))}"]), *(["new"] * (version != before))]
        value = f"{ours:.7g} {'-' if theirs is None else format(theirs, '.7g')} {version}"
        parts.append(f'<s class="{" ".join(kinds)}" data-v="{value}">{escape(piece)}</s>')
        before = version
    return f'<p class="tokens mono">{"".join(parts)}</p>'


def step_of(difference: float) -> int:
    """Return the number of the color of a difference in nats."""
    return sum(difference >= bound for bound in STEPS_NATS)


def scale() -> str:
    """Return the legend of the colors."""
    names = [f"< {STEPS_NATS[0]:.0e}", *(f"≥ {bound:g}" for bound in STEPS_NATS)]
    return (
        f'<span class="scale mono">{"".join(f"<span class=q{n}>{name}</span>" for n, name in enumerate(names))}</span>'
    )
