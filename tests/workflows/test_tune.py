"""What a search tries, and how many trials run at once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.errors import UserError
from temporay.workflows.config import validated
from temporay.workflows.placement import ClusterState, NodeState, most_at_once
from temporay.workflows.sft.settings import SftSettings
from temporay.workflows.tune import Trial, TuneConfig, run, table, trial_needs, trial_settings

from tests.small_data import write_dataset
from tests.small_runs import write_model


def test_every_combination_times_the_draws() -> None:
    settings = trial_settings(["batch_size=8,16", "optimizer.schedule=linear,cosine", "optimizer.lr=1e-4..1e-2"], 3, 0)
    assert len(settings) == 2 * 2 * 3
    assert {(s["batch_size"], s["optimizer.schedule"]) for s in settings} == {
        (8, "linear"),
        (8, "cosine"),
        (16, "linear"),
        (16, "cosine"),
    }
    rates = {s["optimizer.lr"] for s in settings}
    assert len(rates) == 3 and all(1e-4 < rate < 1e-2 for rate in rates)
    assert settings == trial_settings(
        ["batch_size=8,16", "optimizer.schedule=linear,cosine", "optimizer.lr=1e-4..1e-2"], 3, 0
    )
    assert trial_settings(["num_steps=5"], 4, 0) == [{"num_steps": 5}]


@pytest.mark.parametrize("metric", ["", "ordered_loss"])
def test_a_trial_without_a_number_is_never_the_best(metric: str) -> None:
    lost = Trial(settings={"seed": 1}, loss=math.nan, steps=9, status="finished", validated=math.nan)
    found = Trial(settings={"seed": 2}, loss=0.7, steps=9, status="finished", validated=0.7)
    for order in ([lost, found], [found, lost]):
        assert table(order, metric).splitlines()[1].split()[0] == "2"


@pytest.mark.parametrize("entry", ["optimizer.lr", "optimizer.lr=1e-2..1e-4", "optimizer.lr=0..1", "seed=a..b"])
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    with pytest.raises(UserError, match=f"search entry '{entry}'"):
        trial_settings([entry], 1, 0)


def test_trials_never_wait_for_each_others_cpus() -> None:
    assert at_once(num_workers=1, CPU=4.0) == 1  # 2.01 each
    assert at_once(num_workers=1, CPU=64.0, GPU=4.0) == 4
    assert at_once(num_workers=2, CPU=64.0, GPU=5.0) == 2


def at_once(num_workers: int, **resources: float) -> int:
    cluster = ClusterState(nodes=(NodeState(total=resources, free=resources),))
    needs = trial_needs(SftSettings(num_workers=num_workers), cluster)
    return most_at_once(needs, cluster, limit=10)


def test_table_has_the_best_finished_trial_first() -> None:
    lines = table(
        [
            Trial(settings={"optimizer.lr": 1e-3}, loss=0.1, steps=4, status="stopped"),
            Trial(settings={"optimizer.lr": 1e-4}, loss=0.5, steps=9, status="finished"),
            Trial(settings={"optimizer.lr": 1e-2}, loss=None, steps=0, status="failed", error="…"),
        ]
    ).splitlines()
    assert [line.split()[0] for line in lines] == ["optimizer.lr", "0.0001", "0.001", "0.01"]


@pytest.mark.parametrize(("metric", "best"), [("ordered_loss", "0.001"), ("shuffled_gap", "0.01")])
def test_validation_decides_which_finished_trial_is_best(metric: str, best: str) -> None:
    trials = [
        Trial(settings={"optimizer.lr": 1e-4}, loss=0.1, steps=9, status="finished", validated=0.5),
        Trial(settings={"optimizer.lr": 1e-3}, loss=0.2, steps=9, status="finished", validated=0.3),
        Trial(settings={"optimizer.lr": 1e-2}, loss=0.3, steps=9, status="finished", validated=0.7),
        Trial(settings={"optimizer.lr": 1e-5}, loss=0.05, steps=9, status="finished"),  # ended before a validation
        Trial(settings={"optimizer.lr": 1e-1}, loss=0.4, steps=4, status="stopped"),
    ]
    header, first, *_, last = (line.split() for line in table(trials, metric).splitlines())
    assert header == ["optimizer.lr", metric, "loss", "steps", "status"]
    assert (first[0], last) == (best, ["0.1", "-", "0.4000", "4", "stopped"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": ("optimizer.rl=1,2",)}, "'optimizer.rl'; did you mean 'optimizer.lr'"),
        ({"model": Path("/no/model")}, "/no/model"),
        ({"data": Path("/no/data")}, "/no/data is not a dataset"),
        ({"validation": Path("/no/held_out")}, "/no/held_out is not a dataset"),
        ({"search": ("best_metric=ordered_loss,blind_gap",)}, "search names best_metric, by which trials are compared"),
    ],
)
def test_what_no_trial_could_do_is_refused_first(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    data = write_dataset(tmp_path / "data")
    given = {"data": data, "model": write_model(data, tmp_path / "model"), "out": tmp_path / "run", **changes}
    with pytest.raises(UserError, match=message):
        run(validated(TuneConfig, given))
    assert not (tmp_path / "run").exists()
