"""Buckets arrive as they were packed, or not at all."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from temporay.models.weights import checksum_of_version, in_buckets, joined, pack, pack_cut, unpack


def make_state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    full = torch.randn(3, 4, generator=generator)
    return {"a": full, "b": full.to(torch.bfloat16), "c": full.T, "scalar": torch.tensor(2.5)}


def test_round_trip() -> None:
    state = make_state()
    found = unpack(pack(state))
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_read_only_memory_is_accepted_without_a_copy() -> None:
    bucket = pack(make_state())
    for array in bucket.arrays.values():
        array.setflags(write=False)  # as an object store maps it
    assert unpack(bucket)["a"].data_ptr() == bucket.arrays["a"].ctypes.data


@pytest.mark.parametrize("name", ["a", "b", "c", "scalar"])
def test_one_flipped_bit_is_found(name: str) -> None:
    bucket = pack({key: value.clone() for key, value in make_state().items()})
    bucket.arrays[name].reshape(-1).view(np.uint8)[-1] ^= 1
    with pytest.raises(RuntimeError, match="weights were damaged on the way"):
        unpack(bucket)


def test_a_swapped_name_is_found() -> None:
    bucket = pack(make_state())
    arrays = dict(bucket.arrays)
    arrays["a"], arrays["b"] = arrays["b"], arrays["a"]
    with pytest.raises(RuntimeError, match="damaged"):
        unpack(replace(bucket, arrays=arrays))


def test_buckets_hold_so_many_bytes_and_every_tensor_once() -> None:
    """One that is larger than a bucket has its own."""
    sizes = {"a": 3, "b": 5, "c": 20, "d": 1, "e": 7, "f": 1}  # float32
    state = {name: torch.arange(float(size)) for name, size in sizes.items()}
    buckets = list(in_buckets(state.items(), max_bytes=32))
    assert [list(bucket) for bucket in buckets] == [["a", "b"], ["c"], ["d", "e"], ["f"]]
    for bucket in buckets:
        assert all(tensor.data_ptr() == state[name].data_ptr() for name, tensor in bucket.items())  # no copies
    assert list(in_buckets([], max_bytes=32)) == []


@pytest.mark.parametrize(("max_bytes", "rows"), [(64, [3, 3, 1]), (8, [1] * 7)])
def test_a_tensor_larger_than_a_bucket_travels_in_rows(max_bytes: int, rows: list[int]) -> None:
    """It arrives whole, and tensors that fit stay as they are. A row that is larger than a bucket has its own."""
    state = {"a": torch.arange(2.0), "b": torch.arange(70.0).reshape(7, 10).to(torch.bfloat16), "c": torch.tensor(1.0)}
    packed = [one for tensors in in_buckets(state.items(), max_bytes) for one in pack_cut(tensors, max_bytes)]
    assert [len(one.arrays["b"]) for one in packed if "b" in one.arrays] == rows
    assert [one.num_rows for one in packed] == [None, *[7] * len(rows), None]
    parts = [(unpack(one), one.num_rows) for one in packed]
    found = {name: tensor for tensors in joined(parts) for name, tensor in tensors.items()}
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    with pytest.raises(RuntimeError, match="rows of b came"):
        list(joined(parts[:-2]))


def test_the_checksum_of_a_version_is_that_of_its_buckets_in_order() -> None:
    """It fits the signed column of a file of rollouts."""
    first, second = (pack({name: tensor}).checksum for name, tensor in list(make_state().items())[:2])
    assert checksum_of_version([first, second]) != checksum_of_version([second, first])
    assert checksum_of_version([first, second]) != checksum_of_version([first])
    assert 0 <= checksum_of_version([first, second]) < 2**63
    assert 0 <= first < 2**63
