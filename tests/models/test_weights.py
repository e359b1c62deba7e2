"""Packets arrive as they were packed, or not at all."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from temporay.models.weights import pack, unpack


def make_state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    full = torch.randn(3, 4, generator=generator)
    return {"a": full, "b": full.to(torch.bfloat16), "c": full.T, "scalar": torch.tensor(2.5)}


def test_round_trip() -> None:
    state = make_state()
    found = unpack(pack(state, version=3))
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_read_only_memory_is_accepted_without_a_copy() -> None:
    packet = pack(make_state(), version=1)
    for array in packet.arrays.values():
        array.setflags(write=False)  # as an object store maps it
    assert unpack(packet)["a"].data_ptr() == packet.arrays["a"].ctypes.data


@pytest.mark.parametrize("name", ["a", "b", "c", "scalar"])
def test_one_flipped_bit_is_found(name: str) -> None:
    packet = pack({key: value.clone() for key, value in make_state().items()}, version=1)
    packet.arrays[name].reshape(-1).view(np.uint8)[-1] ^= 1
    with pytest.raises(RuntimeError, match="weights of version 1 were damaged"):
        unpack(packet)


def test_a_swapped_name_is_found() -> None:
    packet = pack(make_state(), version=1)
    arrays = dict(packet.arrays)
    arrays["a"], arrays["b"] = arrays["b"], arrays["a"]
    with pytest.raises(RuntimeError, match="damaged"):
        unpack(replace(packet, arrays=arrays))
