"""SIGTERM during training: workers save a checkpoint at the end of their step, then the command ends with code 75.

    driver: handler → OUT/stop → every rank after its step: ``asked_to_stop`` → checkpoint, end → KeyboardInterrupt

A file, because OUT is what driver and workers share anyway; a scheduler's grace period starts at the first signal, and
a second one ends the command at once, like Ctrl-C.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from temporay.models.parallel import Parallel

STOP = "stop"


@contextmanager
def stop_on_sigterm(out: Path) -> Iterator[None]:
    """Have SIGTERM ask the workers to checkpoint and end. It goes inside ``ray_session``, which has a handler too.

    Raises:
        KeyboardInterrupt: at the end of the block, when that was asked for.
    """
    flag = out / STOP
    flag.unlink(missing_ok=True)  # a run that was killed may have left it
    if threading.current_thread() is not threading.main_thread():  # in a trial; the search has the handler
        yield
        return

    def ask(_number: int, _frame: Any) -> None:
        flag.touch()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # not SIGINT's: shells have background jobs ignore it
        print("stopping at the end of this step; another signal stops at once", flush=True)

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        asked = flag.exists()
        flag.unlink(missing_ok=True)
    if asked:
        raise KeyboardInterrupt


def asked_to_stop(out: Path, parallel: Parallel) -> bool:
    """Return on every rank alike whether a stop was asked for; every rank must call it."""
    asked = (out / STOP).exists() if parallel.rank == 0 else False
    return bool(parallel.sum(torch.tensor([float(asked)])).item())
