"""What engines get where nothing was set: resolved from the machine, the model and the data, before any engine starts.

    settings, nodes of the cluster, config.json, longest prompt → ResolvedPool, and lines that say what was resolved

A GPU gets bfloat16, compiled kernels and vLLM's own share of its memory; a CPU float32 and a cache of counted size.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import ray
from temporay.models.chat import to_prompt
from temporay.models.cost.kv_cache import KvDtype, KvShape, blocks_of, kv_shape_of, least_blocks
from temporay.models.engines._base import check_length
from temporay.models.engines._settings import EngineSettings
from temporay.models.families._base import family_of
from temporay.models.token_lengths import TokenLengths, shapes_alone
from temporay.operators.dataset.opening import Samples
from temporay.operators.errors import UserError
from temporay.operators.media import MediumKind
from temporay.operators.records import Prompt
from temporay.workflows.placement import ClusterState
from temporay.workflows.rollouts.gpu_shares import shares_of
from temporay.workflows.rollouts.settings import PoolConfig, ResolvedPool
from temporay.workflows.room import read_cluster

MAX_NUM_SEQS = 256
KV_MEMORY_SHARE = 1 / 8  # of a CPU node's memory, for the caches of all its engines
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The nodes that engines can stand on: those with GPUs where there are any. Sizes are those of the smallest."""

    count: int
    gpus: float  # of each; 0: no node of the cluster has one
    cores: int  # of each
    memory_bytes: int  # of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The most that one call asks of the engines."""

    key: str  # of the longest prompt
    prompt_tokens: int  # of the longest prompt, video tokens included
    max_tokens: int  # of a completion
    limit: str = "max_tokens"  # the setting that this number comes from
    num_prompts: int
    num_rollouts: int  # of each prompt
    max_videos: int = 1  # of a prompt
    max_images: int = 0

    @classmethod
    def of_data(
        cls,
        dataset: Samples,
        lengths: TokenLengths,
        *,
        instruction: str,
        max_tokens: int,
        num_prompts: int,
        num_rollouts: int,
        limit: str = "max_tokens",
    ) -> Self:
        """Count every prompt of a dataset, without decoding a clip.

        Raises:
            UserError: the dataset is empty.
        """
        if len(dataset) == 0:
            raise UserError(f"{dataset.path} has no samples; generate some")
        shapes = [
            to_prompt(
                lengths.processor,
                sample,
                shapes_alone(sample.media),
                instruction=instruction,
            )
            for sample in map(dataset.sample, range(len(dataset)))
        ]
        return cls.of_prompts(
            shapes, lengths, max_tokens=max_tokens, num_prompts=num_prompts, num_rollouts=num_rollouts, limit=limit
        )

    @classmethod
    def of_prompts(
        cls,
        prompts: Sequence[Prompt],
        lengths: TokenLengths,
        *,
        max_tokens: int,
        num_prompts: int,
        num_rollouts: int,
        limit: str = "max_tokens",
    ) -> Self:
        """Find the longest of some prompts. Of their frames, only the shape counts."""
        tokens = lengths.of(prompts)
        longest = max(range(len(prompts)), key=tokens.__getitem__)
        return cls(
            key=prompts[longest].key,
            prompt_tokens=tokens[longest],
            max_tokens=max_tokens,
            num_prompts=num_prompts,
            num_rollouts=num_rollouts,
            max_videos=max(1, *(_num_shown(prompt, "video") for prompt in prompts)),
            max_images=max(0, *(_num_shown(prompt, "image") for prompt in prompts)),
            limit=limit,
        )


def _num_shown(prompt: Prompt, kind: MediumKind) -> int:
    return sum(medium.kind == kind for medium in prompt.media)


def largest(demands: Sequence[Demand]) -> Demand:
    """Return what serves every one of some demands."""
    longest = max(demands, key=lambda one: one.prompt_tokens)
    most = max(demands, key=lambda one: one.max_tokens)
    return Demand(
        key=longest.key,
        prompt_tokens=longest.prompt_tokens,
        max_tokens=most.max_tokens,
        limit=most.limit,
        num_prompts=max(one.num_prompts for one in demands),
        num_rollouts=max(one.num_rollouts for one in demands),
        max_videos=max(one.max_videos for one in demands),
        max_images=max(one.max_images for one in demands),
    )


def lengths_of(model: Path) -> TokenLengths:
    """Return a counter of the prompts of a checkpoint folder."""
    family = family_of(model)
    return TokenLengths(family, family.load_processor(model))


def resolve(config: PoolConfig, nodes: Nodes, model: KvShape, demand: Demand) -> ResolvedPool:
    """Fill in what is None.

    Raises:
        UserError: the longest prompt and its completion fit neither ``max_model_len`` nor the model.
    """
    given = config.settings
    ranks = given.tensor_parallel
    shares = shares_of(config)
    num_gpus = (shares.engine_gpus if nodes.gpus else 0.0) if config.num_gpus is None else config.num_gpus
    on_gpu = num_gpus > 0
    on_node = engines_per_node(config, nodes, num_gpus)
    dtype: KvDtype = given.dtype or ("bfloat16" if on_gpu else "float32")
    max_model_len = checked_length(demand, model, given.max_model_len)
    per_call = min(demand.num_prompts, config.prompts_per_call) * demand.num_rollouts
    max_num_seqs = given.max_num_seqs or min(MAX_NUM_SEQS, per_call)
    kv_cache_mib = given.kv_cache_mib
    if kv_cache_mib is None and not on_gpu:
        most_bytes = int(nodes.memory_bytes * KV_MEMORY_SHARE) // (on_node * ranks)
        part = replace(model, num_kv_heads=max(1, model.num_kv_heads // ranks))  # of each rank
        kv_cache_mib = cache_mib(part, dtype, max_model_len, max_num_seqs, demand, most_bytes)
    settings = {
        "dtype": dtype,
        "max_model_len": max_model_len,
        "max_num_seqs": max_num_seqs,
        "kv_cache_mib": kv_cache_mib,
        "gpu_memory_utilization": given.gpu_memory_utilization or shares.engine_memory,
        "max_videos": demand.max_videos,
        "max_images": demand.max_images,
        "sleep_mode": config.placement == "in_turns",
        "compile": on_gpu if given.compile is None else given.compile,
    }
    pool = {
        "num_gpus": num_gpus,
        "threads": config.threads or max(1, nodes.cores // (2 * on_node * ranks)),
        "settings": EngineSettings.model_validate({**dict(given), **settings}),
    }
    return ResolvedPool.model_validate({**dict(config), **pool})


def checked_length(demand: Demand, model: KvShape, max_model_len: int | None = None) -> int:
    """Return the tokens of prompt and completion together that an engine has room for; None: of the longest.

    Raises:
        UserError: the longest prompt and its completion fit neither ``max_model_len`` nor the model.
    """
    length = max_model_len or demand.prompt_tokens + demand.max_tokens
    check_length(demand.key, demand.prompt_tokens, demand.max_tokens, length, limit=demand.limit)
    if length > model.max_position:
        raise UserError(
            f"max_model_len is {length} (the longest prompt, {demand.key}, has {demand.prompt_tokens} tokens, and "
            f"{demand.limit} is {demand.max_tokens}), but the model has {model.max_position} positions; use data with "
            f"fewer frames or pixels, a smaller {demand.limit}, or another model"
        )
    return length


def engines_per_node(config: PoolConfig, nodes: Nodes, num_gpus: float) -> int:
    """Return how many engines come to stand on one node, at most."""
    wanted = config.max_engines or config.num_engines
    if num_gpus > 0 and nodes.gpus:
        return max(1, min(wanted, int(nodes.gpus / num_gpus)))
    return -(-wanted // nodes.count)


def cache_mib(
    model: KvShape, dtype: KvDtype, max_model_len: int, max_num_seqs: int, demand: Demand, most_bytes: int
) -> int:
    """Return the size of a CPU engine's cache: room for all completions of a call, whose groups share their prompts.

    Args:
        most_bytes: not exceeded, unless not even one request would fit.
    """
    groups = -(-max_num_seqs // demand.num_rollouts)
    wanted = groups * blocks_of(demand.prompt_tokens) + max_num_seqs * (blocks_of(demand.max_tokens) + 1) + 1
    least = model.bytes_of_blocks(least_blocks(max_model_len), dtype)
    num_bytes = max(least, min(most_bytes, model.bytes_of_blocks(wanted, dtype)))
    return max(16, -(-num_bytes // MIB))


def nodes_in(listed: Iterable[dict[str, Any]], *, host: str, host_cores: int) -> Nodes:
    """Return the nodes for engines among those that Ray lists.

    Args:
        host: name of this machine, of which a local cluster may declare more CPUs than there are cores.
        host_cores: cores of this machine.

    Raises:
        UserError: no node is alive.
    """
    alive = [node for node in listed if node["Alive"]]
    found = [node for node in alive if node["Resources"].get("GPU")] or alive
    if not found:
        raise UserError("the Ray cluster has no node that is alive; see `ray status`")
    cores = [
        min(int(node["Resources"].get("CPU", 0)), host_cores if node["NodeManagerHostname"] == host else 1 << 20)
        for node in found
    ]
    return Nodes(
        count=len(found),
        gpus=min(node["Resources"].get("GPU", 0.0) for node in found),
        cores=max(1, min(cores)),
        memory_bytes=int(min(node["Resources"].get("memory", 0.0) for node in found)),
    )


def gpu_nodes_to_come(cluster: ClusterState) -> list[dict[str, Any]]:
    """Return nodes with GPUs that an autoscaler can start, as Ray lists nodes; none where some are up already."""
    if any(node.total.get("GPU") for node in cluster.nodes):
        return []
    types = [one for one in cluster.startable or () if one.count and one.each.get("GPU")]
    return [{"Alive": True, "NodeManagerHostname": one.name, "Resources": one.each} for one in types]


def resolved(config: PoolConfig, model: Path, demand: Demand) -> ResolvedPool:
    """Fill in what is None by the cluster that Ray is connected to, and print what the engines get.

    Raises:
        UserError: the longest prompt and its completion fit neither ``max_model_len`` nor the model.
    """
    listed = [*ray.nodes(), *gpu_nodes_to_come(read_cluster())]
    nodes = nodes_in(listed, host=socket.gethostname(), host_cores=os.cpu_count() or 1)
    pool = resolve(config, nodes, kv_shape_of(model), demand)
    print(described(pool, demand), flush=True)
    return pool


def described(pool: ResolvedPool, demand: Demand) -> str:
    """Return two lines that say what the engines get."""
    settings = pool.settings
    device = f"{pool.num_gpus:g} GPU" if pool.num_gpus else "CPU"
    in_gpu = f"in {settings.gpu_memory_utilization:g} of the GPU"
    cache = in_gpu if settings.kv_cache_mib is None else f"{settings.kv_cache_mib} MiB"
    return (
        f"engines: {pool.num_engines} x {device}, threads {pool.threads}, {settings.dtype}, "
        f"{'compiled' if settings.compile else 'not compiled'}, KV cache {cache}\n"
        f"engines: max_model_len {settings.max_model_len} (longest prompt {demand.prompt_tokens} + {demand.max_tokens}"
        f" tokens), max_num_seqs {settings.max_num_seqs}; --pool.settings.NAME sets another value"
    )
