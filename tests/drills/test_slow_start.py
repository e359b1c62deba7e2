"""A cluster that does not get up in Ray's time is told, ended and started again, and the command does its work."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.drills.commands import Command, session_of, title

RUN_LIMIT_S = 900.0
POLL_S = 0.005
TOLD = "it is started again (1 of"


def raylets(command: Command) -> list[int]:
    """List the processes of Ray's that are to register a node."""
    return [pid for pid in session_of(command.process.pid) if title(pid).partition(" ")[0].endswith("/raylet")]


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_a_command_waits_for_a_slow_start_and_says_so(tmp_path: Path) -> None:
    command = Command(
        ["generate", "quickstart", "--out", str(tmp_path / "data"), "--num-samples", "4"], tmp_path / "log"
    )
    limit = time.monotonic() + RUN_LIMIT_S
    try:
        command.start()
        while not (stopped := raylets(command)):
            assert command.process.poll() is None and time.monotonic() < limit, command.log.read_text()
            time.sleep(POLL_S)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        while command.process.poll() is None and time.monotonic() < limit:
            time.sleep(0.1)
        said = command.log.read_text()
        assert command.process.returncode == 0, said
        assert said.count(TOLD) == 1 and "Traceback" not in said
        assert not [pid for pid in stopped if title(pid)]
    finally:
        command.end()
