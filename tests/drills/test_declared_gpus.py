"""Runs placed on nodes that only declare GPUs: processes really start, wait with a line, or are refused.

The cluster is a process of its own (this file), because it is not that of the other tests. `pytest -s` shows the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_S, START_S, HELD_S = 900, 120.0, 6.0
MOST_STARTED = 2  # actors for each role: on few cores, processes take their time
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # all addresses on loopback, on Linux too
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONPATH": str(ROOT),
}
HEAD = {"num_cpus": 0, "num_gpus": 0, "object_store_memory": 80 << 20, "include_dashboard": False}
NODE = {"num_cpus": 96, "num_gpus": 8, "object_store_memory": 80 << 20}
# Name, nodes of 8 GPUs, engines, GPUs of each, workers, GPUs of each, GPUs that others hold at first, what comes of it.
CASES: tuple[tuple[str, int, int, float, int, float, int, str], ...] = (
    ("a head without CPUs, alone", 0, 1, 0.0, 1, 0.0, 0, "refused"),
    ("8 GPUs on a node: apart", 1, 2, 1.0, 6, 1.0, 0, "started"),
    ("8 GPUs on a node: together", 1, 8, 0.51, 8, 0.49, 0, "started"),
    ("8 GPUs on a node: two engines on one", 1, 8, 0.4, 8, 0.6, 0, "refused"),
    ("8 GPUs on a node: too little", 1, 2, 1.0, 8, 1.0, 0, "refused"),
    ("8 GPUs on a node: freed later", 1, 2, 1.0, 6, 1.0, 4, "waited with a line, started"),
    ("4 nodes of 8: apart", 4, 2, 4.0, 24, 1.0, 0, "started"),
    ("4 nodes of 8: an engine of 16", 4, 1, 16.0, 8, 1.0, 0, "refused"),
    ("4 nodes of 8: freed later", 4, 4, 2.0, 24, 1.0, 8, "waited with a line, started"),
)


@pytest.mark.drill
@pytest.mark.timeout(TIMEOUT_S + 60)
def test_placed_on_declared_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="gp", dir="/tmp") as scratch:  # short: paths of sockets have a limit
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        done = subprocess.run(
            [sys.executable, __file__],
            env=environment | ENVIRONMENT | {"RAY_TMPDIR": scratch},
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    with capsys.disabled():
        for row in rows:
            print(f"\n{row['name']:<32} {row['seconds']:5.1f} s  {row['what']:<28} {row['said']}", end="")
    assert [row["what"] for row in rows] == [*(case[-1] for case in CASES), "refused", "waited with a line, started"]
    assert all(row["seconds"] < 60.0 for row in rows if row["what"] == "refused")


def main() -> None:
    """Go through all cases on a cluster that grows with them."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    num_nodes = 0
    try:
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        for name, nodes, *case, _ in CASES:
            for _ in range(nodes - num_nodes):
                cluster.add_node(**NODE)
            num_nodes = nodes
            cluster.wait_for_nodes()
            print(json.dumps({"name": name, **placed(*case)}), flush=True)
        for name, answers in (("nodes to start: there are none", False), ("nodes to start: they come", True)):
            print(json.dumps({"name": name, **asked_for(cluster, answers=answers)}), flush=True)
    finally:
        ray.shutdown()
        cluster.shutdown()


def placed(engines: int, engine_gpus: float, workers: int, worker_gpus: float, held: int) -> dict[str, Any]:
    """Wait for room as a run does, start small actors for some processes of each role, and say what came of it."""
    import ray
    from temporay.operators.errors import UserError
    from temporay.workflows.grpo.learner import trainer_needs
    from temporay.workflows.grpo.settings import GrpoSettings
    from temporay.workflows.rollouts.settings import ResolvedPool
    from temporay.workflows.room import Wait, await_room, read_cluster

    settings = GrpoSettings(num_workers=workers, gpus_per_worker=worker_gpus)
    pool = ResolvedPool(num_engines=engines, num_gpus=engine_gpus)
    needs = [pool.need, *trainer_needs(settings, pool, read_cluster())]
    others = [ray.remote(Process).options(num_cpus=0, num_gpus=1).remote() for _ in range(held)]
    ray.get([other.ping.remote() for other in others], timeout=START_S)
    freed = threading.Timer(HELD_S, lambda: [ray.kill(other) for other in others])
    freed.start()
    said: list[str] = []
    start_s = time.monotonic()
    try:
        await_room(needs, Wait(say=said.append))
    except UserError as error:
        return {"what": "refused", "seconds": time.monotonic() - start_s, "said": str(error)}
    finally:
        freed.join()
    actor = ray.remote(Process)
    actors = [
        actor.options(**need.actor_options).remote() for need in needs for _ in range(min(need.count, MOST_STARTED))
    ]
    ray.get([one.ping.remote() for one in actors], timeout=START_S)
    seconds = time.monotonic() - start_s
    for one in actors:
        ray.kill(one)
    time.sleep(1.0)  # until their resources are free again
    what = "waited with a line, started" if said else "started"
    return {"what": what, "seconds": seconds, "said": said[0] if said else ""}


def asked_for(cluster: Any, *, answers: bool) -> dict[str, Any]:
    """Wait for a node that an autoscaler, whose part is played here, starts or says that it does not have."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_resource_state
    from ray.core.generated.autoscaler_pb2 import AutoscalingState
    from temporay.operators.errors import UserError
    from temporay.workflows.placement import RoleNeed
    from temporay.workflows.room import Wait, await_room

    scheduler = ray._private.worker.global_worker.gcs_client
    state = AutoscalingState(autoscaler_state_version=10 if answers else 1)
    scheduler.report_autoscaling_state(state.SerializeToString())
    need = RoleNeed(role="engine", count=2, each={"GPU": 1.0, "rollout": 0.01}, change="pool.num_engines")
    said: list[str] = []
    done: dict[str, Any] = {}

    def wait() -> None:
        try:
            await_room([need], Wait(say=said.append))
            done.update(what="waited with a line, started", said=said[0])
        except UserError as error:
            done.update(what="refused", said=str(error))

    start_s = time.monotonic()
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(HELD_S)
    if answers:
        cluster.add_node(**NODE, resources={"rollout": 1})
    else:
        asked = get_cluster_resource_state(scheduler)
        state.infeasible_gang_resource_requests.extend(asked.pending_gang_resource_requests)
        state.autoscaler_state_version += 1
        scheduler.report_autoscaling_state(state.SerializeToString())
    thread.join(START_S)
    return {**done, "seconds": time.monotonic() - start_s}


class Process:
    def ping(self) -> None:
        """Answer when it is placed."""


if __name__ == "__main__":
    main()
