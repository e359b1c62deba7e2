"""The real commands as processes of their own: started, watched by what they log, killed by pid.

A command is started in a session of its own (``setsid``), which its Ray processes inherit. So its victims are told from
every other Ray on the machine, and what a killed driver leaves behind can be counted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRIVER = "driver"
TITLES = {  # what Ray calls the processes that a fault strikes, from the start of their command line
    "engine": "ray::EngineActor",
    "reward": "ray::score_batch",
    "worker": "ray::RayTrainWorker",
}


@dataclass(slots=True)
class Command:
    """``temporay ARGUMENTS``, started as often as its driver was killed."""

    arguments: Sequence[str]
    log: Path  # what its terminal shows
    process: subprocess.Popen[bytes] = field(init=False)
    sessions: list[int] = field(default_factory=list)  # one per start
    killed_at: dict[int, float] = field(default_factory=dict)  # sessions whose driver was killed → seconds
    busy_starts: int = 0  # after which Ray was not there, because the machine was too busy

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "temporay.workflows", *self.arguments],
                cwd=ROOT,
                env=environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        self.sessions.append(self.process.pid)

    def kill_driver(self) -> bool:
        """SIGKILL of the driver alone; False when it had ended by itself."""
        if self.process.poll() is not None:
            return False
        self.process.kill()
        self.process.wait()
        self.killed_at[self.process.pid] = time.monotonic()
        return True

    def kill_one(self, kind: str, choice: float) -> bool:
        """SIGKILL of one process of a kind, while it does what its title says; False when there is none.

        Args:
            choice: which one of several, in [0, 1).
        """
        victims = self.victims(kind)
        if not victims:
            return False
        pid = victims[int(choice * len(victims))]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)  # or it might turn to something else between the look and the blow
            if title(pid).startswith(TITLES[kind]):
                os.kill(pid, signal.SIGKILL)
                return True
            os.kill(pid, signal.SIGCONT)
        return False

    def victims(self, kind: str) -> list[int]:
        return [pid for pid in session_of(self.process.pid) if title(pid).startswith(TITLES[kind])]

    def survivors(self) -> list[str]:
        """List what killed drivers left running."""
        return [f"{pid} {title(pid)}" for session in self.killed_at for pid in session_of(session)]

    def end(self) -> None:
        """Kills whatever is left of it."""
        for session in self.sessions:
            for pid in session_of(session):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


def session_of(session_id: int) -> list[int]:
    """List the processes of a session that still run, in order of their ids."""
    return sorted(pid for pid in running() if getsid(pid) == session_id and title(pid))


def running() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def getsid(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def title(pid: int) -> str:
    """Return the command line; it is empty for a process that has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
