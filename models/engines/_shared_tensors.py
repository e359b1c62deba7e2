"""Tensors for the worker processes of one engine: written once into shared memory, mapped by each.

state dict → SharedTensors (a file in /dev/shm, and where each tensor is) → pickled by its name only → mapped
"""

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch

SHARED_MEMORY = "/dev/shm"
ALIGNMENT = 64  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedTensor:
    """A tensor by where it is in the file."""

    first_byte: int
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTensors:
    """A file of tensors and their places in it."""

    path: str
    num_bytes: int
    places: Mapping[str, MappedTensor]  # by the name of the tensor

    @classmethod
    @contextmanager
    def holding(cls, tensors: Mapping[str, torch.Tensor]) -> Iterator[Self]:
        """Copy tensors into a new file. It has no name after the block, but whoever mapped it keeps the memory."""
        places, first_byte = {}, 0
        known: dict[int, MappedTensor] = {}  # by identity: a tied tensor has two names and one place
        for name, tensor in tensors.items():
            if id(tensor) not in known:
                place = MappedTensor(first_byte=first_byte, dtype=tensor.dtype, shape=tuple(tensor.shape))
                known[id(tensor)] = place
                first_byte += -(-place.num_bytes // ALIGNMENT) * ALIGNMENT
            places[name] = known[id(tensor)]
        with tempfile.NamedTemporaryFile(dir=SHARED_MEMORY, prefix="temporay_weights_") as file:
            shared = cls(path=file.name, num_bytes=first_byte, places=places)
            for name, mapped in shared.mapped().items():
                mapped.copy_(tensors[name])
            yield shared

    def mapped(self) -> dict[str, torch.Tensor]:
        """Return the tensors in place."""
        memory = torch.from_file(self.path, shared=True, size=self.num_bytes, dtype=torch.uint8)
        return {
            name: memory[place.first_byte : place.first_byte + place.num_bytes].view(place.dtype).view(place.shape)
            for name, place in self.places.items()
        }
