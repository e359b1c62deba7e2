"""Randomness by address: a generator is seeded by a hash of what it is for, never by a worker, a clock or an order.

If an index were added to a seed, neighboring seeds would share almost every sample.
"""

import functools
import hashlib
import json
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item")


def digest(*parts: object) -> int:
    """Hash JSON values, in their order, to a 128-bit integer."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def rng_at(*parts: object) -> np.random.Generator:
    """Return a random generator of its own for every address and purpose."""
    return np.random.default_rng(digest(*parts))


def choose_one(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """Choose one of several things, each with the same chance."""
    return items[int(rng.integers(len(items)))]


def shuffled(rng: np.random.Generator, items: Sequence[Item]) -> list[Item]:
    """Return the items in random order."""
    return [items[i] for i in rng.permutation(len(items))]


def random_parts(rng: np.random.Generator, total: int, num_parts: int) -> list[int]:
    """Give each of ``total`` things to one of ``num_parts`` parts at random (multinomial); return the parts' sizes."""
    return [int(n) for n in rng.multinomial(total, np.full(num_parts, 1 / num_parts))]


def random_cuts(rng: np.random.Generator, total: int, num_parts: int, minimum: int) -> list[int]:
    """Cut a length into parts of at least ``minimum`` at uniform places; return the parts' lengths.

    Raises:
        ValueError: ``total`` is less than ``num_parts`` times ``minimum``.
    """
    spare = total - num_parts * minimum
    cuts = np.sort(rng.integers(0, spare + 1, num_parts - 1))
    return [int(minimum + n) for n in np.diff([0, *cuts, spare])]


def fraction(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the parts alone, for splits."""
    return digest(*parts) / 2.0**128


def place_in_epochs(place: int, size: int, *parts: object) -> int:
    """Return which of ``size`` things comes at a place of an order without end.

    The order is one permutation per epoch, laid end to end: each thing comes once before any comes again. It depends on
    the parts and the size alone, so any place can be asked for at any time.
    """
    epoch, i = divmod(place, size)
    return int(_permutation(parts, epoch, size)[i])


@functools.lru_cache(maxsize=64)
def _permutation(parts: tuple[object, ...], epoch: int, size: int) -> npt.NDArray[np.int64]:
    return rng_at(*parts, epoch).permutation(size)
