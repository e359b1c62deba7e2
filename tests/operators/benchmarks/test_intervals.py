"""Headlines of benchmarks with intervals: which rule, which units, and that copies of a group stay apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from temporay.operators.benchmarks._base import benchmark_called
from temporay.operators.benchmarks._intervals import headline, independent_units
from temporay.operators.scoring.clustered import cluster_bootstrap, clustered_interval

from tests.operators.benchmarks import layouts


def test_a_group_score_is_resampled_by_whole_groups(tmp_path: Path) -> None:
    layouts.timeblind(tmp_path)
    benchmark = benchmark_called("timeblind")
    read = benchmark.read(tmp_path).items
    items = [replace(i, group=f"{i.group} {n}", cluster=f"{i.cluster} {n}") for n in range(3) for i in read]
    first = items[0].group
    texts = [benchmark.write_answer(item, item.gold) if item.group == first else "" for item in items]
    scored = [benchmark.score_text(item, text, "strict") for item, text in zip(items, texts, strict=True)]
    found = headline(benchmark, scored, "strict", num_resamples=50)
    units = independent_units(scored)
    assert {frozenset(one.item.group for one in unit) for unit in units} == {frozenset({i.group}) for i in items}
    right_U = [100.0 * (unit[0].item.group == first) for unit in units]
    expected = cluster_bootstrap(right_U, lambda some: sum(some) / len(some), num_resamples=50)
    assert (found.name, found.by) == ("I_Acc", "bootstrap") and found.interval == expected
    assert found.interval.low < found.interval.value < found.interval.high


def test_a_mean_of_scores_has_wilsons_interval(tmp_path: Path) -> None:
    layouts.tvbench(tmp_path)
    benchmark = benchmark_called("tvbench")
    items = benchmark.read(tmp_path).items
    scored = [benchmark.score_text(i, benchmark.write_answer(i, n % 2), "strict") for n, i in enumerate(items)]
    found = headline(benchmark, scored, "strict")
    share = clustered_interval([one.values["score"] for one in scored], [one.item.cluster for one in scored])
    assert (found.by, found.interval.n) == ("wilson", len(items))
    assert (found.interval.low, found.interval.high) == pytest.approx((100 * share.low, 100 * share.high))


def test_groups_that_share_a_video_are_one_unit(tmp_path: Path) -> None:
    layouts.vinoground(tmp_path)
    benchmark = benchmark_called("vinoground")
    items = benchmark.read(tmp_path).items
    scored = [benchmark.score_text(item, None, "strict") for item in items]
    groups = {item.group for item in items}
    assert len(independent_units(scored)) == len(groups) > 1
    shared = [replace(one, item=replace(one.item, cluster="v")) for one in scored]
    assert len(independent_units(shared)) == 1
