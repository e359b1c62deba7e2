"""Waiting for room: what is said, when it is refused, and that a run starts when others give back what they had."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import ray
from temporay.operators.errors import UserError
from temporay.workflows.placement import ClusterState, NodeState, RoleNeed, StartableNodes
from temporay.workflows.room import LINE_EVERY_S, Wait, await_room, read_cluster, refuse_what_never_fits

WORKERS = RoleNeed(role="training worker", count=4, each={"GPU": 1.0}, change="num_workers")


def cluster(gpus: float, free: float, can_start: int = 0) -> ClusterState:
    startable = (StartableNodes(name="more", count=can_start, each={"GPU": 1.0}),)
    return ClusterState(nodes=(NodeState(total={"GPU": gpus}, free={"GPU": free}),), startable=startable)


class Clock:
    """A clock that a test moves, and what was said by it."""

    def __init__(self, read: Callable[[], ClusterState], joining_s: float) -> None:
        self.now_s, self.lines = 0.0, list[str]()
        self.wait = Wait(joining_s=joining_s, read=read, say=self.lines.append, now_s=lambda: self.now_s)

    def run_to(self, end_s: float) -> None:
        while self.now_s < end_s:
            self.now_s += 1.0
            self.wait.look([WORKERS])


def test_a_line_now_and_then_says_what_is_waited_for() -> None:
    clock = Clock(lambda: cluster(gpus=8, free=1), joining_s=0.0)
    clock.run_to(2.5 * LINE_EVERY_S)
    assert len(clock.lines) == 3
    assert clock.lines[0] == (
        "waiting for room for 4 training workers (1 GPU each): 4 GPUs needed, the cluster has 8, 1 free (2 s)"
    )


def test_nodes_may_join_for_a_while() -> None:
    clock = Clock(lambda: cluster(gpus=2, free=2), joining_s=20.0)
    clock.run_to(20.0)
    assert clock.lines[0].startswith("waiting for nodes to join: there is no room for 4 training workers")
    with pytest.raises(UserError, match="lower num_workers, or start more nodes"):
        clock.run_to(22.0)


def test_a_node_that_is_lost_and_comes_again_is_no_reason_to_refuse() -> None:
    clock = Clock(lambda: cluster(gpus=2 if clock.now_s % 10 < 8 else 4, free=0), joining_s=20.0)
    clock.run_to(100.0)


def test_the_autoscaler_knows_best() -> None:
    clock = Clock(lambda: cluster(gpus=0, free=0, can_start=4), joining_s=60.0)
    clock.run_to(3.0)
    assert "nodes are to be started" in clock.lines[0]
    clock.now_s += 1.0
    with pytest.raises(UserError, match="there is no room"):
        clock.wait.look([WORKERS], infeasible=True)


def cpus(count: int) -> RoleNeed:
    return RoleNeed(role="training worker", count=count, each={"CPU": 1.0}, change="num_workers")


@pytest.mark.usefixtures("ray_cluster")
def test_what_can_never_fit_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    most = int(ray.cluster_resources()["CPU"])
    refuse_what_never_fits([cpus(most)])
    with pytest.raises(UserError, match=f"there is no room for {most + 1} training workers"):
        await_room([cpus(most + 1)])


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_starts_when_others_give_back_what_they_had() -> None:
    """The placement group is what decides; the lines only say what is waited for."""
    most = int(ray.cluster_resources()["CPU"])
    holder = ray.remote(Holder).options(num_cpus=most).remote()
    ray.get(holder.ready.remote())
    said, waited = list[str](), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waited.set()

    wait = Wait(first_line_s=0.0, say=say)
    thread = threading.Thread(target=await_room, args=([cpus(2)], wait), daemon=True)
    thread.start()
    assert waited.wait(60.0)
    assert f"2 CPUs needed, the cluster has {most}, 0 free" in said[0]
    assert thread.is_alive()
    ray.kill(holder)
    thread.join(60.0)
    assert not thread.is_alive()
    assert read_cluster().startable == ()


class Holder:
    def ready(self) -> None:
        """Answer when it is placed."""
