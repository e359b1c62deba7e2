"""``temporay run`` stopped in each of its stages, by SIGTERM and SIGKILL of the driver, ends as if nobody had.

Each strike hits the stage at work; the same command then goes on, until the next stage is struck. The signals take
turns. A second run begins with the other one, so that every stage is struck by both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drills.commands import Command
from tests.drills.faults import step_rows, wait_for_survivors
from tests.drills.test_evaluation_kills import without_clocks
from tests.drills.test_faults import differences_between
from tests.drills.test_sigterm import DONE, RESUMABLE, ended, wait_until
from tests.small_runs import SMALL_PIPELINE

CHANGES = {
    "num_samples": 48,
    "samples_per_shard": 8,
    "base_model.num_steps": 30,
    "sft.num_steps": 6,
    "sft.checkpoint_every": 2,
    "sft.validate_every": 3,
    "sft.stop_when_exact": None,  # so that there are as many steps as are waited for
    "grpo.num_steps": 4,
    "grpo.checkpoint_every": 2,
    "grpo.validate_every": 2,
}
MEASURED = {"parity_max_abs"}  # of the calls that made the steps; each begins with other passes
Ready = Callable[[Path, str], bool]
# A stage is struck when this is there, in the run's folder or in what the command has printed since it was started.
MOMENTS: dict[str, Ready] = {
    "data": lambda out, said: len(list((out / "data" / "train").glob("*.tar"))) >= 2,
    "base model": lambda out, said: len(step_rows(out / "metrics.jsonl", "base_model")) >= 10,
    "sft": lambda out, said: "[sft]" in said,
    "sft, steps": lambda out, said: len(step_rows(out / "sft" / "metrics.jsonl", "sft")) >= 3,
    "engine": lambda out, said: "[engine]" in said,
    "evaluation of sft and base": lambda out, said: "[evaluate]" in said,
    "grpo": lambda out, said: "[grpo]" in said,
    "grpo, steps": lambda out, said: len(step_rows(out / "grpo" / "metrics.jsonl", "grpo")) >= 2,
    "evaluation of grpo": lambda out, said: "[evaluate]" in said.partition("[grpo]")[2],
    "page": lambda out, said: (out / "evaluation" / "grpo.jsonl").exists(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def command_of(folder: Path) -> Iterator[Callable[[str], Command]]:
    """Make commands by the name of their folder, and leave none running."""
    commands: list[Command] = []

    def make(name: str) -> Command:
        changes = {**SMALL_PIPELINE, **CHANGES}
        flags = [word for key, value in changes.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        commands.append(Command(["run", "quickstart", "--out", str(folder / name), *flags], folder / f"{name}.log"))
        return commands[-1]

    yield make
    for command in commands:
        command.end()


@pytest.fixture(scope="module")
def calm(folder: Path, command_of: Callable[[str], Command]) -> Path:
    """Run the pipeline once without a disturbance."""
    command = command_of("calm")
    command.start()
    assert ended(command, by_signal=False) == DONE
    return folder / "calm"


def struck(command: Command, out: Path, ready: Ready, *, by_signal: bool) -> bool:
    """Start a command, wait for a moment, and stop it there; return whether it had not ended before."""
    begun = command.log.stat().st_size if command.log.exists() else 0
    command.start()
    wait_until(lambda: ready(out, command.log.read_text(errors="replace")[begun:]), command)
    if by_signal:
        return ended(command, by_signal=True) == RESUMABLE
    is_struck = command.kill_driver()
    assert wait_for_survivors(command) == []
    return is_struck


@pytest.mark.drill
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", ["SIGTERM", "SIGKILL"])
def test_a_pipeline_stopped_in_every_stage_ends_as_an_undisturbed_one(
    first: str,
    calm: Path,
    command_of: Callable[[str], Command],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = folder / f"first {first}"
    command, told = command_of(out.name), []
    for n, (name, ready) in enumerate(MOMENTS.items()):
        by_signal, begun = (n % 2 == 0) == (first == "SIGTERM"), time.monotonic()
        assert struck(command, out, ready, by_signal=by_signal), f"it ended before {name}"
        assert not (out / "summary.json").exists()
        told.append(f"{name:>28}  {'SIGTERM' if by_signal else 'SIGKILL'}  {time.monotonic() - begun:6.1f} s")
    command.start()
    assert ended(command, by_signal=False) == DONE
    with capsys.disabled():
        print(f"\n\n{out.name:>28}  by what     from start to end\n" + "\n".join(told))
    assert what_was_found(out) == what_was_found(calm)
    for stage in ("sft", "grpo"):
        assert differences_between(out / stage, calm / stage, stage) == []
    assert (out / "report.html").read_text().endswith("</html>\n")


def what_was_found(out: Path) -> dict[str, Any]:
    """Return the answers of all models, and all else that a run sums up, without clocks."""
    summary = without_clocks(json.loads((out / "summary.json").read_text()))
    summary["grpo"] = {name: value for name, value in summary["grpo"].items() if name not in MEASURED}
    answers = {path.name: path.read_bytes() for path in sorted((out / "evaluation").iterdir())}
    weights = (out / "base" / "model.safetensors").read_bytes()
    return {"summary": summary, "answers": answers, "base": weights}
