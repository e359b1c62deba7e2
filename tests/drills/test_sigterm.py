"""SIGTERM at any moment of a command: exit code 75 within seconds, no traceback, nothing left running, and it goes on.

A run that was stopped and started again ends with the metrics and the weights of a run that nobody disturbed.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.drills.commands import Command, session_of, title
from tests.drills.drawn_runs import SETUPS, Setup, write_inputs
from tests.drills.faults import started_again, step_rows
from tests.drills.test_faults import differences_between, ledger_faults

SEED, NUM_MOMENTS = 7, 5  # of each run
ENDS_WITHIN_S = 90.0  # 25 s, and what a machine that is busy with others adds
GONE_WITHIN_S = 15.0
FIRST_S = 5.0  # Python itself has started, and SIGTERM is the command's
RUN_LIMIT_S = 900.0
LONG_GRACE_S = 60.0
DONE, RESUMABLE = 0, 75
SHORT = {"num-steps": 4, "checkpoint-every": 2, "stop-grace-s": LONG_GRACE_S}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sigterm")
    write_inputs(made)
    return made


@pytest.fixture
def command_of(folder: Path) -> Iterator[Callable[[Setup, str], Command]]:
    """Make commands by the setup and the folder of the run, and leave none running."""
    commands = []

    def make(setup: Setup, name: str) -> Command:
        commands.append(Command(setup.arguments(folder, folder / name), folder / f"{name}.log"))
        return commands[-1]

    yield make
    for command in commands:
        command.end()


def wait_until(ready: Callable[[], bool], command: Command) -> None:
    """Wait for something to be there, or for the end of the command."""
    limit = time.monotonic() + RUN_LIMIT_S
    while not ready() and (command.process.poll() is None or started_again(command)):
        assert time.monotonic() < limit
        time.sleep(0.02)


def ended(command: Command, *, by_signal: bool) -> int:
    """Return the exit code; check that nothing is left of the process and that it said nothing of our code."""
    if by_signal:
        command.process.terminate()
    try:
        code = command.process.wait(ENDS_WITHIN_S if by_signal else RUN_LIMIT_S)
        while not by_signal and started_again(command):
            code = command.process.wait(RUN_LIMIT_S)
    except subprocess.TimeoutExpired:
        left = [f"{pid} {title(pid)}" for pid in session_of(command.process.pid)]
        raise AssertionError(f"it did not end: {left}") from None
    said = command.log.read_text(errors="replace")
    assert code in ({DONE, RESUMABLE} if by_signal else {DONE}), said[-3000:]
    assert said.count("Traceback") == command.busy_starts, said[-3000:]
    limit = time.monotonic() + GONE_WITHIN_S
    while session_of(command.process.pid) and time.monotonic() < limit:
        time.sleep(0.1)
    assert [title(pid) for pid in session_of(command.process.pid)] == []
    return code


@pytest.mark.drill
def test_a_run_stopped_while_it_starts_and_while_it_trains_goes_on(
    folder: Path, command_of: Callable[[Setup, str], Command]
) -> None:
    setup = replace(SETUPS["grpo"], settings={**SETUPS["grpo"].settings, **SHORT})
    out = folder / "short"
    command = command_of(setup, out.name)

    def starts() -> bool:
        return bool(command.victims("engine"))

    def trains() -> bool:
        return bool(step_rows(out / "metrics.jsonl", setup.stage))

    for ready in (starts, trains):
        command.start()
        wait_until(ready, command)
        assert ended(command, by_signal=True) == RESUMABLE
    assert list((out / "checkpoints").glob("*/manifest.json"))  # the step that was under way was saved
    command.start()
    assert ended(command, by_signal=False) == DONE
    assert [row["step"] for row in step_rows(out / "metrics.jsonl", setup.stage)] == list(range(setup.num_steps))
    assert ledger_faults(out, setup) == []


@pytest.mark.drill
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["sft", "grpo"])
def test_a_run_stopped_at_drawn_moments_ends_as_an_undisturbed_one(
    name: str, folder: Path, command_of: Callable[[Setup, str], Command], capsys: pytest.CaptureFixture[str]
) -> None:
    setup = SETUPS[name]
    calm = command_of(setup, f"{name} undisturbed")
    start = time.monotonic()
    calm.start()
    assert ended(calm, by_signal=False) == DONE
    lasts_s = time.monotonic() - start
    random = Random(SEED)
    command = command_of(setup, f"{name} stopped")
    told = []
    code = RESUMABLE
    for _ in range(NUM_MOMENTS):
        moment_s = random.uniform(FIRST_S, lasts_s)
        command.start()
        time.sleep(moment_s)
        asked = time.monotonic()
        code = ended(command, by_signal=True)
        told.append((moment_s, code, time.monotonic() - asked))
    if code != DONE:
        command.start()
        assert ended(command, by_signal=False) == DONE
    with capsys.disabled():
        print(f"\n\n{name}, undisturbed {lasts_s:.0f} s\nsignal after  exit code  ended after")
        print("\n".join(f"{moment_s:10.1f} s  {code:9d}  {seconds:9.1f} s" for moment_s, code, seconds in told))
    assert ledger_faults(folder / f"{name} stopped", setup) == []
    assert differences_between(folder / f"{name} stopped", folder / f"{name} undisturbed", setup.stage) == []
