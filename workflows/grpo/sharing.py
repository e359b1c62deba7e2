"""Engines on the GPUs of the training workers: what cannot work is refused before anything starts."""

from temporay.operators.errors import UserError
from temporay.workflows.grpo.settings import GrpoMode, GrpoSettings
from temporay.workflows.placement import TOLERANCE
from temporay.workflows.rollouts.gpu_shares import shares_of
from temporay.workflows.rollouts.settings import PoolConfig


def check_sharing(settings: GrpoSettings, pool: PoolConfig, mode: GrpoMode = "train") -> None:
    """Refuse a run whose engines cannot stand on the workers' GPUs as asked for.

    Raises:
        UserError: settings contradict each other.
    """
    if pool.placement == "apart":
        return
    if mode != "train":
        raise UserError(
            f"pool.placement is {pool.placement}, but mode {mode} has no trainer beside engines; give apart"
        )
    if pool.placement == "in_turns" and settings.max_staleness > 0:
        raise UserError(
            f"pool.placement is in_turns, but with max_staleness {settings.max_staleness} engines generate while the "
            "trainer computes; give max_staleness 0, or placement together"
        )
    if pool.settings.tensor_parallel > 1:
        raise UserError(
            f"pool.placement is {pool.placement}, but an engine with tensor_parallel {pool.settings.tensor_parallel} "
            "needs whole GPUs; give tensor_parallel 1, or placement apart"
        )
    shares = shares_of(pool)
    engine = shares.engine_gpus if pool.num_gpus is None else pool.num_gpus
    worker = shares.worker_gpus if settings.gpus_per_worker is None else settings.gpus_per_worker
    if engine + worker > 1 + TOLERANCE:
        raise UserError(
            f"pool.placement is {pool.placement}, which puts an engine ({engine:g} GPU) and a worker ({worker:g} GPU) "
            "on one GPU, but together they need more; lower --pool.num-gpus or --gpus-per-worker, or leave both out"
        )
    if {pool.num_engines, pool.max_engines or pool.num_engines} != {settings.num_workers}:
        raise UserError(
            f"pool.placement is {pool.placement}, which puts one engine on the GPU of each worker, but num_workers is "
            f"{settings.num_workers} and pool.num_engines is {pool.num_engines} (pool.max_engines {pool.max_engines}); "
            "give the same number, and no max_engines"
        )
