"""The fault drill: engines, reward tasks, training workers and drivers killed in the middle of real runs.

Every run ends well, its ledger adds up, and on-policy it ends with the metrics and the weights of a run that nobody
disturbed, to the last bit. The table at the end says so fault by fault.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from temporay.operators.reinforcement import ledger
from temporay.workflows.grpo.log import what_was_learned

from tests.drills.commands import Command
from tests.drills.drawn_runs import SETUPS, Setup, write_inputs
from tests.drills.faults import Story, choose_faults, live, step_rows

pytestmark = [pytest.mark.drill, pytest.mark.timeout(3600)]

SEED = 20
LIMIT_S = 3000.0  # for one run, on a machine that is busy with others
RUNS: list[tuple[str, dict[str, int]]] = [
    ("sft", {"worker": 5, "driver": 4}),
    ("sft, 2 workers", {"worker": 4, "driver": 1}),
    ("grpo", {"engine": 4, "reward": 4}),
    ("grpo", {"reward": 2, "worker": 3, "driver": 3}),
    ("grpo, 2 engines", {"engine": 4, "reward": 3, "worker": 2, "driver": 1}),
    ("grpo, vllm", {"engine": 2, "reward": 1, "worker": 1}),
    ("grpo, staleness 1", {"engine": 2, "reward": 2, "worker": 1, "driver": 1}),
]
CLOCK, CLOCKS = "time", ("seconds", "_per_s", "wait")  # this name, and names with one of these, differ by run


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run as it ended."""

    setup: str
    story: Story
    identical: bool | None  # None: it need not be
    lost_groups: int


@dataclass(slots=True)
class Drill:
    """The folder of the drill, the undisturbed run of each setup, and what came of the others."""

    folder: Path
    undisturbed: dict[str, tuple[Path, Story]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Drill:
    folder = tmp_path_factory.mktemp("drill")
    write_inputs(folder)
    return Drill(folder)


@pytest.fixture
def start(drill: Drill) -> Iterator[Callable[[str, str], Command]]:
    """Make commands by the setup and the folder of the run, and leave none running."""
    commands = []

    def make(setup: str, name: str) -> Command:
        arguments = SETUPS[setup].arguments(drill.folder, drill.folder / name)
        commands.append(Command(arguments, drill.folder / f"{name}.log"))
        return commands[-1]

    yield make
    for command in commands:
        command.end()


def undisturbed(drill: Drill, setup: str, start: Callable[[str, str], Command]) -> tuple[Path, Story]:
    """Return the run of a setup that nobody disturbs; it is made once."""
    if setup not in drill.undisturbed:
        out = drill.folder / f"{setup} undisturbed"
        story = live(start(setup, out.name), out / "metrics.jsonl", SETUPS[setup].stage, [], LIMIT_S)
        assert story.exit_code == 0, out.with_suffix(".log").read_text()[-3000:]
        drill.undisturbed[setup] = out, story
    return drill.undisturbed[setup]


@pytest.mark.parametrize("number", range(len(RUNS)), ids=[f"{setup} {counts}" for setup, counts in RUNS])
def test_a_disturbed_run_ends_as_an_undisturbed_one(
    number: int, drill: Drill, start: Callable[[str, str], Command]
) -> None:
    name, counts = RUNS[number]
    setup = SETUPS[name]
    out = drill.folder / f"run {number}"
    faults = choose_faults(SEED + number, counts, setup.num_steps)
    story = live(start(name, out.name), out / "metrics.jsonl", setup.stage, faults, LIMIT_S)
    said = (drill.folder / f"{out.name}.log").read_text()
    assert story.exit_code == 0, said[-3000:]
    assert len(story.blows) == len(faults), "it ended before its faults were due"
    assert not story.survivors
    assert [row["step"] for row in step_rows(out / "metrics.jsonl", setup.stage)] == list(range(setup.num_steps))
    assert ledger_faults(out, setup) == []
    same = None
    if setup.max_staleness == 0:
        expected, calm = undisturbed(drill, name, start)
        story.step_s = calm.step_s
        differences = differences_between(out, expected, setup.stage)
        same = not differences
    drill.outcomes.append(Outcome(setup=name, story=story, identical=same, lost_groups=lost_groups(out, setup.stage)))
    assert same in (True, None), differences


def test_the_table(drill: Drill, capsys: pytest.CaptureFixture[str]) -> None:
    """Last, because it sums up the others."""
    with capsys.disabled():
        print(f"\n\nseed {SEED}\n{table(drill.outcomes)}")
    assert sum(len(outcome.story.blows) for outcome in drill.outcomes) >= 50


def table(outcomes: list[Outcome]) -> str:
    """Fault by fault: how many, in how many of those that must be identical it was, groups lost, seconds to recover."""
    struck = [(blow, outcome) for outcome in outcomes for blow in outcome.story.blows]
    rows = [("fault", "count", "identical", "lost groups", "seconds to recover: min", "median", "max")]
    for kind in sorted({blow.fault.kind for blow, _ in struck}):
        mine = [(blow, outcome) for blow, outcome in struck if blow.fault.kind == kind]
        compared = [outcome.identical for _, outcome in mine if outcome.identical is not None]
        seconds = sorted(blow.seconds_to_recover(outcome.story.step_s) for blow, outcome in mine)
        lost = sum({id(outcome): outcome.lost_groups for _, outcome in mine}.values())
        shown = f"{seconds[0]:.1f}", f"{median(seconds):.1f}", f"{seconds[-1]:.1f}"
        rows.append((kind, str(len(mine)), f"{sum(compared)} of {len(compared)}", str(lost), *shown))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def differences_between(out: Path, expected: Path, stage: str) -> list[str]:
    """Where a run's step lines and weights are not those of another."""
    found = []
    if metric_hash(out, stage) != metric_hash(expected, stage):
        pairs = zip(step_rows(out / "metrics.jsonl", stage), step_rows(expected / "metrics.jsonl", stage), strict=True)
        found += [
            f"step {theirs['step']}: {name} is {mine.get(name)}, not {theirs.get(name)}"
            for mine, theirs in ((timeless(mine), timeless(theirs)) for mine, theirs in pairs)
            for name in sorted(mine.keys() | theirs.keys())
            if mine.get(name) != theirs.get(name)
        ]
    mine, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (out, expected))
    found += [f"{name} of the weights" for name in theirs if not torch.equal(mine[name], theirs[name])]
    return found


def metric_hash(out: Path, stage: str) -> str:
    """Of the step lines without what a clock measured."""
    rows = [timeless(row) for row in step_rows(out / "metrics.jsonl", stage)]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    learned = what_was_learned(row)
    return {
        name: value for name, value in learned.items() if name != CLOCK and not any(clock in name for clock in CLOCKS)
    }


def lost_groups(out: Path, stage: str) -> int:
    """Count groups with a rollout that got no reward."""
    rows = step_rows(out / "metrics.jsonl", stage)
    return sum(group is None for row in rows for group in row.get("group_rewards", []))


def ledger_faults(out: Path, setup: Setup) -> list[str]:
    """List what does not add up in the account of prompt groups."""
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    lines = [row for row in rows if row["stage"] == ledger.STAGE]
    assert len(lines) == (setup.num_steps if setup.stage == "grpo" else 0)
    return ledger.reconcile(lines, max_staleness=setup.max_staleness)
