"""What engines and the training workers beside them get of each GPU.

apart      an engine has GPUs of its own, and so has each worker
together   one engine on the GPU of each worker; its memory is divided for the whole run
in_turns   the same places; engines sleep while the workers compute, as colocated engines do in verl and TRL
"""

from dataclasses import dataclass

from temporay.models.engines._settings import MEMORY_SHARE
from temporay.workflows.rollouts.settings import PoolConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShares:
    """What one process gets of the GPUs, as Ray counts them, and how much memory an engine takes of each."""

    engine_gpus: float
    worker_gpus: float
    engine_memory: float


# More than half for an engine, so that Ray puts no two on one GPU. Ray gives a part of a GPU where least is free, which
# is beside an engine. Memory is another matter: in turns, an engine shares it only with what a worker keeps between
# steps, which is weights and the optimizer's state.
TOGETHER = GpuShares(engine_gpus=0.51, worker_gpus=0.49, engine_memory=0.4)
IN_TURNS = GpuShares(engine_gpus=0.51, worker_gpus=0.49, engine_memory=0.6)


def shares_of(pool: PoolConfig) -> GpuShares:
    """Return the shares on nodes with GPUs."""
    if pool.placement == "apart":
        return GpuShares(engine_gpus=float(pool.settings.tensor_parallel), worker_gpus=1.0, engine_memory=MEMORY_SHARE)
    return TOGETHER if pool.placement == "together" else IN_TURNS
