"""Where training workers run: what each gets of a cluster, and the wait for room before and after a start.

settings, cluster → RoleNeed → room → Ray Train's workers ─ a node was lost, and no room within a minute → room …
"""

from collections.abc import Callable, Sequence
from typing import Any

from ray.train import ScalingConfig
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError
from ray.train.v2.api.exceptions import ControllerError
from temporay.operators.errors import UserError
from temporay.workflows.learner.settings import TrainingSettings
from temporay.workflows.placement import ClusterState, RoleNeed, roles
from temporay.workflows.room import await_room

# More start where there is room.
DATA_TASK = RoleNeed(role="data task", count=1, each={"CPU": 1.0}, change="num_workers")
NO_NCCL = "have NCCL built in"  # torch says so of a group for GPUs where it was built without CUDA


def worker_need(settings: TrainingSettings, cluster: ClusterState, share: float = 1.0) -> RoleNeed:
    """Return what the workers need.

    Args:
        share: GPUs of a worker where nothing was set and the cluster has GPUs or can start nodes with some.
    """
    gpus = (share if cluster.has("GPU") else 0.0) if settings.gpus_per_worker is None else settings.gpus_per_worker
    own = settings.worker_resources
    return RoleNeed(
        role="training worker",
        count=settings.num_workers,
        each={"CPU": 1.0, "GPU": gpus, **own},
        change="num_workers",
        amounts={"GPU": "gpus_per_worker", **dict.fromkeys(own, "worker_resources")},
    )


def tell(need: RoleNeed, cluster: ClusterState) -> None:
    """Say what the workers get, and why they have no GPU."""
    if need.each["GPU"] or cluster.has("GPU"):
        why = ""
    elif cluster.startable is None:
        why = "; the cluster has no GPU now: if its GPU nodes are still to start, give gpus_per_worker 1"
    else:
        why = "; the cluster has no GPU"
    print(f"training: {roles([need])}{why}", flush=True)


def scaling(need: RoleNeed) -> ScalingConfig:
    """Return the same need as Ray Train takes it."""
    return ScalingConfig(num_workers=need.count, use_gpu=need.each["GPU"] > 0, resources_per_worker=need.bundle)


def fit_where_there_is_room(make_trainer: Callable[[], Any], needs: Sequence[RoleNeed], max_failures: int) -> None:
    """Wait for room and fit. If Ray Train finds none later, because a node was lost, wait again and go on.

    Args:
        make_trainer: returns a new trainer, which goes on from the newest checkpoint.
        needs: the workers, and what they need beside them.
        max_failures: how often workers may be lost while they start.

    Raises:
        UserError: what is needed can never be placed, or workers have GPUs that their torch cannot use.
        Exception: any other fault of the workers.
    """
    num_lost = 0
    while True:
        await_room(needs)
        try:
            make_trainer().fit()
        except ControllerError as error:
            check_cuda(error)
            num_lost += isinstance(error.controller_failure, WorkerGroupStartupFailedError)
            placed_too_late = isinstance(error.controller_failure, WorkerGroupStartupTimeoutError)
            if not (placed_too_late or 0 < num_lost <= max_failures):
                raise
        else:
            return


def check_cuda(error: Exception) -> None:
    """Raise what to say of workers that have GPUs and a torch that cannot use them.

    Raises:
        UserError: this is what the workers failed of.
    """
    if NO_NCCL in str(error):
        raise UserError(
            "training workers were given GPUs, but torch on their nodes is built without CUDA; install one that has "
            "it there (`make setup ENGINE=gpu`), or train on CPUs: --gpus-per-worker 0"
        ) from error
