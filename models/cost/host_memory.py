"""How much memory one rank may use: its GPU's, or its share of the machine's or container's."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
import torch
from safetensors import safe_open
from temporay.models.parallel import local_part
from temporay.models.policy import Policy
from temporay.operators.errors import UserError

GIB = 1 << 30
UNTOUCHED_SHARE = 0.1  # of a host's memory: Ray ends processes from 95 % on, and later steps may need a little more
CGROUP = Path("/sys/fs/cgroup")


def available_bytes(policy: Policy, *, ranks_on_host: int) -> float:
    """Return the bytes one rank may use: its GPU, or its share of the host, with what it holds already."""
    device = policy.parallel.device
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device))
    held = sum(p.numel() * p.element_size() for p in map(local_part, policy.model.parameters()))
    return host_bytes() / ranks_on_host + held


def host_bytes() -> float:
    """Return the bytes that are left on this machine or under the container's limit."""
    left = float(psutil.virtual_memory().available)
    if (allowed := container_limit()) is None:
        return left
    stat: Mapping[str, str] = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    used = int((CGROUP / "memory.current").read_text()) - int(stat["inactive_file"])  # files in the cache give way
    return min(left, float(allowed - used))


def container_limit() -> int | None:
    """Return the bytes that the container may use; None: there is no limit."""
    limit = CGROUP / "memory.max"
    if not limit.exists() or (allowed := limit.read_text().strip()) == "max":
        return None
    return int(allowed)


def spare_bytes(ranks_on_host: int) -> float:
    """Return the host memory that one rank may still take for something it can do without."""
    total = float(psutil.virtual_memory().total)
    if (allowed := container_limit()) is not None:
        total = min(total, float(allowed))
    return (host_bytes() - UNTOUCHED_SHARE * total) / ranks_on_host


def check_loading(path: Path, *, world_size: int, ranks_on_host: int, host: float) -> None:
    """Check that the ranks of a host can hold their parts of the model in float32, before they read them.

    Raises:
        UserError: together they do not fit into the host's memory.
    """
    num_weights = 0
    for file in path.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            num_weights += sum(int(np.prod(weights.get_slice(name).get_shape())) for name in weights.keys())  # noqa: SIM118
    needed = 4.0 * num_weights * ranks_on_host / world_size
    if needed > host:
        raise UserError(
            f"{ranks_on_host} of {world_size} workers are on one host, and their parts of the {num_weights / 1e6:.0f} "
            f"M weights of {path} take {needed / GIB:.2f} GiB in float32, but the host has {host / GIB:.2f} GiB left; "
            "use more hosts, a smaller model or more memory"
        )
