"""Difficulty that follows the learner: how much of each primitive's prompts every level gets, from its pass rate.

    groups of a step → pass rates by stratum (task, level) → shares of the next step's prompts

A group of G rollouts of which each is right with probability p carries a signal unless all are right or all wrong:
u(p) = 1 - p^G - (1 - p)^G. Levels share their task's prompts by u, averaged over what is known of p (a Beta posterior
whose counts fade, so that it follows a policy that learns). Every level keeps a floor, or what was once too hard would
never be asked again. Shares between tasks stay those of the data: this steers difficulty, not content.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

Stratum = tuple[str, int]  # task, level


class CurriculumSettings(BaseModel):
    """How fast the levels follow, and how many prompts do not follow at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False  # needs data of several levels: `temporay generate … --levels 0 1 2`
    decay: float = Field(default=0.9, gt=0, lt=1)  # of what is known of a stratum, with every step that asks it
    floor: float = Field(default=0.1, ge=0, le=1)  # of a task's prompts, spread evenly over its levels
    static_share: float = Field(default=0.125, ge=0, le=1)  # of a step's prompts drawn from the data as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Faded numbers of right and wrong rollouts."""

    right: float = 0.0
    wrong: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRates:
    """What is known of every stratum: a value, which resumes as it was written."""

    counts: Mapping[Stratum, Counts] = field(default_factory=dict)

    def updated(self, strata: Sequence[Stratum], right: Sequence[int], wrong: Sequence[int], decay: float) -> Self:
        """With one step more; a stratum that was not asked keeps what is known of it.

        Args:
            strata, right, wrong: one entry per group: where it is from, and how many of its rollouts were what.
        """
        counts = dict(self.counts)
        for stratum in dict.fromkeys(strata):
            old = counts.get(stratum, Counts())
            mine = [i for i, other in enumerate(strata) if other == stratum]
            counts[stratum] = Counts(
                right=decay * old.right + sum(right[i] for i in mine),
                wrong=decay * old.wrong + sum(wrong[i] for i in mine),
            )
        return type(self)(counts=counts)

    def pass_rate(self, stratum: Stratum) -> float | None:
        """Share of right rollouts, faded; None before the first."""
        counts = self.counts.get(stratum, Counts())
        total = counts.right + counts.wrong
        return counts.right / total if total else None

    def to_json(self) -> list[list[Any]]:
        """JSON values, from which ``from_json`` gives the very same rates."""
        return [[task, level, c.right, c.wrong] for (task, level), c in sorted(self.counts.items())]

    @classmethod
    def from_json(cls, rows: Sequence[Sequence[Any]]) -> Self:
        """What ``to_json`` gave."""
        return cls(counts={(task, level): Counts(right=right, wrong=wrong) for task, level, right, wrong in rows})


def signal(counts: Counts, group_size: int) -> float:
    """Expected probability that a group has rollouts of both kinds, with p ~ Beta(1 + right, 1 + wrong).

    E[p^G] = B(a + G, b) / B(a, b), in closed form.
    """
    a, b = 1.0 + counts.right, 1.0 + counts.wrong
    all_right = math.exp(_log_beta(a + group_size, b) - _log_beta(a, b))
    all_wrong = math.exp(_log_beta(a, b + group_size) - _log_beta(a, b))
    return 1.0 - all_right - all_wrong


def level_shares(
    task_sizes: Mapping[Stratum, int], rates: PassRates, group_size: int, floor: float
) -> dict[Stratum, float]:
    """What part of all prompts each stratum gets; the parts come to 1, and each task keeps its part of the data.

    Args:
        task_sizes: how many prompts of every stratum the data has.
    """
    total = sum(task_sizes.values())
    shares: dict[Stratum, float] = {}
    for task in dict.fromkeys(task for task, _ in task_sizes):
        strata = [stratum for stratum in task_sizes if stratum[0] == task]
        of_task = sum(task_sizes[stratum] for stratum in strata) / total
        signals = [signal(rates.counts.get(stratum, Counts()), group_size) for stratum in strata]
        whole = math.fsum(signals)
        for stratum, value in zip(strata, signals, strict=True):
            shares[stratum] = of_task * (floor / len(strata) + (1.0 - floor) * value / whole)
    return shares


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
