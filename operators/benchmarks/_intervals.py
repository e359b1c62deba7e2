"""How sure a benchmark's headline is: the first metric of its table, with an interval of 95 %.

    scored questions → headline is their mean score → Wilson's interval, by video
                     → anything else                → bootstrap of whole videos and groups, through the same table

Scores of a group, such as all four questions of a pair, have no share of independent questions that Wilson's interval
could be about.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from temporay.operators.benchmarks._base import PERCENT, Benchmark, ScoredItem, ScoringProtocol, percent
from temporay.operators.scoring.clustered import cluster_bootstrap, clustered_interval
from temporay.operators.scoring.metrics import ConfidenceInterval

ROUNDING = 1e-9  # percent
NUM_RESAMPLES = 200  # each works out the whole table: up to 0.2 s for 10,000 questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The first metric of a benchmark's table, in percent. ``n`` of the interval counts questions, or units."""

    name: str
    interval: ConfidenceInterval
    by: Literal["wilson", "bootstrap"]


def headline(
    benchmark: Benchmark,
    scored: Sequence[ScoredItem],
    protocol: ScoringProtocol,
    *,
    num_resamples: int = NUM_RESAMPLES,
) -> Headline:
    """Return the headline of some scored questions, with its interval."""
    name, value = next(iter(benchmark.table(scored, protocol).items()))
    scores = [one.values["score"] for one in scored]
    if _is_mean(benchmark, scored, protocol) and _is_mean(benchmark, _first_of_groups_right(scored), protocol):
        share = clustered_interval(scores, [one.item.cluster for one in scored])
        interval = replace(share, value=value, low=PERCENT * share.low, high=PERCENT * share.high)
        return Headline(name=name, interval=interval, by="wilson")
    units = independent_units(scored)
    copies: dict[tuple[int, int], list[ScoredItem]] = {}

    def of_units(chosen: list[int]) -> float:
        times: dict[int, int] = {}
        sample: list[ScoredItem] = []
        for unit in chosen:
            copy = times[unit] = times.get(unit, 0) + 1
            if (unit, copy) not in copies:
                copies[unit, copy] = [_copy(one, copy) for one in units[unit]]
            sample += copies[unit, copy]
        return benchmark.table(sample, protocol)[name]

    interval = cluster_bootstrap(range(len(units)), of_units, num_resamples=num_resamples)
    return Headline(name=name, interval=interval, by="bootstrap")


def _is_mean(benchmark: Benchmark, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> bool:
    value = next(iter(benchmark.table(scored, protocol).values()))
    return abs(value - percent(one.values["score"] for one in scored)) < ROUNDING


def _first_of_groups_right(scored: Sequence[ScoredItem]) -> list[ScoredItem]:
    """Return questions of which one of each group is right: where all or none are, a group's score is the mean too."""
    seen: set[str] = set()
    found = []
    for one in scored:
        is_first = not one.item.group or one.item.group not in seen
        seen.add(one.item.group)
        found.append(replace(one, values={**one.values, "score": float(is_first)}))
    return found


def independent_units(scored: Sequence[ScoredItem]) -> list[list[ScoredItem]]:
    """Return questions in units that share neither a video nor a group, units in the order in which they come."""
    parent: dict[Hashable, Hashable] = {}

    def root(name: Hashable) -> Hashable:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for one in scored:
        if one.item.group:
            parent[root(("group", one.item.group))] = root(("video", one.item.cluster))
    units: dict[Hashable, list[ScoredItem]] = {}
    for one in scored:
        units.setdefault(root(("video", one.item.cluster)), []).append(one)
    return list(units.values())


def _copy(one: ScoredItem, copy: int) -> ScoredItem:
    """Return a question whose group is not that of other copies."""
    if copy == 1 or not one.item.group:
        return one
    return replace(one, item=replace(one.item, group=f"{one.item.group}, copy {copy}"))
