"""Which Ray a command gets, and what it says of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from temporay.operators.errors import UserError
from temporay.workflows import session
from temporay.workflows.session import check_answers, ray_session, store_in_files


def test_without_an_address_a_cluster_of_its_own_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray by itself would join one that was started on this machine, and refuse the settings given here."""
    asked: list[dict[str, Any]] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **arguments: asked.append(arguments))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"object_store_memory": 0.0})
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(session, "descendants", lambda names: [])  # other tests' cluster is not this one's
    with ray_session():
        assert asked[0]["address"] == "local"


LATE = ("The current node timed out during startup. This", "Timed out waiting for file /tmp/ray/gcs_server_port_1")


def init_that_fails(*said: str) -> tuple[list[str], Callable[..., None]]:
    """Return messages, and what stands for ``ray.init``: it fails with each of them in turn, and then works."""
    left = list(said)

    def init(**arguments: Any) -> None:
        if left:
            raise Exception(left.pop(0))

    return left, init


@pytest.mark.parametrize("said", LATE)
def test_a_slow_start_is_told_and_tried_again(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left, init = init_that_fails(said, said)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(session, "descendants", lambda names: [])
    session.start_own()
    first, second = capsys.readouterr().out.splitlines()
    assert not left and "Ray did not start in time" in first
    assert first.endswith("it is started again (1 of 4)") and second.endswith("(2 of 4)")


@pytest.mark.parametrize(("said", "expected"), [(LATE[0], UserError), ("no such thing", Exception)])
def test_a_machine_that_is_too_busy_for_ray_is_one_sentence(
    said: str, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, init = init_that_fails(*[said] * 9)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(session, "descendants", lambda names: [])
    with pytest.raises(expected) as caught:
        session.start_own()
    assert type(caught.value) is expected
    is_late = expected is UserError
    assert ("give the same command again" in str(caught.value)) == is_late
    assert len(left) == (9 - session.MAX_STARTS if is_late else 8)


@pytest.mark.parametrize(
    ("variable", "folder", "why"),
    [
        ("RAY_TMPDIR", "a" * 80, "its path is too long"),
        ("TMPDIR", "a" * 80, "its path is too long"),
        ("RAY_TMPDIR", "file/below", "it cannot be written"),
    ],
)
def test_a_folder_that_ray_cannot_use_is_one_sentence(variable: str, folder: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_TMPDIR")}
    environment[variable] = str(tmp_path / folder)
    code = "from temporay.workflows.session import ray_session\nwith ray_session(): pass"
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    said = ended.stderr.splitlines()[-1]
    assert f"UserError: Ray cannot keep its files in {variable}={tmp_path / folder}: {why}" in said
    assert "set RAY_TMPDIR to a short folder" in said


def test_a_store_that_does_not_fit_into_shared_memory_is_told() -> None:
    assert store_in_files(8e9, 24_000_000_000) == ""
    assert store_in_files(8e9, None) == ""  # a system without such a folder
    assert store_in_files(8e9, 64_000_000).startswith(
        "Ray keeps its object store of 8.0 GB in slow files below /tmp: /dev/shm has 0.1 GB free"
    )


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:8265", "127.0.0.1:99999", "127.0.0.1:"])
def test_what_is_no_address_is_refused_with_what_is(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UserError, match=f"RAY_ADDRESS is '{address}'; give HOST:PORT"), ray_session():
        pass


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_does_not_answer_is_one_sentence(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        check_answers(address)
    with pytest.raises(UserError, match=rf"no cluster answers at RAY_ADDRESS {address} \(Connection refused\)"):
        check_answers(address)
