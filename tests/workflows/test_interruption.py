"""SIGTERM ends a process and all it started, also one that does not come to its end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
from temporay.workflows.interruption import RESUMABLE, TOLD, descendants, end_leftovers

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
STUCK = f"""
import subprocess, sys, time
from temporay.workflows import interruption
interruption.CLEANUP_S = 0.2
interruption.end_on_sigterm()
child = subprocess.Popen([sys.executable, "-c", {DEAF!r}], stdout=subprocess.PIPE)
child.stdout.readline()
said = False
while True:
    try:
        if not said:  # inside: the signal may come as soon as it is said
            said = True
            print(child.pid, flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        assert interruption.has_come()
"""


def start(code: str) -> tuple[subprocess.Popen[str], str]:
    """Start a process and return it with its first line."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_process_that_does_not_end_is_ended_with_all_it_started() -> None:
    process, child = start(STUCK)
    process.terminate()
    _, said = process.communicate()
    assert process.returncode == RESUMABLE
    assert said.strip() == TOLD
    deadline_s = time.monotonic() + 30.0  # the kernel ends what was killed a moment later
    while is_running(int(child)):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_leftovers_that_are_deaf_to_sigterm_are_killed() -> None:
    process, _ = start(DEAF)
    assert process.pid in [one.pid for one in descendants()]
    assert process.pid not in [one.pid for one in descendants(names=("raylet",))]
    process.terminate()
    end_leftovers([psutil.Process(process.pid)], wait_s=0.1)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
