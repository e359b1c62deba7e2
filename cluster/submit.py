"""``temporay submit --address URL -- sft PRESET …``: a command as a Ray job on a running cluster.

    our packages, below one name → upload → Ray job on the head → its log on stdout → its exit code

The job sees the cluster's file system: paths in the command are paths there. It runs the code of this machine, from a
repository or an installed wheel alike. Python and all other packages come from the cluster. Interrupting this program
leaves the job running.
"""

import argparse
import asyncio
import difflib
import logging
import os
import re
import shlex
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

USER_ERROR, RESUMABLE, DETACHED = 2, 75, 130
PROGRAM = Path(__file__).parents[1]  # holds the packages: a repository's root, or ``temporay`` in site-packages
PACKAGES = ("operators", "models", "workflows", "cluster")
CONNECT_TIMEOUT_S = 10.0
MAX_RECONNECTS = 20
# Ray's client tells of every file it leaves out, between the lines of the job.
CHATTY = (
    "ray._private.runtime_env.packaging",
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
)
# Ray kills a stopped job 3 s after its SIGTERM; a last checkpoint takes longer.
JOB_ENVIRONMENT = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
# Environment of a job is shown in clear to everyone who can open the dashboard.
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|(?:^|_)KEY(?:$|_)|APIKEY", re.IGNORECASE)


class SubmitError(Exception):
    """The job could not be sent or never started; the message says what to change. Exit code 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command to run on a cluster."""

    arguments: tuple[str, ...]  # of ``temporay``, e.g. ("sft", "synrl", "--out", "/shared/run")
    working_dir: Path | None = None  # a folder of the user's, uploaded as the job's current folder
    python: str = "python"  # as the head's shell finds it
    submission_id: str | None = None  # None: Ray draws one
    num_cpus: float = 0.0  # reserved for the command itself; 0 runs it on the head
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def entrypoint(self) -> str:
        return shlex.join([self.python, "-m", "temporay.workflows", *self.arguments])


class JobClient(Protocol):
    """The part of Ray's JobSubmissionClient that is used here."""

    def submit_job(self, **request: Any) -> str: ...
    def get_job_info(self, job_id: str) -> Any: ...
    def stop_job(self, job_id: str) -> bool: ...
    def tail_job_logs(self, job_id: str) -> AsyncIterator[str]: ...


def submit(address: str, job: Job, *, wait: bool = True, start_timeout_s: float = 900.0) -> int:
    """Send a job, print its log as it comes, and return its exit code; without waiting, return 0 at once.

    For a cluster that asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.

    Raises:
        SubmitError: the address, the token, the working directory or the id is wrong, or the job never started.
    """
    check(job)
    client = connect(address)
    job_id = send(client, job)
    print(f"job {job_id} at {address}: {job.entrypoint}", flush=True)
    if not wait:
        return 0
    try:
        wait_for_start(client, job_id, start_timeout_s)
        asyncio.run(follow_log(client, job_id))
    except KeyboardInterrupt:
        print(f"\njob {job_id} goes on; to end it: ray job stop {job_id} --address {address}", file=sys.stderr)
        return DETACHED
    return exit_code(client.get_job_info(job_id), job_id)


def check(job: Job) -> None:
    """Refuse what cannot work before anything is uploaded.

    Raises:
        SubmitError: the folder, the command or an environment variable is wrong.
    """
    if job.working_dir is not None and not job.working_dir.is_dir():
        raise SubmitError(f"--working-dir {job.working_dir} is not a folder; give a folder of your own code, or none")
    if not job.arguments:
        raise SubmitError("there is no command to send; write it after --, e.g. -- sft synrl --out /shared/run")
    out = next((value for name, value in _flags(job.arguments) if name == "--out"), None)
    if out is not None and not out.startswith(("/", "~")):
        raise SubmitError(
            f"--out {out} would lie in the job's own folder, which is deleted with the job; give a path that begins "
            "with /, on storage that all nodes see"
        )
    for name in job.environment:
        if SECRET_NAME.search(name):
            raise SubmitError(
                f"--env {name} looks like a secret, and a job's environment is shown to every user of the cluster; "
                "set it on the cluster's nodes instead"
            )


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the flags of a command with their first values, written with ``=`` or without."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        yield name, value if equals else following


def connect(address: str) -> JobClient:
    """Return a client for the head's dashboard, e.g. ``http://127.0.0.1:8265``.

    Raises:
        SubmitError: nothing answers there, it is not a Ray dashboard, or it refuses the token.
    """
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 8265)
    except ValueError as error:
        raise SubmitError(f"--address {address}: {error}; give the dashboard, e.g. http://127.0.0.1:8265") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SubmitError(f"--address {address} is not a dashboard's address; give one like http://127.0.0.1:8265")
    try:
        socket.create_connection((parts.hostname, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise SubmitError(
            f"nothing answers at {parts.hostname}:{port} ({error}); is the head up, and its dashboard port forwarded?"
        ) from error
    netloc = parts.netloc if parts.port else f"{parts.netloc}:{port}"
    # Ray is imported this late so that wrong arguments are answered at once.
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient
    from requests import RequestException

    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with _without("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # Ray would prefer these to what was asked for
            return JobSubmissionClient(parts._replace(netloc=netloc).geturl())  # type: ignore[no-any-return]
    except AuthenticationError as error:
        raise SubmitError(
            f"{address} refuses this token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the cluster's token"
        ) from error
    except (RequestException, ConnectionError, RuntimeError) as error:
        raise SubmitError(
            f"{address} is not a Ray dashboard ({_first_line(error)}); give the head's port 8265"
        ) from error


def send(client: JobClient, job: Job) -> str:
    """Upload the program and start the job; return the job's id.

    Raises:
        SubmitError: the id is taken, the tree is too large, or the head refuses the request.
    """
    runtime_env: dict[str, Any] = {"env_vars": {**JOB_ENVIRONMENT, **job.environment}}
    if job.working_dir is not None:
        runtime_env["working_dir"] = str(job.working_dir)
    with tempfile.TemporaryDirectory() as folder:
        runtime_env["py_modules"] = [str(staged(Path(folder)))]
        try:
            return client.submit_job(
                entrypoint=job.entrypoint,
                runtime_env=runtime_env,
                submission_id=job.submission_id,
                entrypoint_num_cpus=job.num_cpus or None,
            )
        except (RuntimeError, ValueError) as error:
            if "already exists" in str(error):
                raise SubmitError(f"--submission-id {job.submission_id} is taken; give another, or none") from error
            raise SubmitError(f"the head did not take the job: {_first_line(error)}") from error


def staged(folder: Path) -> Path:
    """Copy our packages below the one name they are imported by; return the folder of that name.

    The repository keeps them at its top, where a job could not tell them from packages of the same names.
    """
    program = folder / "temporay"
    for name in PACKAGES:
        shutil.copytree(PROGRAM / name, program / name, ignore=shutil.ignore_patterns("__pycache__"))
    return program


def wait_for_start(client: JobClient, job_id: str, timeout_s: float, poll_s: float = 0.5) -> None:
    """Wait until the job runs or is over.

    Raises:
        SubmitError: it is still waiting for resources after the timeout; it has been told to stop.
    """
    deadline = time.monotonic() + timeout_s
    while (info := client.get_job_info(job_id)).status == "PENDING":
        if time.monotonic() > deadline:
            client.stop_job(job_id)
            raise SubmitError(f"job {job_id} did not start within {timeout_s:g} s: {_first_line(info.message)}")
        time.sleep(poll_s)


async def follow_log(client: JobClient, job_id: str, pause_s: float = 1.0) -> None:
    """Print the log until the job is over; after a lost connection, go on where it stopped.

    Raises:
        SubmitError: the connection was lost again and again without a word in between.
    """
    from aiohttp import ClientError  # comes with Ray

    printed, failures = 0, 0
    while failures < MAX_RECONNECTS:
        seen = 0
        try:
            async for chunk in client.tail_job_logs(job_id):  # every connection tells the log from its beginning
                fresh = chunk[max(0, printed - seen) :]
                seen += len(chunk)
                printed += len(fresh)
                failures = 0 if fresh else failures
                print(fresh, end="", flush=True)
            if client.get_job_info(job_id).status in ("SUCCEEDED", "FAILED", "STOPPED"):
                return
        except (ClientError, OSError, RuntimeError) as error:
            print(f"[log connection lost: {_first_line(error)}; connecting again]", file=sys.stderr)
        failures += 1
        await asyncio.sleep(pause_s)
    raise SubmitError(f"the log of job {job_id} was lost {MAX_RECONNECTS} times; see `ray job logs -f {job_id}`")


def exit_code(info: Any, job_id: str) -> int:
    """Return the exit code of the command; 75 when the job was stopped, because it can be submitted again to go on.

    Raises:
        SubmitError: the job ended without its command ever running.
    """
    if info.status == "SUCCEEDED":
        return 0
    if info.status == "STOPPED":
        print(f"job {job_id} was stopped; submit it again to go on", file=sys.stderr)
        return RESUMABLE
    if info.driver_exit_code is None:
        raise SubmitError(f"job {job_id} never ran its command: {_first_line(info.message)}")
    code = int(info.driver_exit_code)
    return code if code >= 0 else 128 - code  # ended by a signal, as a shell reports it


@contextmanager
def _without(*names: str) -> Iterator[None]:
    saved = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(saved)


def _first_line(message: object) -> str:
    return str(message).strip().partition("\n")[0][:300]


def _environment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings of ``temporay submit``; the command itself stands after ``--``."""
    parser.add_argument("--address", help="the head's dashboard, e.g. http://127.0.0.1:8265")
    parser.add_argument("--working-dir", type=Path, help="a folder of your own code to upload, the job's current one")
    parser.add_argument("--python", default="python", help="interpreter on the cluster (default: %(default)s)")
    parser.add_argument("--submission-id", help="the job's id, at most one job ever has it (default: drawn by Ray)")
    parser.add_argument("--num-cpus", type=float, default=0.0, help="CPUs of the command itself; 0 runs it on the head")
    parser.add_argument(
        "--env", type=_environment, action="append", default=[], metavar="NAME=VALUE", help="no secrets"
    )
    parser.add_argument("--start-timeout-s", type=float, default=900.0, help="give up on a job that does not start")
    parser.add_argument("--no-wait", action="store_true", help="return as soon as the job is accepted")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; everything after ``--`` is the command for the cluster."""
    own = list(sys.argv[1:] if argv is None else argv)
    split = own.index("--") if "--" in own else len(own)
    parser = argparse.ArgumentParser(prog="temporay submit", usage="%(prog)s --address URL [...] -- COMMAND ...")
    add_arguments(parser)
    chosen, left = parser.parse_known_args(own[:split])
    job = Job(
        arguments=tuple(own[split + 1 :]),
        working_dir=chosen.working_dir,
        python=chosen.python,
        submission_id=chosen.submission_id,
        num_cpus=chosen.num_cpus,
        environment=dict(chosen.env),
    )
    try:
        check_read(left, chosen)
        return submit(chosen.address, job, wait=not chosen.no_wait, start_timeout_s=chosen.start_timeout_s)
    except SubmitError as error:
        print(f"temporay submit: {error}", file=sys.stderr)
        return USER_ERROR


def check_read(left: Sequence[str], chosen: argparse.Namespace) -> None:
    """Refuse arguments that are no settings, and a missing address.

    Raises:
        SubmitError: there is such an argument, or no address.
    """
    if left:
        flags = [f"--{name.replace('_', '-')}" for name in vars(chosen)]
        near = difflib.get_close_matches(left[0], flags, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise SubmitError(f"unknown setting {left[0]!r}{hint} `temporay submit --help` lists every setting")
    if chosen.address is None:
        raise SubmitError("--address is missing; give the head's dashboard, e.g. http://127.0.0.1:8265")


if __name__ == "__main__":
    sys.exit(main())
