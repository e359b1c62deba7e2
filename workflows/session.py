"""Joins the Ray cluster the environment names, or starts one of this machine's size for the length of a command."""

import os
import re
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temporay.operators.components import OWN_FOLDERS
from temporay.operators.errors import UserError
from temporay.operators.files import STORAGE_ERRORS
from temporay.workflows.environment import quiet_libraries
from temporay.workflows.interruption import RAY_PROCESSES, descendants, end_leftovers

SHARED_MEMORY = Path("/dev/shm")
# A local cluster counts twice the cores, at least 4: engine, trainer and data actors take turns on few cores, and Ray
# Data waits for ever without a word when actors hold every CPU.
LOCAL_CPU_FACTOR, LOCAL_MIN_CPUS = 2, 4
# What Ray does for clusters and takes seconds or a tenth of a core: it waits for nodes to be taken away, and looks for
# new log files ten times a second, which it is told not to print. And what glibc does with freed memory, by default: a
# trainer and an engine of half a billion weights keep 1.5 GB of it.
ON_ONE_MACHINE = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",  # from so many files on it looks once in the time below
    "LOG_NAME_UPDATE_INTERVAL_S": "60",
    # Idle workers of an earlier stage would keep what they loaded, half a gigabyte each.
    "RAY_num_workers_soft_limit": "1",
    "RAY_idle_worker_killing_time_threshold_ms": "30000",  # those of rewards have work every few seconds
    "RAY_raylet_start_wait_time_s": "300",  # Ray's own 30 are too few where many others use the cores
    # Blocks of so many bytes go back to the system when they are freed. From 1 MiB on, a small model takes half as long
    # again, because every block is mapped anew.
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
ADDRESS = re.compile(r"(?:ray://)?(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/]+):(?P<port>\d{1,5})")
ANSWER_TIMEOUT_S = 10.0
# In what Ray says when its own processes do not get up within 30 s.
TOO_LATE = ("timed out during startup", "Timed out waiting for file")
MAX_STARTS = 5
TOO_LONG = "AF_UNIX path length"  # in what Ray says of its folder, before it starts anything
FOLDER_VARIABLES = ("RAY_TMPDIR", "TMPDIR")  # that name the folder of Ray's files, the first one that is set
# Where tasks run. Left to itself, Ray Tune keeps what a trial starts in the trial's placement group, whose CPUs
# are taken: the tasks would wait for ever.
ANYWHERE = "SPREAD"


def store_in_files(store_bytes: float, shared_memory_bytes: int | None) -> str:
    """Say that Ray's object store does not fit into shared memory, so that Ray puts it into files; empty if it fits.

    Args:
        shared_memory_bytes: what was free before Ray started; None: this system has no such folder.
    """
    if shared_memory_bytes is None or store_bytes <= shared_memory_bytes:
        return ""
    return (
        f"Ray keeps its object store of {store_bytes / 1e9:.1f} GB in slow files below /tmp: {SHARED_MEMORY} has "
        f"{shared_memory_bytes / 1e9:.1f} GB free; give it more, in a container with --shm-size"
    )


def check_answers(address: str) -> None:
    """Refuse the address of a cluster at which nobody answers: Ray itself would try for ever.

    Raises:
        UserError: it is no address, or nobody takes a connection there.
    """
    if address in ("auto", "local"):
        return
    otherwise = "or unset RAY_ADDRESS, and the command starts a cluster of its own"
    found = ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > 65535:
        raise UserError(f"RAY_ADDRESS is {address!r}; give HOST:PORT as `ray start --head` prints it, {otherwise}")
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), ANSWER_TIMEOUT_S).close()
    except OSError as error:
        why = error.strerror or "no answer in time"
        raise UserError(f"no cluster answers at RAY_ADDRESS {address} ({why}); start it, {otherwise}") from error


def start_own() -> None:
    """Start a cluster of this machine's size. Where Ray does not get up in time, say so and start it again.

    Raises:
        UserError: Ray's folder cannot be used, or its processes do not get up in ``MAX_STARTS`` times.
    """
    import ray

    for start in range(1, MAX_STARTS + 1):
        try:
            ray.init(
                address="local",  # without it, Ray joins whatever cluster `ray start` has left on this machine
                num_cpus=max(LOCAL_MIN_CPUS, LOCAL_CPU_FACTOR * (os.cpu_count() or 1)),
                include_dashboard=False,
                logging_level="ERROR",
                log_to_driver=False,
            )
            return
        except OSError as error:
            refuse_folder(error)
            raise
        except Exception as error:  # Ray has no class of its own for it
            if not any(said in str(error) for said in TOO_LATE):
                raise
            end_leftovers(descendants(RAY_PROCESSES))
            late = (
                f"Ray did not start in time on this machine, whose {os.cpu_count()} cores have "
                f"{os.getloadavg()[0]:.0f} programs to run"
            )
            if start == MAX_STARTS:
                raise UserError(f"{late}, {MAX_STARTS} times; give the same command again when fewer run") from error
            print(f"{late}; it is started again ({start} of {MAX_STARTS - 1})", flush=True)


def refuse_folder(error: OSError) -> None:
    """Refuse the folder in which Ray keeps its files and sockets, if an error is about that.

    Raises:
        UserError: its path is too long for a socket, or it cannot be written.
    """
    if TOO_LONG in str(error):
        why = "its path is too long: a socket below it may have 107 bytes (macOS: 103)"
    elif error.errno in STORAGE_ERRORS:
        why = f"it cannot be written ({error.strerror})"
    else:
        return
    name = next((name for name in FOLDER_VARIABLES if name in os.environ), FOLDER_VARIABLES[0])
    raise UserError(
        f"Ray cannot keep its files in {name}={os.environ.get(name, '/tmp')}: {why}; set RAY_TMPDIR to a short folder "
        "of the machine's own disk, such as /tmp"
    ) from error


@contextmanager
def ray_session() -> Iterator[None]:
    """Ray is ready inside; a cluster started here is ended after, one that was joined is left alone.

    Raises:
        UserError: the environment names a cluster, and nobody answers there; or one cannot be started here.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of this command alone, on loopback
        for name, value in ON_ONE_MACHINE.items():
            os.environ.setdefault(name, value)
    import ray  # heavy: not for --help

    if ray.is_initialized():
        yield
        return
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if address:
        check_answers(address)
        # Nodes see the user's own components below the same path, like datasets and runs.
        own = os.environ.get(OWN_FOLDERS)
        runtime_env = {"env_vars": {OWN_FOLDERS: own}} if own else None
        try:
            ray.init(runtime_env=runtime_env, logging_level="ERROR", log_to_driver=False)
        except ConnectionError as error:
            raise UserError(f"RAY_ADDRESS is {address}, and no cluster was found ({error}); start one first") from error
    else:
        shared_memory_bytes = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.exists() else None
        start_own()
        if said := store_in_files(ray.cluster_resources()["object_store_memory"], shared_memory_bytes):
            print(said, flush=True)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in place, which exits with code 15
    try:
        quiet_libraries()
        yield
    finally:
        started = descendants(RAY_PROCESSES)  # none where a cluster was joined
        ray.shutdown()
        end_leftovers(started)
