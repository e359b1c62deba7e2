"""Difficulty that follows the learner: pass rates decide how many of a task's prompts each level gets.

    groups of a step → mixed groups by stratum (task, level) → shares of the next step's prompts

A group is mixed, and gives a signal, when its pass rate is neither 0 nor 1. Groups are counted one by one, because the
prompts of a level differ and the pass rate of a whole level says little. (Measured with groups of 8: at a pass rate of
0.14, 18 % of a level's groups were mixed. With prompts that are all alike it would be 1 - 0.86^8 - 0.14^8 = 70 %.)

Levels share the prompts of their task in proportion to the square of their share of mixed groups. Counts fade, so that
the shares follow a policy that learns. Every level keeps a floor, or a level that was once too hard would never be
asked again. The shares between tasks stay those of the data: only difficulty is steered.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import Field
from temporay.operators.settings import Settings

Stratum = tuple[str, int]  # task, level


class CurriculumSettings(Settings):
    """How fast the shares of levels follow, and how many prompts do not follow at all."""

    enabled: bool = False  # needs data of several levels: `temporay generate … --levels 0 1 2`
    decay: float = Field(default=0.9, gt=0, lt=1)  # factor of a stratum's counts at every step that asks it
    floor: float = Field(default=0.1, ge=0, le=1)  # share of a task's prompts that is spread evenly over its levels
    static_share: float = Field(default=0.125, ge=0, le=1)  # share of a step's prompts that no curriculum steers


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Faded numbers of groups: mixed ones, and those whose rollouts are all right or all wrong."""

    mixed: float = 0.0
    flat: float = 0.0

    @property
    def signal(self) -> float:
        """Expected share of mixed groups, with a Beta(1, 1) prior."""
        return (1.0 + self.mixed) / (2.0 + self.mixed + self.flat)


UNKNOWN = Counts()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRates:
    """The counts of every stratum: a value that resumes as it was written."""

    counts: Mapping[Stratum, Counts] = field(default_factory=dict)

    def updated(self, strata: Sequence[Stratum], pass_rates: Sequence[float], decay: float) -> Self:
        """Return the rates after one more step; a stratum that was not asked keeps its counts.

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
        """Return JSON values, from which ``from_json`` makes equal rates."""
        return [[task, level, c.mixed, c.flat] for (task, level), c in sorted(self.counts.items())]

    @classmethod
    def from_json(cls, rows: Sequence[Sequence[Any]]) -> Self:
        """Read what ``to_json`` gave."""
        return cls(counts={(task, level): Counts(mixed=mixed, flat=flat) for task, level, mixed, flat in rows})


def level_shares(task_sizes: Mapping[Stratum, int], rates: PassRates, floor: float) -> dict[Stratum, float]:
    """Return the share of prompts of each stratum. The sum is 1, and each task keeps its share of the data.

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
