"""What engines get where nothing was set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporay.models.chat import to_prompt
from temporay.models.cost.kv_cache import KvShape, least_blocks
from temporay.models.engines._settings import EngineSettings, OpenEngineSettings
from temporay.models.families._base import family_of
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.workflows.placement import ClusterState, NodeState, StartableNodes
from temporay.workflows.rollouts.defaults import (
    Demand,
    Nodes,
    described,
    engines_per_node,
    gpu_nodes_to_come,
    largest,
    lengths_of,
    nodes_in,
    resolve,
)
from temporay.workflows.rollouts.gpu_shares import shares_of
from temporay.workflows.rollouts.settings import PoolConfig

from tests.models.small_engines import mixed_prompts
from tests.small_data import write_dataset
from tests.small_runs import write_model

GB = 1 << 30
TWO_CORES = Nodes(count=1, gpus=0, cores=2, memory_bytes=16 * GB)
EIGHT_GPUS = Nodes(count=2, gpus=8, cores=128, memory_bytes=1500 * GB)
TINY = KvShape(num_layers=3, num_kv_heads=2, head_dim=32, max_position=4096)
SIZE_2B = KvShape(num_layers=28, num_kv_heads=8, head_dim=128, max_position=262_144)
SYNRL = Demand(key="a", prompt_tokens=4800, max_tokens=2048, num_prompts=64, num_rollouts=8)
QUICKSTART = Demand(key="a", prompt_tokens=120, max_tokens=192, num_prompts=24, num_rollouts=8)


def test_on_gpus() -> None:
    pool = resolve(PoolConfig(num_engines=8), EIGHT_GPUS, SIZE_2B, SYNRL)
    assert (pool.num_gpus, pool.threads, pool.num_engines) == (1.0, 8, 8)
    assert pool.settings == EngineSettings(
        dtype="bfloat16", max_model_len=6848, max_num_seqs=256, kv_cache_mib=None, compile=True
    )


def test_on_two_cores() -> None:
    pool = resolve(PoolConfig(), TWO_CORES, TINY, QUICKSTART)
    assert (pool.num_gpus, pool.threads) == (0.0, 1)
    settings = pool.settings
    assert (settings.dtype, settings.max_model_len, settings.max_num_seqs) == ("float32", 312, 192)
    assert not settings.compile
    # 24 prompts of 4 blocks, their 192 completions of 6 and 1, and the empty block; 49,152 bytes each in float32.
    assert settings.kv_cache_mib == -(-(24 * 4 + 192 * 7 + 1) * 49_152 // (1 << 20))


def test_ranks_of_one_engine_share_its_cores_and_its_cache() -> None:
    shared = PoolConfig(settings=OpenEngineSettings(tensor_parallel=2, max_num_seqs=1))
    on_cpu, on_gpu = (resolve(shared, nodes, SIZE_2B, SYNRL) for nodes in (TWO_CORES, EIGHT_GPUS))
    assert (on_cpu.num_gpus, on_cpu.threads, on_gpu.num_gpus, on_gpu.threads) == (0.0, 1, 2.0, 32)
    alone = resolve(PoolConfig(settings=OpenEngineSettings(max_num_seqs=1)), TWO_CORES, SIZE_2B, SYNRL).settings
    assert alone.kv_cache_mib and on_cpu.settings.kv_cache_mib == -(-alone.kv_cache_mib // 2)


def test_a_cache_takes_no_more_than_a_share_of_memory_but_always_one_request() -> None:
    wide = resolve(PoolConfig(), TWO_CORES, SIZE_2B, SYNRL).settings
    assert wide.kv_cache_mib == 2048  # an eighth of 16 GB
    narrow = resolve(PoolConfig(num_engines=2), TWO_CORES, SIZE_2B, SYNRL).settings
    least_mib = -(-SIZE_2B.bytes_of_blocks(least_blocks(6848), "float32") // (1 << 20))
    assert narrow.kv_cache_mib == least_mib > 1024


def test_everything_can_be_set() -> None:
    given = OpenEngineSettings(
        dtype="bfloat16",
        max_model_len=8000,
        max_num_seqs=3,
        kv_cache_mib=4000,
        compile=True,
        gpu_memory_utilization=0.5,
    )
    config = PoolConfig(num_gpus=0.0, threads=5, settings=given, resources={"rollout": 1.0})
    pool = resolve(config, EIGHT_GPUS, SIZE_2B, SYNRL)
    assert (pool.num_gpus, pool.threads, pool.resources) == (0.0, 5, {"rollout": 1.0})
    by_demand = {"max_videos": 1, "max_images": 0, "sleep_mode": False, "adapters": None}
    assert dict(pool.settings) == {**dict(given), **by_demand}


def test_engines_beside_the_trainer() -> None:
    """Two do not fit on one GPU, one and a worker do; only those that take turns can sleep."""
    for placement, memory, sleeps in (("together", 0.4, False), ("in_turns", 0.6, True)):
        config = PoolConfig.model_validate({"num_engines": 8, "placement": placement})
        pool = resolve(config, EIGHT_GPUS, SIZE_2B, SYNRL)
        assert (pool.settings.gpu_memory_utilization, pool.settings.sleep_mode) == (memory, sleeps)
        assert pool.num_gpus > 0.5 and pool.num_gpus + shares_of(config).worker_gpus <= 1.0
        assert resolve(config, TWO_CORES, SIZE_2B, SYNRL).num_gpus == 0.0
    assert shares_of(PoolConfig()).worker_gpus == 1.0
    assert f"KV cache in {memory:g} of the GPU" in described(pool, SYNRL)


def test_a_call_bounds_the_number_of_completions() -> None:
    one_by_one = resolve(PoolConfig(prompts_per_call=1), TWO_CORES, TINY, QUICKSTART)
    assert one_by_one.settings.max_num_seqs == 8


def test_a_prompt_that_does_not_fit_is_refused() -> None:
    short = PoolConfig(settings=OpenEngineSettings(max_model_len=4096))
    with pytest.raises(UserError, match="prompt a has 4800 tokens and max_tokens is 2048, but max_model_len is 4096"):
        resolve(short, EIGHT_GPUS, SIZE_2B, SYNRL)
    with pytest.raises(UserError, match="the model has 4096 positions"):
        resolve(PoolConfig(), TWO_CORES, TINY, SYNRL)


@pytest.mark.parametrize(
    ("wanted", "gpus", "nodes", "found"),
    [(8, 1.0, EIGHT_GPUS, 8), (16, 2.0, EIGHT_GPUS, 4), (2, 0.4, EIGHT_GPUS, 2), (3, 0.0, EIGHT_GPUS, 2)],
)
def test_engines_of_a_node(wanted: int, gpus: float, nodes: Nodes, found: int) -> None:
    assert engines_per_node(PoolConfig(num_engines=wanted), nodes, gpus) == found


def node(name: str, **resources: float) -> dict[str, Any]:
    return {"Alive": True, "NodeManagerHostname": name, "Resources": {"memory": 8.0 * GB, **resources}}


def test_nodes_with_gpus_come_first() -> None:
    head, gone = node("head", CPU=4.0), {**node("gone", CPU=1.0, GPU=1.0), "Alive": False}
    workers = [node("a", CPU=64.0, GPU=8.0), node("b", CPU=32.0, GPU=4.0)]
    found = nodes_in([head, gone, *workers], host="head", host_cores=2)
    assert found == Nodes(count=2, gpus=4.0, cores=32, memory_bytes=8 * GB)
    assert nodes_in([head, gone], host="head", host_cores=2).cores == 2  # a local cluster declares more than it has
    with pytest.raises(UserError, match="no node that is alive"):
        nodes_in([gone], host="head", host_cores=2)


def test_gpu_nodes_that_are_still_to_be_started_count() -> None:
    """Engines of a cluster that starts its GPU nodes when they are asked for are not those of a CPU."""
    cpus = NodeState(total={"CPU": 4.0}, free={})
    gpus = StartableNodes(name="rollout", count=4, each={"CPU": 8.0, "GPU": 1.0})
    none_left = replace(gpus, count=0)
    to_come = gpu_nodes_to_come(ClusterState(nodes=(cpus,), startable=(gpus, none_left)))
    assert nodes_in([node("head", CPU=4.0), *to_come], host="head", host_cores=2).gpus == 1.0
    assert gpu_nodes_to_come(ClusterState(nodes=(cpus,), startable=None)) == []
    up = NodeState(total={"CPU": 4.0, "GPU": 8.0}, free={})
    assert gpu_nodes_to_come(ClusterState(nodes=(cpus, up), startable=(gpus,))) == []


def test_the_longest_prompt_is_counted_exactly(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", num_samples=6)
    model = write_model(data, tmp_path / "model")
    dataset, family = Dataset.open(data), family_of(model)
    processor = family.load_processor(model)
    demand = Demand.of_data(
        dataset, lengths_of(model), instruction="Think.", max_tokens=9, num_prompts=4, num_rollouts=2
    )
    prompts = [
        to_prompt(processor, dataset.sample(i), (dataset.frames(i),), instruction="Think.") for i in range(len(dataset))
    ]
    lengths = {
        one.key: len(ids) for one, ids in zip(prompts, family.encode(processor, prompts).prompt_ids, strict=True)
    }
    assert demand.prompt_tokens == max(lengths.values()) == lengths[demand.key]


def test_the_largest_of_two() -> None:
    other = Demand(key="b", prompt_tokens=900, max_tokens=10, num_prompts=100, num_rollouts=1)
    assert largest([QUICKSTART, other]) == replace(
        QUICKSTART, key="b", prompt_tokens=900, num_prompts=100, num_rollouts=8, max_tokens=192
    )
    several = largest([replace(QUICKSTART, max_videos=4), replace(other, max_images=2), QUICKSTART])
    assert (several.max_videos, several.max_images) == (4, 2)
    settings = resolve(PoolConfig(), TWO_CORES, TINY, several).settings
    assert (settings.max_videos, settings.max_images) == (4, 2)


def test_engines_are_told_how_many_media_a_prompt_shows(tmp_path: Path) -> None:
    model = write_model(write_dataset(tmp_path / "data", num_samples=2), tmp_path / "model")
    lengths = lengths_of(model)
    sizes = {"max_tokens": 9, "num_prompts": 4, "num_rollouts": 2}
    mixed = mixed_prompts(lengths.processor)
    demand = Demand.of_prompts(mixed, lengths, **sizes)
    assert (demand.max_videos, demand.max_images) == (2, 2)
    blind = Demand.of_prompts([replace(mixed[0], text="Which way?", media=())], lengths, **sizes)
    assert (blind.max_videos, blind.max_images) == (1, 0)


def test_what_is_printed() -> None:
    said = described(resolve(PoolConfig(), TWO_CORES, TINY, QUICKSTART), QUICKSTART)
    assert "1 x CPU, threads 1, float32" in said and "max_model_len 312 (longest prompt 120 + 192 tokens)" in said
    assert len(said.splitlines()) == 2
