"""SIGTERM asks for a stop and is answered with KeyboardInterrupt; a second one stops at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from temporay.models.parallel import this_process
from temporay.workflows.learner.stopping import STOP, asked_to_stop, stop_on_sigterm

ALONE = this_process(torch.device("cpu"))


def test_a_signal_is_seen_by_workers_and_ends_the_block(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    reached = False
    with pytest.raises(KeyboardInterrupt), stop_on_sigterm(tmp_path, 60.0):
        assert not asked_to_stop(tmp_path, ALONE)
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked_to_stop(tmp_path, ALONE)
        reached = True
    assert reached
    assert signal.getsignal(signal.SIGTERM) == before
    assert not (tmp_path / STOP).exists()


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def sigint(request: pytest.FixtureRequest) -> Iterator[None]:
    """Handle SIGINT as in a job that a shell started in the foreground or in the background."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint")
def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), stop_on_sigterm(tmp_path, 60.0):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)  # a signal that comes while another waits for its handler is one with it
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60.0)
        reached = True
    assert not reached


def test_a_flag_of_a_killed_run_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / STOP).touch()
    with stop_on_sigterm(tmp_path, 60.0):
        assert not asked_to_stop(tmp_path, ALONE)


def test_other_threads_leave_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def inside() -> None:
        with stop_on_sigterm(tmp_path, 60.0):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_step_that_does_not_end_in_time_is_not_waited_for(tmp_path: Path) -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), stop_on_sigterm(tmp_path, 0.1):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60.0)
        reached = True
    assert not reached


def test_an_error_after_the_signal_is_the_interruption(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), stop_on_sigterm(tmp_path, 60.0):
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("a worker is gone")
    with pytest.raises(RuntimeError), stop_on_sigterm(tmp_path, 60.0):
        raise RuntimeError("without a signal it stays what it is")
