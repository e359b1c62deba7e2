"""Difficulty that follows the learner: how much of each primitive's prompts every level gets, from its pass rates.

    groups of a step → by stratum (task, level), how many had rollouts of both kinds → shares of the next step's prompts

A group carries a signal when its pass rate is neither 0 nor 1. That is counted group by group: the pass rate of a
whole level says little, because prompts of a level differ. (Measured with groups of 8: a level with a pass rate of
0.14 had 18 % of groups of both kinds; were all its prompts alike, it would be 1 - 0.86^8 - 0.14^8, that is 70 %.)
Levels share their task's prompts by the square of the share of such groups, so that they go where they teach; counts
fade, so that shares follow a policy that learns. Every level keeps a floor, or what was once too hard would never be
asked again. Shares between tasks stay those of the data: this steers difficulty, not content.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import Field
from temporay.operators.settings import Settings

Stratum = tuple[str, int]  # task, level


class CurriculumSettings(Settings):
    """How fast the levels follow, and how many prompts do not follow at all."""

    enabled: bool = False  # needs data of several levels: `temporay generate … --levels 0 1 2`
    decay: float = Field(default=0.9, gt=0, lt=1)  # of what is known of a stratum, with every step that asks it
    floor: float = Field(default=0.1, ge=0, le=1)  # of a task's prompts, spread evenly over its levels
    static_share: float = Field(default=0.125, ge=0, le=1)  # of a step's prompts drawn from the data as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Faded numbers of groups: with right and wrong rollouts, and with rollouts of one kind."""

    mixed: float = 0.0
    flat: float = 0.0

    @property
    def signal(self) -> float:
        """Expected share of mixed groups, a priori Beta(1, 1)."""
        return (1.0 + self.mixed) / (2.0 + self.mixed + self.flat)


UNKNOWN = Counts()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRates:
    """What is known of every stratum: a value, which resumes as it was written."""

    counts: Mapping[Stratum, Counts] = field(default_factory=dict)

    def updated(self, strata: Sequence[Stratum], pass_rates: Sequence[float], decay: float) -> Self:
        """With one step more; a stratum that was not asked keeps what is known of it.

        Args:
            strata, pass_rates: one entry per group: where it is from, and the share of its rollouts that were right.
        """
        counts = dict(self.counts)
        for stratum in dict.fromkeys(strata):
            old = counts.get(stratum, UNKNOWN)
            mixed = [0.0 < rate < 1.0 for other, rate in zip(strata, pass_rates, strict=True) if other == stratum]
            counts[stratum] = Counts(
                mixed=decay * old.mixed + sum(mixed),
                flat=decay * old.flat + len(mixed) - sum(mixed),
            )
        return type(self)(counts=counts)

    def signal(self, stratum: Stratum) -> float:
        """Of a stratum that may not have been asked yet."""
        return self.counts.get(stratum, UNKNOWN).signal

    def to_json(self) -> list[list[Any]]:
        """JSON values, from which ``from_json`` gives the very same rates."""
        return [[task, level, c.mixed, c.flat] for (task, level), c in sorted(self.counts.items())]

    @classmethod
    def from_json(cls, rows: Sequence[Sequence[Any]]) -> Self:
        """What ``to_json`` gave."""
        return cls(counts={(task, level): Counts(mixed=mixed, flat=flat) for task, level, mixed, flat in rows})


def level_shares(task_sizes: Mapping[Stratum, int], rates: PassRates, floor: float) -> dict[Stratum, float]:
    """What part of all prompts each stratum gets; the parts come to 1, and each task keeps its part of the data.

    Args:
        task_sizes: how many prompts of every stratum the data has.
    """
    total = sum(task_sizes.values())
    shares: dict[Stratum, float] = {}
    for task in dict.fromkeys(task for task, _ in task_sizes):
        strata = [stratum for stratum in task_sizes if stratum[0] == task]
        of_task = sum(task_sizes[stratum] for stratum in strata) / total
        worth = [rates.signal(stratum) ** 2 for stratum in strata]
        whole = math.fsum(worth)
        for stratum, value in zip(strata, worth, strict=True):
            shares[stratum] = of_task * (floor / len(strata) + (1.0 - floor) * value / whole)
    return shares
