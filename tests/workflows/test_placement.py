"""What is started, waited for and refused, on clusters of every form: a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from temporay.models.engines._settings import EngineSettings
from temporay.workflows.grpo.checks import needs
from temporay.workflows.grpo.learner import trainer_needs
from temporay.workflows.grpo.settings import GrpoSettings
from temporay.workflows.placement import (
    ClusterState,
    Decision,
    NodeState,
    Resources,
    RoleNeed,
    StartableNodes,
    judge,
    most_at_once,
)
from temporay.workflows.rollouts.gpu_shares import shares_of
from temporay.workflows.rollouts.settings import ResolvedPool
from temporay.workflows.room import node_types_of

from tests.gpu.measure import Settings, grpo_config

APART = ResolvedPool()
HEAD: Resources = {"CPU": 0.0, "node:__internal_head__": 1.0}
BIG: Resources = {"CPU": 96.0, "GPU": 8.0, "memory": 1e12}
ONE_GPU: Resources = {"CPU": 8.0, "GPU": 1.0}


def nodes(*totals: Resources, free_gpus: float | None = None) -> tuple[NodeState, ...]:
    """Return nodes that are free, or of which each has only so many GPUs free."""
    free = {} if free_gpus is None else {"GPU": free_gpus}
    return tuple(NodeState(total=total, free={**total, **free}) for total in totals)


def engines(count: int, gpus: float, **more: float) -> RoleNeed:
    return ResolvedPool(num_engines=count, num_gpus=gpus, resources=more).need


def trainer(workers: int, gpus: float | None = None, **more: float) -> tuple[RoleNeed, ...]:
    settings = GrpoSettings(num_workers=workers, gpus_per_worker=gpus, worker_resources=more)
    return trainer_needs(settings, APART, ClusterState(nodes=nodes(BIG)))


@dataclass(frozen=True)
class Case:
    name: str
    cluster: ClusterState
    needs: tuple[RoleNeed, ...]
    decision: Decision
    said: str = ""


EIGHT, IN_USE = ClusterState(nodes=nodes(BIG)), ClusterState(nodes=nodes(BIG, free_gpus=4.0))
FOUR_NODES = ClusterState(nodes=nodes(HEAD, BIG, BIG, BIG, BIG))
ROLLOUT = StartableNodes(name="rollout", count=4, each={"CPU": 8.0, "GPU": 1.0, "rollout": 1.0})
GROWING = ClusterState(nodes=nodes(HEAD, {**BIG, "trainer": 1.0}), startable=(ROLLOUT,))
CASES = [
    Case("8 GPUs: apart", EIGHT, (engines(2, 1), *trainer(6)), "start"),
    Case("8 GPUs: together", EIGHT, (engines(8, 0.51), *trainer(8, 0.49)), "start"),
    Case("8 GPUs: two engines on one", EIGHT, (engines(8, 0.4), *trainer(8, 0.6)), "refuse", "but not so that each"),
    Case(
        "8 GPUs: too little", EIGHT, (engines(2, 1), *trainer(8)), "refuse", "together 10 GPUs, 9.01 CPUs: the cluster"
    ),
    Case(
        "8 GPUs: freed later", IN_USE, (engines(2, 1), *trainer(6)), "wait", "8 GPUs needed, the cluster has 8, 4 free"
    ),
    Case("8 GPUs: fits beside others", IN_USE, (engines(1, 1), *trainer(3)), "start"),
    Case("8 GPUs: CPUs too few", EIGHT, trainer(97, 0), "refuse", "together 97.01 CPUs: the cluster has 96 CPUs"),
    Case("4 nodes of 8: apart", FOUR_NODES, (engines(8, 2), *trainer(16)), "start"),
    Case("4 nodes of 8: engines of 8", FOUR_NODES, (engines(2, 8), *trainer(16)), "start"),
    Case(
        "4 nodes of 8: an engine of 16",
        FOUR_NODES,
        (engines(1, 16),),
        "refuse",
        "no node has 16 GPUs, 0.5 CPUs for one",
    ),
    Case("4 nodes of 8: engines of 5", FOUR_NODES, (engines(5, 5),), "refuse", "but not so that each finds a node"),
    Case(
        "4 nodes of 8: scattered",
        ClusterState(nodes=nodes(BIG, BIG, BIG, BIG, free_gpus=2.0)),
        (engines(1, 4),),
        "wait",
        "are free, but not so that each finds a node",
    ),
    Case("head without CPUs, alone", ClusterState(nodes=nodes(HEAD)), trainer(1, 0), "refuse", "on 1 node and cannot"),
    Case("head without CPUs, and a node", ClusterState(nodes=nodes(HEAD, BIG)), trainer(8), "start"),
    Case("nodes to start: engines", GROWING, (engines(4, 1, rollout=0.01),), "wait", "nodes are to be started"),
    Case(
        "nodes to start: too many",
        GROWING,
        (engines(5, 1, rollout=1),),
        "refuse",
        "with all nodes that it can start 12",
    ),
    Case(
        "nodes to start: each in its place",
        GROWING,
        (engines(4, 1, rollout=0.01), *trainer(8, trainer=0.01)),
        "wait",
        "12 GPUs needed, the cluster has 8, 8 free",
    ),
    Case(
        "nodes to start: one trainer too many",
        GROWING,
        (engines(4, 1, rollout=0.01), *trainer(9, trainer=0.01)),
        "refuse",
        "lower pool.num_engines or num_workers, give pool.placement together, or start",
    ),
    Case("an autoscaler that does not say", ClusterState(nodes=nodes(HEAD), startable=None), trainer(8), "wait"),
    Case("one GPU, whole and a part", ClusterState(nodes=nodes(ONE_GPU)), (engines(1, 0.4), *trainer(1)), "refuse"),
    Case("one GPU, two parts", ClusterState(nodes=nodes(ONE_GPU)), (engines(1, 0.4), *trainer(1, 0.6)), "start"),
    Case("parts of two GPUs", ClusterState(nodes=nodes(ONE_GPU, ONE_GPU)), (engines(3, 0.6),), "refuse", "but not so"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_form_of_cluster(case: Case) -> None:
    placement = judge(case.needs, case.cluster)
    print(f"{case.name:<38} {placement.decision:<7} {placement.sentence}")
    assert placement.decision == case.decision
    assert case.said in placement.sentence
    assert bool(placement.sentence) == (case.decision != "start")


def test_the_sentence_names_every_role() -> None:
    placement = judge([engines(2, 1), *trainer(8)], EIGHT)
    assert placement.sentence == (
        "there is no room for 2 engines (1 GPU, 0.5 CPUs each), 8 training workers (1 GPU, 1 CPU each), 1 mailbox "
        "(0.01 CPUs), together 10 GPUs, 9.01 CPUs: the cluster has 8 GPUs, 96 CPUs on 1 node and cannot start more; "
        "lower pool.num_engines or num_workers, give pool.placement together, or start more nodes"
    )


@pytest.mark.parametrize(
    ("needs", "advice"),
    [
        ((engines(1, 9), *trainer(1)), "correct pool.num_gpus, or start a node that has as much"),
        ((*trainer(1, trainer=0.01), engines(1, 1)), "correct worker_resources, or start a node that has as much"),
        ((engines(1, 1, rollout=1), *trainer(1)), "correct pool.resources, or start a node that has as much"),
        ((*trainer(1, 9), engines(1, 1)), "correct gpus_per_worker, or start a node that has as much"),
        ((engines(9, 1),), "lower pool.num_engines, or start more nodes"),
    ],
)
def test_the_setting_at_fault_is_named(needs: tuple[RoleNeed, ...], advice: str) -> None:
    assert judge(needs, EIGHT).sentence.endswith(f"; {advice}")


def test_a_model_that_is_cut_too_often_is_named() -> None:
    cut = ResolvedPool(num_gpus=16, settings=EngineSettings(tensor_parallel=16)).need
    assert "; correct pool.settings.tensor_parallel, or" in judge([cut], EIGHT).sentence


def test_workers_have_gpus_where_the_cluster_can_start_some() -> None:
    cpus = ClusterState(nodes=nodes({"CPU": 16.0}))
    booting = ClusterState(nodes=nodes({"CPU": 16.0}), startable=(ROLLOUT,))
    found = [trainer_needs(GrpoSettings(), APART, cluster)[0].each["GPU"] for cluster in (cpus, booting, EIGHT)]
    assert found == [0.0, 1.0, 1.0]
    assert trainer_needs(GrpoSettings(gpus_per_worker=0.0), APART, EIGHT)[0].each["GPU"] == 0.0


def test_the_mailbox_stands_with_the_workers_and_never_on_a_head_without_cpus() -> None:
    mailbox = trainer(2, trainer=0.01)[1]
    assert mailbox.actor_options == {"num_cpus": 0.01, "num_gpus": 0, "resources": {"trainer": 0.01}}


def test_measuring_on_one_gpu_finds_room(tmp_path: Path) -> None:
    """One engine and one worker, the mailbox beside them, on a machine with one GPU, and on none without."""
    config = grpo_config(Settings(), tmp_path, tmp_path, tmp_path, on_gpu=True)
    one_gpu = ClusterState(nodes=nodes({"CPU": 4.0, "GPU": 1.0}))
    engines = ResolvedPool(num_gpus=shares_of(config.pool).engine_gpus, placement=config.pool.placement)
    assert judge(needs(config, engines, one_gpu), one_gpu).decision == "start"
    assert judge(needs(config, engines, one_gpu), ClusterState(nodes=nodes({"CPU": 4.0}))).decision == "refuse"


def test_runs_side_by_side_share_nothing() -> None:
    assert most_at_once([engines(3, 1)], EIGHT, limit=10) == 2
    assert most_at_once([engines(3, 1)], EIGHT, limit=1) == 1
    assert most_at_once([engines(1, 1, rollout=1)], GROWING, limit=9) == 4


def test_the_launchers_configuration_says_what_can_be_started() -> None:
    path = Path(__file__).parents[2] / "cluster" / "aws.yaml"
    types = node_types_of(yaml.safe_load(path.read_text()))
    assert {name: most for name, (most, _) in types.items()} == {"head": 1, "data": 16, "rollout": 4, "trainer": 1}
    assert types["trainer"][1]["GPU"] == 8
