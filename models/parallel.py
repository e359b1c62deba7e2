"""Where a policy lives: the ranks of a data-parallel group, and FSDP2 applied to a model from outside."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from pydantic import Field
from temporay.models.families._base import Family
from temporay.operators.settings import Settings
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

Precision = Literal["auto", "float32", "bfloat16"]
Sharding = Literal["parameters", "optimizer"]


class Hardware(Settings):
    """How passes are computed, and what the devices can do."""

    precision: Precision = "auto"  # type of the passes; auto: bfloat16 on GPUs, float32 elsewhere
    sharding: Sharding = "parameters"  # tensors that ranks share; optimizer: more memory, one exchange a step
    peak_tflops: float | None = Field(
        default=None, gt=0
    )  # peak of one device, dense; None: by its name, if that is known
    memory_forecast: Literal["refuse", "report"] = "refuse"  # if more is needed than there is


DEFAULT_HARDWARE = Hardware()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """This process among the ranks that train together."""

    rank: int
    world_size: int
    device: torch.device
    mesh: DeviceMesh | None  # None: one process, nothing is sharded

    def sum(self, values: Tensor) -> Tensor:
        """Return the element-wise sum over ranks; every rank must call it with the same shape."""
        if self.mesh is None:
            return values
        summed = values.to(self.device)
        dist.all_reduce(summed, group=self.mesh.get_group())
        return summed

    def from_rank_0(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        if self.mesh is None:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.mesh.get_group())
        return box[0]

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.sum(torch.zeros(1))


def this_process(device: torch.device, precision: Precision = "auto") -> Parallel:
    """Return this rank of the default process group (gloo on CPUs, NCCL on GPUs), or this process alone without one."""
    if not dist.is_initialized():
        return Parallel(rank=0, world_size=1, device=device, mesh=None)
    world_size = dist.get_world_size()
    if world_size == 1 and device.type == "cpu" and pass_dtype(device, precision) == torch.float32:
        return Parallel(rank=0, world_size=1, device=device, mesh=None)
    mesh = init_device_mesh(device.type, (world_size,), mesh_dim_names=("data_parallel",))
    return Parallel(rank=dist.get_rank(), world_size=world_size, device=device, mesh=mesh)


def pass_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """Return the type of forward and backward passes."""
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def shard(
    model: nn.Module,
    family: Family,
    parallel: Parallel,
    *,
    gradient_checkpointing: bool,
    hardware: Hardware = DEFAULT_HARDWARE,
) -> None:
    """Move a model to its device and shard it over the ranks, in place.

    With ``sharding`` parameters, a rank holds its part of weights, gradients and optimizer state and gathers one block
    at a time (ZeRO-3, arXiv 1910.02054). With ``optimizer``, weights and gradients are whole while a step is computed.
    With passes in bfloat16, master weights and gradient sums stay in float32.

    Raises:
        ValueError: bfloat16 was asked for without a process group, but FSDP2 does the casts.
    """
    if gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    model.to(parallel.device)
    if parallel.mesh is None:
        if hardware.precision == "bfloat16":
            raise ValueError("precision bfloat16 needs a process group, of one rank at least")
        return
    policy = MixedPrecisionPolicy()
    if pass_dtype(parallel.device, hardware.precision) == torch.bfloat16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        for buffer in model.get_output_embeddings().buffers():  # type: ignore[operator]
            buffer.data = buffer.data.to(torch.bfloat16)  # FSDP2 casts parameters only
    if hardware.sharding == "parameters":
        for block in family.shard_blocks(model):
            fully_shard(block, mesh=parallel.mesh, mp_policy=policy)
    fully_shard(model, mesh=parallel.mesh, mp_policy=policy)


def cut_again(model: nn.Module) -> None:
    """Free all but a rank's own part, as a backward pass does, after passes without one."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def local_part(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this rank holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def exchange_after(model: nn.Module, hardware: Hardware, *, is_last: bool) -> None:
    """Let only the last micro-batch of a step end in an exchange between ranks; call it before every micro-batch.

    With ``sharding`` parameters every one ends in an exchange, because no rank holds a whole gradient.
    """
    if hardware.sharding == "optimizer" and isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(is_last)
        model.set_reshard_after_backward(is_last)
