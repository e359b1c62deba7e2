"""How a command ends on SIGTERM: with exit code 75 and within seconds, wherever it is.

    SIGTERM → KeyboardInterrupt in the main thread → it cleans up → exit code 75
            └ after ``CLEANUP_S`` of that, all its processes are ended by force → exit code 75

While workers train, ``learner.stopping`` gives them time for a checkpoint before that. What is on disk is resumable at
any moment, so nothing is lost by force but the steps since the last checkpoint.
"""

import os
import signal
import sys
import threading
from collections.abc import Container, Iterable
from contextlib import suppress
from typing import Any, NoReturn

import psutil

RESUMABLE = 75  # exit code
CLEANUP_S = 10.0
LEFTOVERS_S = 3.0  # for processes that are ending
RAY_PROCESSES = ("gcs_server", "raylet")  # of a cluster started here; actors and tasks are processes of the latter
TOLD = "temporay: interrupted; run the same command again to go on"
_came = threading.Event()


def end_on_sigterm() -> None:
    """Have SIGTERM end this process like Ctrl-C. SIGINT's own handler does not serve: shells may ignore SIGINT."""
    _came.clear()
    signal.signal(signal.SIGTERM, _interrupt)


def has_come() -> bool:
    """Return whether SIGTERM is what ends this process, whatever error shows it."""
    return _came.is_set()


def _interrupt(_number: int, _frame: Any) -> NoReturn:
    if not _came.is_set():
        _came.set()
        timer = threading.Timer(CLEANUP_S, _end_by_force)
        timer.daemon = True
        timer.start()
    raise KeyboardInterrupt


def _end_by_force() -> NoReturn:
    print(TOLD, file=sys.stderr, flush=True)
    # The raylet and the GCS die with this process by themselves. If they died before it, Ray would end it with code 1.
    try:
        end_leftovers([one for one in descendants() if one.name() not in RAY_PROCESSES], wait_s=0.0)
    finally:  # also when one of them has gone meanwhile
        os._exit(RESUMABLE)


def descendants(names: Container[str] | None = None) -> list[psutil.Process]:
    """List the processes that this one started, and those that they started.

    Args:
        names: only these of the former; None: all.
    """
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if names is None or child.name() in names:
                found += [child, *child.children(recursive=True)]
    return found


def end_leftovers(processes: Iterable[psutil.Process], wait_s: float = LEFTOVERS_S) -> None:
    """Wait for processes to end, and kill those that do not.

    An actor of Ray sits in a loop of C++ code. It does not see SIGTERM, and may miss that its node is gone.
    """
    _, alive = psutil.wait_procs(processes, timeout=wait_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
