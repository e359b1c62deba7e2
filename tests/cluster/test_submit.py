"""``temporay submit``: every wrong input is one sentence, and a real head returns logs and exit codes."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporay.cluster import submit
from temporay.cluster.submit import (
    PACKAGES,
    PROGRAM,
    Job,
    SubmitError,
    check,
    exit_code,
    follow_log,
    main,
    send,
    staged,
    wait_for_start,
)


class FakeClient:
    """A head that tells a prepared story: statuses one by one, and what each log connection says."""

    def __init__(self, statuses: list[str] | None = None, logs: list[list[str | Exception]] | None = None) -> None:
        self.statuses = statuses or ["SUCCEEDED"]
        self.logs = logs or []
        self.stopped: list[str] = []
        self.refusal: Exception | None = None
        self.requests: list[dict[str, Any]] = []

    def submit_job(self, **request: Any) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.requests.append(request)
        return "job-1"

    def get_job_info(self, job_id: str) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return SimpleNamespace(status=status, message="no node has 64 CPUs", driver_exit_code=None)

    def stop_job(self, job_id: str) -> bool:
        self.stopped.append(job_id)
        return True

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        for chunk in self.logs.pop(0):
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


def make_job(**changes: Any) -> Job:
    return Job(**{"arguments": ("sft", "synrl", "--out", "/shared/a run"), **changes})


def test_the_entrypoint_is_quoted_for_a_shell() -> None:
    assert make_job().entrypoint == "python -m temporay.workflows sft synrl --out '/shared/a run'"
    assert make_job(python="/opt/venv/bin/python").entrypoint.startswith("/opt/venv/bin/python -m temporay.workflows")


def test_a_command_that_does_not_wait_does_not_ask_how_the_job_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(submit, "connect", lambda address: FakeClient(["FAILED"], [[]]))
    assert submit.submit("http://127.0.0.1:8265", make_job(), wait=False) == 0
    assert capsys.readouterr().out.startswith("job job-1 at http://127.0.0.1:8265: python -m temporay.workflows sft")
    with pytest.raises(SubmitError, match="never ran its command"):
        submit.submit("http://127.0.0.1:8265", make_job())


def test_a_job_carries_the_program_and_no_secret(tmp_path: Path) -> None:
    client = FakeClient()
    job = make_job(environment={"HF_HUB_OFFLINE": "1"}, num_cpus=2.0)
    assert send(client, job) == "job-1"
    assert send(client, make_job(working_dir=tmp_path)) == "job-1"
    first, second = (request["runtime_env"] for request in client.requests)
    assert [Path(module).name for module in first["py_modules"]] == ["temporay"]
    assert "working_dir" not in first
    assert second["working_dir"] == str(tmp_path)
    assert first["env_vars"]["HF_HUB_OFFLINE"] == "1"
    assert client.requests[0]["entrypoint_num_cpus"] == 2.0
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "db_password"):
        with pytest.raises(SubmitError, match="looks like a secret"):
            check(make_job(environment={name: "x"}))


@pytest.mark.parametrize("out", [("--out", "runs/x"), ("--out=runs/x",), ("--out", "./x")])
def test_results_are_not_left_in_the_folder_of_a_job(out: tuple[str, ...]) -> None:
    with pytest.raises(SubmitError, match="is deleted with the job; give a path that begins with /"):
        check(make_job(arguments=("sft", "synrl", *out)))
    check(make_job(arguments=("sft", "synrl", "--out=~/x")))
    check(make_job(arguments=("doctor",)))


def test_what_is_uploaded_is_our_packages_below_one_name(tmp_path: Path) -> None:
    program = staged(tmp_path)
    assert sorted(path.name for path in program.iterdir()) == sorted(PACKAGES)
    files = {path.relative_to(program) for path in program.rglob("*") if path.is_file()}
    assert files == {
        path.relative_to(PROGRAM)
        for name in PACKAGES
        for path in (PROGRAM / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (RuntimeError("Request failed with status code 500: ... j1 already exists. Please"), "j1 is taken"),
        (RuntimeError("Request failed with status code 413: too large\nTraceback"), "did not take the job: .*413"),
        (ValueError("working_dir is too large"), "too large"),
    ],
)
def test_what_the_head_refuses_is_one_sentence(refusal: Exception, message: str) -> None:
    client = FakeClient()
    client.refusal = refusal
    with pytest.raises(SubmitError, match=message) as caught:
        send(client, make_job(submission_id="j1"))
    assert "\n" not in str(caught.value)


def test_a_job_that_never_starts_is_given_up_and_told_to_stop() -> None:
    client = FakeClient(["PENDING"])
    with pytest.raises(SubmitError, match=r"did not start within 0\.05 s: no node has 64 CPUs"):
        wait_for_start(client, "job-1", timeout_s=0.05, poll_s=0.01)
    assert client.stopped == ["job-1"]
    wait_for_start(FakeClient(["PENDING", "PENDING", "RUNNING"]), "job-1", timeout_s=60, poll_s=0.001)


def test_a_lost_log_goes_on_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    lost = RuntimeError("WebSocket connection closed unexpectedly")
    client = FakeClient(
        ["RUNNING", "SUCCEEDED"], [["one\ntw", lost], [lost], ["one\n", "two\nth"], ["one\ntwo\nthree\n"]]
    )
    asyncio.run(follow_log(client, "job-1", pause_s=0.0))
    output = capsys.readouterr()
    assert output.out == "one\ntwo\nthree\n"
    assert output.err.count("connection lost") == 2


def test_a_log_that_stays_lost_is_given_up() -> None:
    client = FakeClient(["RUNNING"], [[OSError("gone")] for _ in range(20)])
    with pytest.raises(SubmitError, match="lost 20 times"):
        asyncio.run(follow_log(client, "job-1", pause_s=0.0))


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [("SUCCEEDED", 0, 0), ("FAILED", 3, 3), ("FAILED", 2, 2), ("FAILED", -9, 137), ("STOPPED", None, 75)],
)
def test_exit_codes(status: str, driver: int | None, code: int) -> None:
    assert exit_code(SimpleNamespace(status=status, driver_exit_code=driver, message=""), "job-1") == code


def test_a_job_without_a_driver_never_ran() -> None:
    info = SimpleNamespace(status="FAILED", driver_exit_code=None, message="runtime_env failed\nTraceback")
    with pytest.raises(SubmitError, match=r"never ran its command: runtime_env failed$"):
        exit_code(info, "job-1")


def free_ports(count: int) -> list[int]:
    """Different ports, below the range that Ray hands to its workers."""
    ports = []
    for port in range(7300, 9999):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no free ports")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--address", "ftp://head", "--", "sft"], "not a dashboard's address"),
        (["--adress", "ftp://head", "--", "sft"], "unknown setting '--adress'; did you mean '--address'? `temporay"),
        (["--", "sft"], "--address is missing; give the head's dashboard"),
        (["--address", "http://127.0.0.1:99999", "--", "sft"], "http://127.0.0.1:8265"),
        (["--address", "http://127.0.0.1:1", "--", "sft"], "nothing answers at 127.0.0.1:1"),
        (["--address", "http://127.0.0.1:1"], "there is no command"),
        (["--address", "http://127.0.0.1:1", "--working-dir", "/no", "--", "sft"], "--working-dir /no is not a folder"),
        (["--address", "http://127.0.0.1:1", "--env", "HF_TOKEN=x", "--", "sft"], "HF_TOKEN looks like a secret"),
    ],
)
def test_wrong_input_exits_with_2_and_one_line(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """End the head and everything that is in its session, and nothing else."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """The dashboard of a Ray head of this test alone: own session, own folder, own ports, loopback."""
    folder = Path(tempfile.mkdtemp(prefix="ry", dir="/tmp"))  # Ray's socket paths must be short
    binaries = Path(sys.executable).parent
    gcs_port, client_port, dashboard_port = free_ports(3)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{binaries}:{os.environ['PATH']}",  # `python` of a job is the head's
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_JOB_START_TIMEOUT_SECONDS": "60",
        "OMP_NUM_THREADS": "1",
    }
    command = [f"{binaries}/ray", "start", "--head", "--block", "--num-cpus=1", f"--temp-dir={folder}"]
    command += [f"--port={gcs_port}", f"--ray-client-server-port={client_port}", f"--dashboard-port={dashboard_port}"]
    command += ["--dashboard-host=127.0.0.1", "--dashboard-agent-listen-port=0", "--object-store-memory=100000000"]
    command += ["--min-worker-port=0", "--max-worker-port=0"]
    log = (folder / "head.log").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + 240  # a machine may be busy
        while not _answers(dashboard_port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the head did not come up:\n{(folder / 'head.log').read_text()[-3000:]}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{dashboard_port}"
    finally:
        log.close()
        end_process_group(process)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A stand-in for our packages: ``workflows`` prints what it sees and exits as it is told."""
    folder = tmp_path / "program"
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
    (folder / "workflows" / "__main__.py").write_text(
        "import os, sys, temporay.operators\n"
        "print('arguments', sys.argv[1:], 'files', sorted(os.listdir('.')))\n"
        "print('joins', 'RAY_ADDRESS' in os.environ, 'wait', os.environ['RAY_JOB_STOP_WAIT_TIME_S'])\n"
        "sys.exit(int(sys.argv[-1]))\n"
    )
    return folder


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of the user's with packages of the same names as ours."""
    folder = tmp_path / "hostile"
    for name in (*PACKAGES, "tests"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('the {name} of somebody else')\n")
    return folder


def test_a_real_head_returns_log_and_exit_code(
    head: str, program: Path, hostile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The uploaded code runs, whatever is installed on the cluster and whatever the user's folder holds."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")  # must not win over --address
    monkeypatch.setattr(submit, "PROGRAM", program)
    base = ["--address", head, "--working-dir", str(hostile)]
    assert main([*base, "--submission-id", "once", "--", "sft", "a b", "0"]) == 0
    output = capsys.readouterr().out
    assert f"arguments ['sft', 'a b', '0'] files {sorted((*PACKAGES, 'tests'))}" in output
    assert "joins True wait 60" in output

    assert main([*base, "--submission-id", "once", "--", "sft", "0"]) == 2
    assert "--submission-id once is taken" in capsys.readouterr().err

    assert main(["--address", head, "--", "sft", "3"]) == 3
    assert "arguments ['sft', '3']" in capsys.readouterr().out
