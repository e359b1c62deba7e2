"""Programs to compare: all alive at once, but each runs in turns and is stopped otherwise (SIGSTOP)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Turns:
    """The schedule of a program."""

    warmup_steps: int = 10  # not counted
    turn_s: float = 10.0
    catch_up_s: float = 4.0  # before a turn: timers of many processes are due when they continue


class Racer:
    """A program's processes, which are stopped while it is not their turn."""

    def __init__(self, command: Sequence[str], lines: Path, *, ranks: int, threads: int, cores: int) -> None:
        """Start it.

        Args:
            command: the program, which appends a line of JSON with ``loss`` and ``time`` to ``lines`` after every step.
            ranks: processes to start, told their rank by torch's environment variables if there are several.
            threads: OpenMP threads in each.
            cores: number of cores that all its processes share.
        """
        self._lines = lines
        self._errors = lines.parent.with_name(f"{lines.parent.name}.err")
        held = sorted(os.sched_getaffinity(0))[:cores]
        common = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        if ranks > 1:
            common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(ranks)}
        with self._errors.open("w") as errors:
            self._processes = [
                subprocess.Popen(
                    command,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=common | rank_variables(rank, ranks),
                    preexec_fn=lambda: os.sched_setaffinity(0, held),
                    start_new_session=True,
                )
                for rank in range(ranks)
            ]

    def ends(self) -> list[float]:
        """Return when every step ended, in seconds since 1970.

        Raises:
            RuntimeError: one of its processes has ended.
        """
        if any(process.poll() is not None for process in self._processes):
            raise RuntimeError(f"{self._lines.parent.name} ended:\n{self._errors.read_text()[-2000:]}")
        rows = self._lines.read_text().splitlines() if self._lines.exists() else []
        return [row["time"] for row in map(json.loads, rows) if "loss" in row]

    def warm_up(self, turns: Turns) -> None:
        while len(self.ends()) < turns.warmup_steps:
            time.sleep(0.5)
        self._signal(signal.SIGSTOP)

    def turn(self, turns: Turns) -> float:
        """Run for one turn; return steps per second between the first and the last that end in it."""
        self._signal(signal.SIGCONT)
        time.sleep(turns.catch_up_s)
        start = time.time()
        time.sleep(turns.turn_s)
        self._signal(signal.SIGSTOP)
        ends = [end for end in self.ends() if end > start]
        return (len(ends) - 1) / (ends[-1] - ends[0])

    def close(self) -> None:
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def _signal(self, number: int) -> None:
        sessions = {process.pid for process in self._processes}
        for pid in psutil.pids():
            with suppress(ProcessLookupError):
                if os.getsid(pid) in sessions:
                    os.kill(pid, number)


def rank_variables(rank: int, ranks: int) -> Mapping[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
