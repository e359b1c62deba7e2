"""Weights on their way from the trainer to the engines: buckets of named arrays, each with a checksum.

    whole tensors, one by one → buckets → WeightBucket → (object store) → tensors over the same memory → engine

A bucket is some hundred megabytes of one version, so that neither side holds a second whole model. A tensor that is
larger travels as several buckets of its rows. Arrays are NumPy, because an object store maps those without a copy, and
tensors not. NumPy lacks bfloat16, so its bits travel in uint16.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xxhash

MAX_CHECKSUM = (1 << 63) - 1  # what a signed column of a file of rollouts holds


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightBucket:
    """Some whole tensors of one version, or the next rows of one that is too large for a bucket."""

    arrays: Mapping[str, npt.NDArray[Any]]  # by Hugging Face name, C-contiguous
    bfloat16_names: frozenset[str]  # names of arrays that hold bfloat16 bits
    checksum: int  # of the arrays when they were packed
    num_rows: int | None = None  # of the whole tensor that this bucket has some rows of; None: its tensors are whole


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


def pack_cut(tensors: Mapping[str, torch.Tensor], max_bytes: int) -> Iterator[WeightBucket]:
    """Pack what ``in_buckets`` gave; one tensor that is too large becomes several buckets of its rows."""
    (name, tensor), *others = tensors.items()
    if others or tensor.nbytes <= max_bytes or tensor.ndim == 0:
        yield pack(tensors)
        return
    rows_per_bucket = max(1, max_bytes * len(tensor) // tensor.nbytes)
    for first in range(0, len(tensor), rows_per_bucket):
        yield replace(pack({name: tensor[first : first + rows_per_bucket]}), num_rows=len(tensor))


def joined(
    parts: Iterable[tuple[Mapping[str, torch.Tensor], int | None]],
) -> Iterator[Mapping[str, torch.Tensor]]:
    """Yield the tensors of a version's buckets, in order; rows are gathered until their tensor is whole.

    Args:
        parts: unpacked buckets, each with its ``num_rows``.

    Raises:
        RuntimeError: the last rows of a tensor never came.
    """
    whole: dict[str, torch.Tensor] = {}
    num_there = 0
    for tensors, num_rows in parts:
        if num_rows is None:
            yield tensors
            continue
        ((name, rows),) = tensors.items()
        whole = whole or {name: torch.empty((num_rows, *rows.shape[1:]), dtype=rows.dtype)}
        whole[name][num_there : num_there + len(rows)] = rows
        num_there += len(rows)
        if num_there == num_rows:
            yield whole
            whole, num_there = {}, 0
    if whole:
        raise RuntimeError(f"only {num_there} rows of {next(iter(whole))} came")


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
