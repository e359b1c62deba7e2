"""Weights on their way from the trainer to the engines: named arrays of one version, with a checksum.

    state dict → pack → WeightPacket → (object store) → unpack → state dict

Arrays are NumPy, because an object store maps those without a copy, and tensors not. NumPy lacks bfloat16, so its bits
travel in uint16.
"""

import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightPacket:
    """All weights of one version."""

    version: int  # number of updates; 0 is the checkpoint training started from
    arrays: Mapping[str, npt.NDArray[Any]]  # by Hugging Face name, C-contiguous
    bfloat16_names: frozenset[str]  # names of arrays that hold bfloat16 bits
    checksum: int  # CRC-32 over names, types, shapes and bytes, in order


def pack(state: Mapping[str, torch.Tensor], version: int) -> WeightPacket:
    """Pack a state dict of whole tensors (no DTensors); those on the CPU are shared, not copied."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    bfloat16_names = set()
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.dtype == torch.bfloat16:
            bfloat16_names.add(name)
            tensor = tensor.view(torch.uint16)
        arrays[name] = tensor.numpy()
    return WeightPacket(
        version=version, arrays=arrays, bfloat16_names=frozenset(bfloat16_names), checksum=checksum(arrays)
    )


def unpack(packet: WeightPacket) -> dict[str, torch.Tensor]:
    """Return tensors over the packet's memory. They may be read-only: copy from them, never into them.

    Raises:
        RuntimeError: the bytes are not those that were packed.
    """
    found = checksum(packet.arrays)
    if found != packet.checksum:
        raise RuntimeError(
            f"weights of version {packet.version} were damaged on the way: checksum {found:08x}, packed as "
            f"{packet.checksum:08x}"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensors = {name: torch.from_numpy(array) for name, array in packet.arrays.items()}
    return {
        name: tensor.view(torch.bfloat16) if name in packet.bfloat16_names else tensor
        for name, tensor in tensors.items()
    }


def checksum(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    """Return a CRC-32 over names, types, shapes and bytes."""
    crc = 0
    for name, array in arrays.items():
        crc = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return crc
