"""Waits until a cluster has room for a run, says what it waits for, and refuses what can never fit.

    needs → placement group → placed: start
                            → not yet: a line every ``LINE_EVERY_S``, or an error once it is sure that it never will be

The placement group is what an autoscaler sees: it starts nodes for it. It is given back right before the run starts.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply
from ray.util.placement_group import placement_group, remove_placement_group
from temporay.operators.errors import UserError
from temporay.workflows.placement import ClusterState, NodeState, RoleNeed, StartableNodes, judge

POLL_S = 0.5
FIRST_LINE_S, LINE_EVERY_S = 2.0, 30.0
# Nodes of a cluster without an autoscaler may still be joining it when a command comes.
JOINING_S = 30.0
NODE_TYPE = "ray.io/node-group"  # Ray's label of nodes that an autoscaler started
# Where ``ray up`` leaves the cluster's configuration on its head.
LAUNCHER_CONFIG = Path("~/ray_bootstrap_config.yaml")


class Wait:
    """One wait for room: since when, and when the next line is due."""

    def __init__(
        self,
        *,
        first_line_s: float = FIRST_LINE_S,
        joining_s: float | None = None,
        read: Callable[[], ClusterState] | None = None,
        say: Callable[[str], None] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to wait.

        Args:
            first_line_s: seconds until the first line.
            joining_s: seconds for which too small a cluster may still grow; None: 0 for one that this command started.
            read: returns the state of the cluster; None: of Ray's.
            say: prints a line; None: on the terminal.
            now_s: the clock.
        """
        self._joining_s = (JOINING_S if "RAY_ADDRESS" in os.environ else 0.0) if joining_s is None else joining_s
        self._read = read or read_cluster
        self._say = say or partial(print, flush=True)
        self._now_s = now_s
        self._since_s = self._next_look_s = now_s()
        self._next_line_s = self._since_s + first_line_s
        self._too_small_since_s: float | None = None

    def look(self, needs: Sequence[RoleNeed], *, infeasible: bool = False, otherwise: str = "") -> None:
        """Compare with the cluster, if that is due, and say what is waited for, if a line is due.

        Args:
            needs: what is to be placed and is not yet.
            infeasible: the autoscaler says that it has no nodes for this.
            otherwise: what to say when there is room.

        Raises:
            UserError: it can never be placed.
        """
        now_s = self._now_s()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + POLL_S
        cluster = self._read()
        placement = judge(needs, replace(cluster, startable=()) if infeasible else cluster)
        if placement.decision != "refuse":
            self._too_small_since_s = None
        else:
            self._too_small_since_s = now_s if self._too_small_since_s is None else self._too_small_since_s
            if infeasible or now_s - self._too_small_since_s >= self._joining_s:
                raise UserError(placement.sentence)
        if now_s >= self._next_line_s:
            self._next_line_s = now_s + LINE_EVERY_S
            sentence = placement.sentence or otherwise or "waiting for processes to start"
            if placement.decision == "refuse":
                sentence = f"waiting for nodes to join: {sentence}"
            self._say(f"{sentence} ({now_s - self._since_s:.0f} s)")


def refuse_what_never_fits(needs: Sequence[RoleNeed]) -> None:
    """Refuse what can never be placed, at once or after nodes had time to join.

    Raises:
        UserError: the cluster, and all nodes that it can start, are too small.
    """
    wait = Wait()
    while judge(needs, read_cluster()).decision == "refuse":
        wait.look(needs)
        time.sleep(POLL_S)


def await_room(needs: Sequence[RoleNeed], wait: Wait | None = None) -> None:
    """Wait until everything that a run needs has room at once.

    Raises:
        UserError: it can never be placed, where Ray would wait without end and without a word.
    """
    refuse_what_never_fits(needs)
    bundles = [need.bundle for need in needs for _ in range(need.count) if need.bundle]
    if not bundles:
        return
    wait = wait or Wait()
    group = placement_group(bundles, strategy="PACK")
    try:
        while not group.wait(POLL_S):
            wait.look(needs, infeasible=is_infeasible(group))
    finally:
        remove_placement_group(group)


def read_cluster() -> ClusterState:
    """Return what Ray's nodes have, and what its autoscaler could start, if there is one."""
    free = ray._private.state.available_resources_per_node()
    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = tuple(NodeState(total=node["Resources"], free=free.get(node["NodeID"], {})) for node in alive)
    types = _node_types()
    if types is None:
        return ClusterState(nodes=nodes, startable=None if _autoscaler_state() is not None else ())
    running = [node.get("Labels", {}).get(NODE_TYPE) for node in alive]
    startable = tuple(
        StartableNodes(name=name, count=max(0, most - running.count(name)), each=resources)
        for name, (most, resources) in types.items()
    )
    return ClusterState(nodes=nodes, startable=startable)


def _node_types() -> dict[str, tuple[int, Mapping[str, float]]] | None:
    """Return the most nodes of each type and what they have; None: nobody says."""
    config = ray._private.state.state.get_cluster_config()  # platforms report it to Ray
    if config is not None and config.node_group_configs:
        return {
            group.name: (group.max_count if group.max_count >= 0 else 1 << 16, dict(group.resources))
            for group in config.node_group_configs
        }
    path = LAUNCHER_CONFIG.expanduser()  # the driver of a job runs on the head
    return (
        node_types_of(yaml.safe_load(path.read_text())) if path.exists() and _autoscaler_state() is not None else None
    )


def node_types_of(launcher_config: Mapping[str, Any]) -> dict[str, tuple[int, Mapping[str, float]]]:
    """Return what the configuration of ``ray up`` says: the most nodes of each type, and what one of them has."""
    head = launcher_config["head_node_type"]
    return {
        name: (1 if name == head else node.get("max_workers", 0), node.get("resources", {}))
        for name, node in launcher_config["available_node_types"].items()
    }


def _autoscaler_state() -> Any:
    """Return what an autoscaler last said; None: there is none."""
    client = ray._private.worker.global_worker.gcs_client
    reply = GetClusterStatusReply()
    reply.ParseFromString(client.get_cluster_status())
    return reply.autoscaling_state if reply.autoscaling_state.autoscaler_state_version else None


def is_infeasible(group: Any) -> bool:
    """Return whether the autoscaler says that none of its nodes can hold a placement group."""
    state = _autoscaler_state()
    requests = () if state is None else state.infeasible_gang_resource_requests
    return any(group.id.hex() in request.details for request in requests)
