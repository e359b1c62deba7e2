"""How the engines of a pool take adapters: computed beside their weights, or added to them.

applied   small and fast to load, and in bfloat16 nothing of a small change is rounded away; each token costs more
merged    the checkpoint's files are read for each version, and tokens cost what they always cost
"""

from temporay.models.engines._settings import AppliedAdapters
from temporay.models.lora import Trained
from temporay.operators.errors import UserError
from temporay.workflows.rollouts.settings import AUTO, PoolConfig, ResolvedPool

ENGINE = "vllm"  # the only one that computes adapters beside its weights
MAX_RANK = 512  # of vLLM


def check_adapters(pool: PoolConfig, trained: Trained) -> None:
    """Refuse a wish that cannot be met.

    Raises:
        UserError: no adapters are trained, or no engine can apply them.
    """
    if pool.adapters is None:
        return
    if trained.weights != "lora":
        raise UserError(
            f"pool.adapters is {pool.adapters}, but trained.weights is not lora, so that there are none; leave it out"
        )
    if pool.adapters == "applied" and pool.engine not in (AUTO, ENGINE):
        raise UserError(
            f"pool.adapters is applied, but the {pool.engine} engine computes none beside its weights; give merged, or "
            f"--pool.engine {ENGINE}"
        )
    if pool.adapters == "applied" and trained.lora.rank > MAX_RANK:
        raise UserError(
            f"pool.adapters is applied, but lora.rank is {trained.lora.rank} and vLLM takes at most {MAX_RANK}; give "
            "merged"
        )


def with_adapters(pool: ResolvedPool, trained: Trained) -> ResolvedPool:
    """Return a pool whose engines apply the adapters that are trained, if there are any and they can."""
    wanted = pool.adapters == "applied" or (pool.adapters is None and pool.num_gpus > 0)
    can = pool.engine in (AUTO, ENGINE) and trained.lora.rank <= MAX_RANK
    if trained.weights != "lora" or not (wanted and can):
        return pool
    applied = AppliedAdapters(
        rank=trained.lora.rank,
        modules=trained.lora.modules,
        in_vision="trained" in (trained.vision_tower, trained.projector),
    )
    return pool.model_copy(update={"settings": pool.settings.model_copy(update={"adapters": applied})})


def said_of_adapters(pool: ResolvedPool, engine: str) -> str:
    """Say how engines take adapters, and why.

    Args:
        engine: names of the engines that are up.
    """
    if engine == ENGINE and pool.settings.adapters:
        return "vLLM computes them beside the checkpoint's weights"
    if pool.adapters == "merged":
        why = "pool.adapters is merged"
    elif ENGINE not in engine:
        why = f"the {engine} engine computes none beside its weights"
    elif pool.num_gpus == 0:
        why = "on CPUs vLLM takes longer for each token to compute them apart"
    else:
        why = "they were not started for adapters of this rank and checkpoint"
    return f"each engine adds them to the checkpoint's weights ({why})"
