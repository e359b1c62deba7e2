"""Where a policy lives: the ranks of a data-parallel group, and FSDP2 applied to a model from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, Self

import torch
import torch.distributed as dist
from pydantic import Field
from temporay.models.families._base import Family
from temporay.operators.errors import UserError
from temporay.operators.settings import Settings
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
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
    offload: Literal["none", "cpu"] = "none"  # cpu: a rank's part of weights, gradients, optimizer is in host memory
    replicas: int = Field(default=1, ge=1)  # groups of ranks that hold all weights each: HSDP, e.g. one group per node
    # What happens if a forecast says that more is needed than there is. auto: refuse on CPUs, report on GPUs, where the
    # forecast has not been compared with what is used.
    memory_forecast: Literal["auto", "refuse", "report"] = "auto"

    def refuses(self, device: torch.device) -> bool:
        """Return whether a step that is forecast not to fit must not start."""
        return self.memory_forecast == "refuse" or (self.memory_forecast == "auto" and device.type == "cpu")


DEFAULT_HARDWARE = Hardware()
FILES_TIMEOUT = timedelta(hours=2)  # for a rank that reads or writes its part of a checkpoint on slow storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """This process among the ranks that train together."""

    rank: int
    world_size: int
    device: torch.device
    mesh: DeviceMesh | None  # of all ranks; None: one process, nothing is sharded
    files: dist.ProcessGroup | None = None  # the same ranks on CPUs, for file work that takes long; None with no mesh

    def sum(self, values: Tensor) -> Tensor:
        """Return the element-wise sum over ranks; every rank must call it with the same shape."""
        if self.mesh is None:
            return values
        summed = values.to(self.device)
        dist.all_reduce(summed)
        return summed

    def from_rank_0(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        if self.files is None:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.files)
        return box[0]

    def gathered(self, value: Any) -> list[Any]:
        """Return the values of all ranks in their order, on every rank."""
        if self.files is None:
            return [value]
        box: list[Any] = [None] * self.world_size
        dist.all_gather_object(box, value, group=self.files)
        return box

    def wait_for_files(self) -> None:
        """Wait until every rank is here, as long as it takes: for ranks that read or write files meanwhile."""
        self.gathered(None)

    def with_own_file_group(self) -> Self:
        """Return the same ranks with another ``files``, for a thread; every rank must call it."""
        return self if self.files is None else replace(self, files=file_group())

    def release_cache(self) -> None:
        """Give the device memory that this process holds but does not use; on a CPU nothing is held."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.sum(torch.zeros(1))


def this_process(
    device: torch.device, hardware: Hardware = DEFAULT_HARDWARE, *, all_are_trained: bool = True
) -> Parallel:
    """Return this rank of the default process group (gloo on CPUs, NCCL on GPUs), or this process alone without one.

    One CPU is a process alone, if all weights are float32 there: FSDP2 would only cost time.

    Args:
        all_are_trained: whether no weight is frozen and kept in a smaller type.

    Raises:
        UserError: ``replicas`` do not divide the ranks.
    """
    if not dist.is_initialized():
        return Parallel(rank=0, world_size=1, device=device, mesh=None)
    world_size = dist.get_world_size()
    in_float32 = pass_dtype(device, hardware.precision) == torch.float32 and all_are_trained
    if world_size == 1 and device.type == "cpu" and in_float32:
        return Parallel(rank=0, world_size=1, device=device, mesh=None)
    shards = num_shards(world_size, hardware)
    if hardware.replicas > 1:  # neighboring ranks are on one node and shard; those of other nodes have copies
        shape = (hardware.replicas, shards)
        mesh = init_device_mesh(device.type, shape, mesh_dim_names=("replicate", "shard"))
    else:
        mesh = init_device_mesh(device.type, (world_size,), mesh_dim_names=("shard",))
    return Parallel(rank=dist.get_rank(), world_size=world_size, device=device, mesh=mesh, files=file_group())


def num_shards(world_size: int, hardware: Hardware) -> int:
    """Return the number of ranks that share one copy of the model.

    Raises:
        UserError: ``replicas`` do not divide the ranks.
    """
    if world_size % hardware.replicas:
        raise UserError(
            f"hardware.replicas is {hardware.replicas}, but {world_size} workers cannot be cut into as many equal "
            "groups; give a divisor, for instance the number of nodes"
        )
    return world_size // hardware.replicas


@contextmanager
def group_of_one() -> Iterator[Parallel]:
    """Make a process group of this process alone, on the CPU: sharded models are then handled as by many ranks."""
    store = dist.HashStore()  # type: ignore[attr-defined] # documented, but not in __all__
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield this_process(torch.device("cpu"), all_are_trained=False)
    finally:
        dist.destroy_process_group()


def file_group() -> dist.ProcessGroup:
    """Make a group of all ranks that exchanges values on CPUs and has a long timeout; every rank must call it."""
    backend = "gloo" if "nccl" in dist.get_backend() else None  # None: that of the default group
    group: dist.ProcessGroup = dist.new_group(backend=backend, timeout=FILES_TIMEOUT)
    return group


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
    """Shard a model over the ranks, in place. What is not on the meta device moves to the ranks' device.

    With ``sharding`` parameters, a rank holds its part of weights, gradients and optimizer state and gathers one block
    at a time (ZeRO-3, arXiv 1910.02054). With ``optimizer``, weights and gradients are whole while a step is computed.
    With ``replicas``, each group of ranks shards a copy of its own, and groups exchange gradients only (HSDP, arXiv
    2304.11277, section 3.2). With passes in bfloat16, trained weights and gradient sums stay in float32. Frozen weights
    of a smaller type get that of the passes when they are gathered.

    Raises:
        UserError: offload was asked for where everything is in host memory.
        ValueError: bfloat16 was asked for without a process group, but FSDP2 does the casts.
    """
    if gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    if parallel.mesh is None:
        if hardware.offload == "cpu":
            raise UserError(
                "hardware.offload is cpu, but a single worker on a CPU is in host memory anyway; leave it out"
            )
        if hardware.precision == "bfloat16":
            raise ValueError("precision bfloat16 needs a process group, of one rank at least")
        return
    dtype = pass_dtype(parallel.device, hardware.precision)
    for buffer in model.get_output_embeddings().buffers():  # type: ignore[operator]
        buffer.data = buffer.data.to(dtype)  # FSDP2 casts parameters only
    units = [*(family.shard_blocks(model) if hardware.sharding == "parameters" else ()), model]
    for unit in units:
        fully_shard(
            unit,
            mesh=parallel.mesh,
            mp_policy=MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32),
            offload_policy=offload_policy(parallel.device, hardware),
        )


def offload_policy(device: torch.device, hardware: Hardware) -> OffloadPolicy:
    """Return where FSDP2 keeps a rank's own part of weights, gradients and optimizer state."""
    if hardware.offload == "none":
        return OffloadPolicy()
    return CPUOffloadPolicy(pin_memory=device.type == "cuda")


def resting_device(parallel: Parallel, hardware: Hardware) -> torch.device:
    """Return the device of a rank's own part of weights, gradients and optimizer state."""
    return torch.device("cpu") if hardware.offload == "cpu" else parallel.device


def whole(tensor: Tensor) -> Tensor:
    """Gather a tensor from the ranks that share it; every rank must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


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
