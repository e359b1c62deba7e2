"""Joins the Ray cluster the environment names, or starts one of this machine's size for the length of a command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from temporay.operators.components import OWN_FOLDERS
from temporay.workflows.environment import quiet_libraries

LOCAL_OBJECT_STORE_BYTES = 400 << 20
# A local cluster counts twice the cores, at least 4: engine, trainer and data actors take turns on few cores, and Ray
# Data waits for ever without a word when actors hold every CPU.
LOCAL_CPU_FACTOR, LOCAL_MIN_CPUS = 2, 4
# Where tasks run. Left to itself, Ray Tune keeps what a trial starts in the trial's placement group, whose CPUs
# are taken: the tasks would wait for ever.
ANYWHERE = "SPREAD"


@contextmanager
def ray_session() -> Iterator[None]:
    """Ray is ready inside; a cluster started here is ended after, one that was joined is left alone."""
    joins = "RAY_ADDRESS" in os.environ
    if not joins:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of this command alone, on loopback
    import ray  # heavy: not for --help

    if ray.is_initialized():
        yield
        return
    if joins:
        # Nodes see the user's own components below the same path, like datasets and runs.
        own = os.environ.get(OWN_FOLDERS)
        runtime_env = {"env_vars": {OWN_FOLDERS: own}} if own else None
        ray.init(runtime_env=runtime_env, logging_level="ERROR", log_to_driver=False)
    else:
        ray.init(
            num_cpus=max(LOCAL_MIN_CPUS, LOCAL_CPU_FACTOR * (os.cpu_count() or 1)),
            object_store_memory=LOCAL_OBJECT_STORE_BYTES,
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
        )
    try:
        quiet_libraries()
        yield
    finally:
        ray.shutdown()
