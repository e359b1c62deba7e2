"""Runs on four FSDP2 ranks, on two and on one. They share processes, and what these import is imported once.

A run leaves its results in a folder of its own: ``parameters`` and ``optimizer`` (by what is sharded), ``lora`` and
``frozen`` (by what is trained), ``stored`` (a model in bfloat16 with adapters), ``bfloat16_2`` and ``bfloat16_1`` (by
the number of ranks), ``offload`` (to host memory), ``replicas`` (two groups of two ranks) and ``killed`` (in the
middle of its second checkpoint). The gradient of a step on groups is in ``groups.pt``. ``first_passes`` and
``first_passes_replicas`` have the squared norm of the gradient of the first passes of a step.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from temporay.models.checkpoint import CheckpointWriter, load, save
from temporay.models.collate import collate_groups
from temporay.models.cost.memory_forecast import MemoryForecast, RankShare
from temporay.models.export import export
from temporay.models.lora import Lora, Trained
from temporay.models.parallel import DEFAULT_HARDWARE, Hardware, Parallel, Sharding, local_part, this_process
from temporay.models.policy import OptimizerConfig
from torch.distributed.fsdp import FSDPModule
from torch.multiprocessing.spawn import start_processes

from tests.models.small_groups import gradients, make_groups
from tests.models.small_policies import batch_of, first_square, make_policy, processor_of, rows, train

NUM_STEPS = 4
PARTLY_STEPS = 3  # steps of the runs in which not all weights are trained
PARTLY_OPTIMIZER = OptimizerConfig(lr=2e-3, weight_decay=0.1, warmup_steps=1)
LORA = Trained(weights="lora", lora=Lora(rank=4, alpha=8.0))
FROZEN_TOWER = Trained(vision_tower="frozen")
PARTLY_TRAINED = {"lora": LORA, "frozen": FROZEN_TOWER}


def run_ranks(model: Path, out: Path) -> None:
    """Run everything and wait for it."""
    multiprocessing.set_forkserver_preload([__name__, "temporay.models.families.qwen3_vl"])  # seconds of imports
    ranks = start_processes(_rank, (model, out), nprocs=4, join=False, start_method="forkserver")  # type: ignore[no-untyped-call]
    for process in ranks.processes:
        process.join()
    if [process.exitcode for process in ranks.processes] != [0, -signal.SIGKILL, 0, 0]:
        ranks.join()  # raises what a rank did


def _rank(rank: int, model: Path, out: Path) -> None:
    torch.set_num_threads(1)
    if rank < 2:
        with process_group(out / "rendezvous_2", rank, 2):
            train_sharded(model, out / "parameters", "parameters")
            train_sharded(model, out / "optimizer", "optimizer")
            for name in PARTLY_TRAINED:
                train_partly(model, out / name, name)
            train_from_bfloat16(model, out / "stored")
            train_in_bfloat16(model, out / "bfloat16_2")
            train_whole(model, out / "offload", Hardware(offload="cpu"))
            share_groups(model, out / "groups.pt")
            measure_first_passes(model, out / "first_passes")
    with process_group(out / "rendezvous_4", rank, 4):
        train_whole(model, out / "replicas", Hardware(replicas=2))
        measure_first_passes(model, out / "first_passes_replicas", Hardware(replicas=2))
    if rank == 0:
        with process_group(out / "rendezvous_1", 0, 1):
            train_in_bfloat16(model, out / "bfloat16_1")
    if rank < 2:
        be_killed_while_saving(model, out / "killed", rank)
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
    states = MemoryForecast(model, policy.family, policy.settings, RankShare.of(policy)).bytes(None)
    train(policy, model, NUM_STEPS // 2, rows_per_pass=1)
    policy.logprobs(batch_of(model, rows(0)))  # as validation does, which leaves FSDP2's weights whole
    writer = CheckpointWriter(policy, out / "checkpoints", keep=1)
    writer.save()  # written beside the steps that follow
    with patch("torch.distributed.reduce_scatter_single", wraps=dist.reduce_scatter_single) as exchange:
        curve = train(policy, model, NUM_STEPS - NUM_STEPS // 2, rows_per_pass=1)
    writer.wait()
    scores_BT = policy.logprobs(batch_of(model, rows(0)))
    export(policy, model, out / "model")
    write_result(
        out,
        curve=curve,
        exchanges=exchange.call_count / len(curve),
        units=sum(isinstance(module, FSDPModule) for module in policy.model.modules()),
        scores=scores_BT.tolist(),
        weights=sum(local_part(parameter).nbytes for parameter in policy.model.parameters()),
        forecast=states["weights"],
    )


def train_partly(model: Path, out: Path, name: str) -> None:
    """Leave a checkpoint after the first step, and the model that was resumed from it."""
    settings = {"trained": PARTLY_TRAINED[name], "gradient_checkpointing": name == "lora"}
    policy = make_policy(model, optimizer=PARTLY_OPTIMIZER, **settings)
    torch.rand(dist.get_rank())  # ranks whose random states differ still make the same adapters
    train(policy, model, 1, rows_per_pass=1)
    path = save(policy, out / "checkpoints", keep=1)
    resumed = make_policy(model, optimizer=PARTLY_OPTIMIZER, **settings)
    load(resumed, path)
    train(resumed, model, PARTLY_STEPS - 1, rows_per_pass=1)
    export(resumed, model, out / "model")


def share_groups(model: Path, out: Path) -> None:
    """Leave the loss and the whole gradient of groups whose rollouts ranks share, in a micro-batch for each group."""
    policy, processor = make_policy(model, gradient_checkpointing=True), processor_of(model)
    prompts, groups, advantages = make_groups(policy.family, processor)
    rank = policy.parallel.rank
    batches = []
    for prompt, group, values in zip(prompts, groups, advantages, strict=True):
        mine = [value if r % 2 == rank else None for r, value in enumerate(values)]
        if not any(mine):  # a group of one rollout
            mine = [0.0]
        batch = collate_groups(policy.family, processor, [prompt], [group], [mine])
        if len(values) == 1 and rank == 1:
            batch = dataclasses.replace(batch, completion_mask_BT=torch.zeros_like(batch.completion_mask_BT))
        batches.append(batch)
    loss, found = gradients(policy, batches)
    if rank == 0:
        torch.save({"loss": loss, **found}, out)


def measure_first_passes(model: Path, out: Path, hardware: Hardware = DEFAULT_HARDWARE) -> None:
    """Leave the squared norm of the gradient of the first half of eight rows."""
    policy = make_policy(model, parallel=this_process(torch.device("cpu"), hardware), hardware=hardware)
    write_result(out, grad_square_first=first_square(policy, model))


def train_in_bfloat16(model: Path, out: Path) -> None:
    hardware = Hardware(precision="bfloat16")
    parallel = this_process(torch.device("cpu"), hardware)
    policy = make_policy(model, parallel=parallel, hardware=hardware)
    curve = train(policy, model, NUM_STEPS, rows_per_pass=1)
    write_result(out, curve=curve, types=sorted({str(parameter.dtype) for parameter in policy.model.parameters()}))


def train_whole(model: Path, out: Path, hardware: Hardware) -> None:
    """Leave the model after all steps, and how much of it a rank held."""
    policy = make_policy(model, parallel=this_process(torch.device("cpu"), hardware), hardware=hardware)
    curve = train(policy, model, NUM_STEPS, rows_per_pass=1)
    export(policy, model, out / "model")
    write_result(out, curve=curve, weights=sum(local_part(p).numel() for p in policy.model.parameters()))


def write_in_bfloat16(model: Path, out: Path) -> Path:
    """Copy a model with its weights in bfloat16."""
    shutil.copytree(model, out)
    state = {name: tensor.bfloat16() for name, tensor in load_file(model / "model.safetensors").items()}
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    return out


def train_from_bfloat16(model: Path, out: Path) -> None:
    """Train adapters beside weights that are stored in bfloat16."""
    out.mkdir(exist_ok=True)
    source = out / "source"
    if dist.get_rank() == 0:
        write_in_bfloat16(model, source)
    dist.barrier()
    policy = make_policy(source, optimizer=PARTLY_OPTIMIZER, trained=LORA)
    parts: dict[str, set[str]] = {"trained": set(), "frozen": set()}
    for parameter in policy.model.parameters():
        parts["trained" if parameter.requires_grad else "frozen"].add(str(parameter.dtype))
    scores_BT = policy.logprobs(batch_of(source, rows(0)))
    curve = train(policy, source, PARTLY_STEPS, rows_per_pass=1)
    export(policy, source, out / "model")
    types = {name: sorted(found) for name, found in parts.items()}
    write_result(out, curve=curve, scores=scores_BT.tolist(), types=types)


class Killed(Parallel):
    """A rank that is killed when it has written its files and is to name them to the others."""

    def gathered(self, value: Any) -> list[Any]:
        if value is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().gathered(value)


def be_killed_while_saving(model: Path, out: Path, rank: int) -> None:
    """Leave one checkpoint, and of the next one the files of both ranks; rank 1 ends here."""
    out.mkdir(exist_ok=True)
    dist.init_process_group("gloo", init_method=f"file://{out / 'rendezvous'}", rank=rank, world_size=2)
    policy = make_policy(model)
    save(policy, out / "checkpoints", keep=1)
    policy.step_index = 1
    if rank == 1:
        policy.parallel = Killed(**{one.name: getattr(policy.parallel, one.name) for one in fields(policy.parallel)})
    writer = CheckpointWriter(policy, out / "checkpoints", keep=1)
    writer.save()
    try:
        writer.wait()
    except RuntimeError as error:
        write_result(out, error=str(error))
