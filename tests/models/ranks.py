"""Runs on two FSDP2 ranks and on one. All share two processes, because each imports torch for many seconds.

A run leaves its results in a folder of its own: ``parameters`` and ``optimizer`` (by what is sharded), ``lora`` and
``frozen`` (by what is trained), ``bfloat16_2`` and ``bfloat16_1`` (by the number of ranks).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed as dist
from temporay.models.checkpoint import load, save
from temporay.models.cost.memory_forecast import MemoryForecast
from temporay.models.export import export
from temporay.models.lora import Lora, Trained
from temporay.models.parallel import Hardware, Sharding, this_process
from temporay.models.policy import OptimizerConfig
from torch.distributed.fsdp import FSDPModule
from torch.multiprocessing.spawn import spawn

from tests.models.small_policies import batch_of, make_policy, processor_of, rows, train

NUM_STEPS = 4
PARTLY_STEPS = 3  # steps of the runs in which not all weights are trained
PARTLY_OPTIMIZER = OptimizerConfig(lr=2e-3, weight_decay=0.1, warmup_steps=1)
LORA = Trained(weights="lora", lora=Lora(rank=4, alpha=8.0))
FROZEN_TOWER = Trained(vision_tower="frozen")
PARTLY_TRAINED = {"lora": LORA, "frozen": FROZEN_TOWER}


def run_ranks(model: Path, out: Path) -> None:
    """Run everything and wait for it."""
    spawn(_rank, (model, out), nprocs=2)  # type: ignore[no-untyped-call]


def _rank(rank: int, model: Path, out: Path) -> None:
    torch.set_num_threads(1)
    with process_group(out / "rendezvous_2", rank, 2):
        train_sharded(model, out / "parameters", "parameters")
        train_sharded(model, out / "optimizer", "optimizer")
        for name in PARTLY_TRAINED:
            train_partly(model, out / name, name)
        train_in_bfloat16(model, out / "bfloat16_2")
    if rank == 0:
        with process_group(out / "rendezvous_1", 0, 1):
            train_in_bfloat16(model, out / "bfloat16_1")
    os._exit(0)  # all is written; gloo's threads sometimes abort an interpreter that ends around them


@contextmanager
def process_group(rendezvous: Path, rank: int, world_size: int) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world_size)
    yield
    dist.barrier()
    dist.destroy_process_group()


def write_result(out: Path, **found: object) -> None:
    out.mkdir(exist_ok=True)
    (out / f"rank_{dist.get_rank()}.json").write_text(json.dumps(found))


def train_sharded(model: Path, out: Path, sharding: Sharding) -> None:
    """Leave a checkpoint after half of the steps, and the model after all."""
    policy = make_policy(model, hardware=Hardware(sharding=sharding))
    states = MemoryForecast(policy, processor_of(model)).bytes(None)
    train(policy, model, NUM_STEPS // 2, rows_per_pass=1)
    policy.logprobs(batch_of(model, rows(0)))  # as validation does, which leaves FSDP2's weights whole
    save(policy, out / "checkpoints", keep=1)
    with patch("torch.distributed.reduce_scatter_single", wraps=dist.reduce_scatter_single) as exchange:
        curve = train(policy, model, NUM_STEPS - NUM_STEPS // 2, rows_per_pass=1)
    scores_BL = policy.logprobs(batch_of(model, rows(0)))
    export(policy, model, out / "model")
    write_result(
        out,
        curve=curve,
        exchanges=exchange.call_count / len(curve),
        units=sum(isinstance(module, FSDPModule) for module in policy.model.modules()),
        scores=scores_BL.tolist(),
        weights=states["weights"],
    )


def train_partly(model: Path, out: Path, name: str) -> None:
    """Leave a checkpoint after the first step, and the model that was resumed from it."""
    settings = {"trained": PARTLY_TRAINED[name], "gradient_checkpointing": name == "lora"}
    policy = make_policy(model, optimizer=PARTLY_OPTIMIZER, **settings)
    torch.rand(dist.get_rank())  # ranks whose random states differ still make the same adapters
    train(policy, model, 1, rows_per_pass=1)
    path = save(policy, out / "checkpoints", keep=1)
    resumed = make_policy(model, optimizer=PARTLY_OPTIMIZER, **settings)
    MemoryForecast(resumed, processor_of(model))  # as runs do, before they load a checkpoint
    load(resumed, path)
    train(resumed, model, PARTLY_STEPS - 1, rows_per_pass=1)
    export(resumed, model, out / "model")


def train_in_bfloat16(model: Path, out: Path) -> None:
    parallel = this_process(torch.device("cpu"), "bfloat16")
    policy = make_policy(model, parallel=parallel, hardware=Hardware(precision="bfloat16"))
    curve = train(policy, model, NUM_STEPS, rows_per_pass=1)
    write_result(out, curve=curve, types=sorted({str(parameter.dtype) for parameter in policy.model.parameters()}))
