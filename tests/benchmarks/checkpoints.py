"""What a checkpoint costs the step that it is taken after: written at once, as a plain save does, and beside the steps.

Two ranks on gloo hold weights, gradients and AdamW of a model. At once: all ranks write, then rank 0 hashes every file
while the others wait. Beside: the step waits for a copy in host memory. The first copy allocates; later ones reuse it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from temporay.models.checkpoint import CheckpointWriter
from temporay.models.families._base import family_of
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.models.tiny import TinyShape, build
from torch.distributed.checkpoint import state_dict_saver
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.multiprocessing.spawn import spawn

WORLD_SIZE = 2


def main() -> None:
    """Print one row for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a model folder; without one a random model of 28 M weights is made")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model
        if model is None:
            model = Path(folder) / "model"
            shape = TinyShape(hidden_size=768, num_layers=4, num_heads=8, vision_hidden_size=256, vision_depth=2)
            build(model, ["Which way?"], shape, seed=0)
        spawn(rank_main, (model, Path(folder), arguments.repeats), nprocs=WORLD_SIZE)  # type: ignore[no-untyped-call]


def rank_main(rank: int, model: Path, folder: Path, repeats: int) -> None:
    """Measure on one rank; rank 0 prints."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD_SIZE)
    policy = trained_once(model)
    at_once, copies, writes = [], [], []
    for _ in range(repeats):
        at_once.append(seconds_at_once(policy, folder / "at_once"))
        if rank == 0:
            shutil.rmtree(folder / "at_once")
        dist.barrier()
    writer = CheckpointWriter(policy, folder / "beside", keep=1)
    for repeat in range(repeats + 1):
        policy.step_index = repeat
        writer.save()
        saved = writer.wait()
        assert saved is not None
        copies.append(saved.seconds_copy)
        writes.append(saved.seconds_write)
    if rank == 0:
        weights = sum(p.numel() for p in policy.model.parameters())
        print(f"{weights / 1e6:.0f} M weights, {saved.bytes / 1e9:.2f} GB, {WORLD_SIZE} ranks, {repeats} repeats")
        print("| the step waits for | seconds: median (least to most) |\n|---|---|")
        print(f"| writing, and hashes by rank 0 | {spread(at_once)} |")
        print(f"| the first copy | {copies[0]:.2f} |")
        print(f"| later copies | {spread(copies[1:])} |")
        print(f"| nothing: writing and hashes beside the steps | {spread(writes)} |", flush=True)
    dist.barrier()
    os._exit(0)  # gloo's threads sometimes abort an interpreter that ends around them


def trained_once(model: Path) -> Policy:
    """Return a sharded policy with the state of AdamW, after a step of gradients that are 0."""
    family = family_of(model)
    settings = PolicySettings(optimizer=OptimizerConfig(), total_steps=100)
    policy = Policy(family.load_model(model, torch.float32), family, settings)
    for parameter in policy.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    policy.step()
    return policy


def seconds_at_once(policy: Policy, folder: Path) -> float:
    """Write weights and optimizer in the foreground."""
    dist.barrier()
    start = time.perf_counter()
    model, optimizer = get_state_dict(policy.model, policy.optimizer)
    state_dict_saver.save({"model": model, "optimizer": optimizer}, checkpoint_id=folder)
    if dist.get_rank() == 0:
        for file in sorted(folder.iterdir()):
            with file.open("rb") as opened:
                hashlib.file_digest(opened, "sha256")
    dist.barrier()
    return time.perf_counter() - start


def spread(seconds: list[float]) -> str:
    """Return the median with its range."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
