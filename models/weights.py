"""Weights on their way from the trainer to the engines: buckets of named arrays, each with a checksum.

    whole tensors, one by one → buckets → WeightBucket → (object store) → tensors over the same memory → engine

A bucket is some hundred megabytes of one version, so that neither side holds a second whole model. Arrays are NumPy,
because an object store maps those without a copy, and tensors not. NumPy lacks bfloat16, so its bits travel in uint16.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xxhash

MAX_CHECKSUM = (1 << 63) - 1  # what a signed column of a file of rollouts holds


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightBucket:
    """Some whole tensors of one version."""

    arrays: Mapping[str, npt.NDArray[Any]]  # by Hugging Face name, C-contiguous
    bfloat16_names: frozenset[str]  # names of arrays that hold bfloat16 bits
    checksum: int  # of the arrays when they were packed


def in_buckets(tensors: Iterable[tuple[str, torch.Tensor]], max_bytes: int) -> Iterator[dict[str, torch.Tensor]]:
    """Group whole tensors into dicts of at most ``max_bytes``, on the CPU and in order.

    Tensors that are on the CPU are shared, not copied. One that is larger than a bucket has one of its own.
    """
    bucket: dict[str, torch.Tensor] = {}
    num_bytes = 0
    for name, tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        if bucket and num_bytes + tensor.nbytes > max_bytes:
            yield bucket
            bucket, num_bytes = {}, 0
        bucket[name] = tensor
        num_bytes += tensor.nbytes
    if bucket:
        yield bucket


def pack(tensors: Mapping[str, torch.Tensor]) -> WeightBucket:
    """Pack whole tensors (no DTensors); those on the CPU are shared, not copied."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    bfloat16_names = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.dtype == torch.bfloat16:
            bfloat16_names.add(name)
            tensor = tensor.view(torch.uint16)
        arrays[name] = tensor.numpy()
    return WeightBucket(arrays=arrays, bfloat16_names=frozenset(bfloat16_names), checksum=checksum_of_arrays(arrays))


def unpack(bucket: WeightBucket) -> dict[str, torch.Tensor]:
    """Return tensors over the bucket's memory. They may be read-only: copy from them, never into them.

    Raises:
        RuntimeError: the bytes are not those that were packed.
    """
    found = checksum_of_arrays(bucket.arrays)
    if found != bucket.checksum:
        raise RuntimeError(
            f"weights were damaged on the way: checksum {found:x}, packed as {bucket.checksum:x}; the first of "
            f"{len(bucket.arrays)} tensors is {next(iter(bucket.arrays), None)}"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensors = {name: torch.from_numpy(array) for name, array in bucket.arrays.items()}
    return {
        name: tensor.view(torch.bfloat16) if name in bucket.bfloat16_names else tensor
        for name, tensor in tensors.items()
    }


def checksum_of_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    """Return the XXH3 hash (64 bits, cut to 63) of names, types, shapes and bytes. It is as fast as memory."""
    hashed = xxhash.xxh3_64()
    for name, array in arrays.items():
        hashed.update(f"{name} {array.dtype.str} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return hashed.intdigest() & MAX_CHECKSUM


def checksum_of_version(bucket_checksums: Iterable[int]) -> int:
    """Return one checksum for all buckets of a version, in their order."""
    return xxhash.xxh3_64(" ".join(map(str, bucket_checksums)).encode()).intdigest() & MAX_CHECKSUM
