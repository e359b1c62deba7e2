"""Tokens in a row, coloured by how far engine and trainer are apart on each; the values appear under the pointer.

pieces, logprobs_engine, logprobs_trainer, weight versions -> spans
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from temporay.operators.pages.page import escape

STEPS_NATS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)  # a difference of at least the n-th has the n-th colour
MAX_TOKENS = 800  # of one strip

CSS = """
.tokens { margin: 8px 0 0; color: var(--ink); line-height: 1.9; white-space: pre-wrap; overflow-wrap: anywhere; }
.tokens s { text-decoration: none; border-radius: 3px; padding: 1px 0; box-shadow: inset -1px 0 var(--line); }
.tokens s:hover { outline: 1.5px solid var(--ink); }
.tokens s.new { border-left: 2.5px solid var(--ink); padding-left: 2px; margin-left: 1px; }
.tokens .less { color: var(--soft); }
.q0 { background: color-mix(in srgb, var(--right) 12%, transparent); }
.q1 { background: color-mix(in srgb, var(--right) 26%, transparent); }
.q2 { background: color-mix(in srgb, gold 26%, transparent); }
.q3 { background: color-mix(in srgb, gold 52%, transparent); }
.q4 { background: color-mix(in srgb, var(--mark) 52%, transparent); }
.q5 { background: color-mix(in srgb, var(--wrong) 52%, transparent); }
.q6 { background: color-mix(in srgb, var(--wrong) 82%, transparent); }
.scale { display: inline-flex; gap: 2px; align-items: center; font-size: 12px; font-variant-numeric: tabular-nums; }
.scale span { padding: 1px 7px; border-radius: 3px; color: var(--ink); }
.values { position: fixed; z-index: 9; pointer-events: none; background: var(--ink); color: var(--sheet);
  border-radius: 8px; padding: 7px 11px; font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre; }
"""

SCRIPT = """
{
  const box = document.createElement("div"); box.className = "values"; box.hidden = true; document.body.append(box);
  const nats = text => Number(text).toPrecision(6);
  document.addEventListener("pointerover", event => {
    const token = event.target.closest(".tokens s[data-v]"); box.hidden = !token;
    if (!token) return;
    const [engine, trainer, version] = token.dataset.v.split(" ");
    box.textContent = `engine   ${nats(engine)}`
      + (trainer === "-" ? "" : `\\ntrainer  ${nats(trainer)}`
        + `\\n|diff|   ${Math.abs(engine - trainer).toExponential(2)}`)
      + `\\np        ${Math.exp(engine).toFixed(4)}\\nweights  v${version}`;
    const at = token.getBoundingClientRect(); box.style.left = `${Math.min(at.left, innerWidth - 190)}px`;
    const above = at.top - box.offsetHeight - 6; box.style.top = `${above > 4 ? above : at.bottom + 6}px`;
  });
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A completion token by token; sequences have one entry per token. Log-probabilities in nats."""

    pieces: Sequence[str]
    engine: Sequence[float]
    trainer: Sequence[float] | None  # None: not kept
    versions: Sequence[int]

    @property
    def differences(self) -> list[float]:
        """|engine - trainer| by token; none where the trainer's were not kept."""
        if self.trainer is None:
            return []
        return [abs(ours - theirs) for ours, theirs in zip(self.engine, self.trainer, strict=True)]


def strip(tokens: Tokens) -> str:
    """The first ``MAX_TOKENS`` tokens; a bar stands before one that came from other weights than the one before."""
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
    """The colour of a difference in nats."""
    return sum(difference >= bound for bound in STEPS_NATS)


def scale() -> str:
    """What the colours mean."""
    names = [f"< {STEPS_NATS[0]:.0e}", *(f"≥ {bound:g}" for bound in STEPS_NATS)]
    return (
        f'<span class="scale mono">{"".join(f"<span class=q{n}>{name}</span>" for n, name in enumerate(names))}</span>'
    )
