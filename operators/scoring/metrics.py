"""Right and wrong → accuracies with confidence intervals → a table of plain text. The default level is 95 %."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceInterval:
    """A mean and its confidence interval. Without data (``n`` 0) all three are NaN: unknown, not zero."""

    value: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """Accuracies of one primitive, or of their mean, by arm. An arm that was not run is absent."""

    name: str
    n: int
    chance: float
    arms: Mapping[str, ConfidenceInterval]
    starred: Collection[str] = ()  # arms whose accuracy needs the words below the table


def accuracy_interval(correct: Sequence[float], *, level: float = 0.95) -> ConfidenceInterval:
    """Return the mean with Wilson's score interval, which holds near 0 and 1 and for few samples.

    Values between 0 and 1 (the expectation of a guess) vary less than right and wrong. The interval is then too wide.

    Wilson (1927), JASA 22; recommended over the normal interval by Brown, Cai and DasGupta (2001), Stat. Sci. 16.
    """
    n = len(correct)
    return wilson_interval(sum(correct) / n, n, n, level=level) if n else UNKNOWN


def wilson_interval(share: float, num_independent: float, n: int, *, level: float = 0.95) -> ConfidenceInterval:
    """Return Wilson's score interval of a share.

    Args:
        num_independent: how many independent samples are worth as much as these ``n``.
    """
    z, m = normal_quantile(level), num_independent
    center = (share + z * z / (2 * m)) / (1 + z * z / m)
    half = z / (1 + z * z / m) * math.sqrt(share * (1 - share) / m + z * z / (4 * m * m))
    return ConfidenceInterval(value=share, low=max(0.0, center - half), high=min(1.0, center + half), n=n)


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> ConfidenceInterval:
    """Return the mean with the normal interval. With one value the interval is unbounded."""
    n = len(values)
    if n == 0:
        return UNKNOWN
    center = math.fsum(values) / n
    if n == 1:
        return ConfidenceInterval(value=center, low=-math.inf, high=math.inf, n=1)
    half = normal_quantile(level) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return ConfidenceInterval(value=center, low=center - half, high=center + half, n=n)


def macro_interval(correct_by_group: Mapping[str, Sequence[float]], *, level: float = 0.95) -> ConfidenceInterval:
    """Return the mean of the accuracies of the groups, all with the same weight. ``n`` counts samples.

    The interval is that of a stratified mean. Each group's variance is taken at its Wilson center, so that a group that
    is all right does not count as certain. Groups without samples are left out.
    """
    groups = [correct for correct in correct_by_group.values() if correct]
    if not groups:
        return UNKNOWN
    z = normal_quantile(level)
    variance = 0.0
    for correct in groups:
        n = len(correct)
        center = (sum(correct) + z * z / 2) / (n + z * z)
        variance += center * (1 - center) / n
    value = math.fsum(sum(correct) / len(correct) for correct in groups) / len(groups)
    half = z * math.sqrt(variance) / len(groups)
    total = sum(len(correct) for correct in groups)
    return ConfidenceInterval(value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=total)


def render_table(rows: Sequence[TableRow], *, arms: Sequence[str]) -> str:
    """Write percentages with half-widths, one line per row: ``97.5 +-2.3``. ``-`` means that an arm was not run.

    A starred accuracy ends in ``*``, and the others of its column in a space.

    Args:
        arms: the columns after primitive, n and chance, e.g. base, sft, grpo, shuffled, single_frame, blind.
    """
    starred = {arm for row in rows for arm in row.starred}

    def cell(row: TableRow, arm: str) -> str:
        return _cell(row.arms.get(arm)) + ("*" if arm in row.starred else " " if arm in starred else "")

    header = ("primitive", "n", "chance", *(f"{arm} " if arm in starred else arm for arm in arms))
    body = [(row.name, str(row.n), f"{100 * row.chance:.1f}", *(cell(row, arm) for arm in arms)) for row in rows]
    return "\n".join(line.rstrip() for line in aligned([header, *body]).splitlines())


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Write a table as plain text: the first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(line, widths) for line in lines)


def _cell(interval: ConfidenceInterval | None) -> str:
    if interval is None or interval.n == 0:
        return "-"
    return f"{100 * interval.value:.1f} +-{100 * interval.half_width:.1f}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first, *rest])


def normal_quantile(level: float) -> float:
    """Return how many standard errors a two-sided interval of this level reaches to each side."""
    return NormalDist().inv_cdf((1 + level) / 2)


UNKNOWN = ConfidenceInterval(value=math.nan, low=math.nan, high=math.nan, n=0)
