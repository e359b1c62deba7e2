"""SIGTERM during training: workers save a checkpoint at the end of their step, then the command ends with code 75.

    driver: handler → OUT/stop → every rank after its step: ``asked_to_stop`` → checkpoint, end → KeyboardInterrupt

A file, because OUT is what driver and workers share anyway. The step and its checkpoint have ``stop_grace_s`` seconds
from the signal on. After that, or at a second signal, the command ends like at Ctrl-C.
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


class Stopped(Exception):
    """A loop of the driver has ended because a stop was asked for."""


@contextmanager
def stop_on_sigterm(out: Path, grace_s: float) -> Iterator[None]:
    """Have SIGTERM ask the workers to checkpoint and end. It goes inside ``ray_session``, which has a handler too.

    Args:
        grace_s: seconds from the signal on, after which the block is interrupted.

    Raises:
        KeyboardInterrupt: that was asked for: at the end of the block, in place of its error, or in its middle.
    """
    flag = out / STOP
    flag.unlink(missing_ok=True)  # a run that was killed may have left it
    if threading.current_thread() is not threading.main_thread():  # in a trial; the search has the handler
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    # Not SIGINT's own handler: shells have background jobs ignore that signal.
    at_once = before if callable(before) else signal.default_int_handler
    again = threading.Timer(grace_s, signal.pthread_kill, (threading.get_ident(), signal.SIGTERM))
    again.daemon = True

    def ask(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGTERM, at_once)
        flag.touch()
        again.start()
        print(
            f"stopping at the end of this step, if it comes within {grace_s:g} s; another signal stops at once",
            flush=True,
        )

    signal.signal(signal.SIGTERM, ask)
    try:
        yield
    except Exception as error:
        if flag.exists():
            raise KeyboardInterrupt from error
        raise
    finally:
        again.cancel()
        signal.signal(signal.SIGTERM, before)
        asked = flag.exists()
        flag.unlink(missing_ok=True)
    if asked:
        raise KeyboardInterrupt


def is_asked(out: Path) -> bool:
    """Return whether a stop was asked for."""
    return (out / STOP).exists()


def asked_to_stop(out: Path, parallel: Parallel) -> bool:
    """Return on every rank alike whether a stop was asked for; every rank must call it."""
    asked = is_asked(out) if parallel.rank == 0 else False
    return bool(parallel.sum(torch.tensor([float(asked)])).item())
