"""Texts that ask for a state at a time, and phrases that tell one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from temporay.operators.primitives._base import Phrases

WHEN = {"forward": "at the end", "retrodictive": "at the start", "historical": "right after step {number}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedWordings:
    """Texts that ask for the state at a time: those of the paper for each mode, and templates with ``{when}``."""

    templates: Sequence[str]
    forward: Sequence[str] = ()
    retrodictive: Sequence[str] = ()
    historical: Sequence[str] = ()
    when: Mapping[str, str] = field(default_factory=lambda: WHEN)

    def of(self, mode: str) -> list[str]:
        paper: Sequence[str] = getattr(self, mode)
        asked = [template.replace("{when}", self.when[mode]) for template in self.templates]
        return [*paper, *(text[0].upper() + text[1:] for text in asked)]


def told_states(clause: str, kind: str = "") -> Phrases:
    """Return phrases that tell the state after an operation and before it. ``clause`` has the field ``{detail}``."""
    return {
        f"{kind}after": (f"Now {clause}.", f"After that, {clause}.", f"From then on, {clause}."),
        f"{kind}before": (f"Before that, {clause}.", f"Just before, {clause}.", f"Until then, {clause}."),
    }
