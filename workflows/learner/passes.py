"""How the work of a step is cut into forward and backward passes of all ranks. Numbers only: no Ray, no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Cut = Callable[[int], list[list[T]]]  # the most tokens of a pass → what each pass holds, as few as that allows


@dataclass(frozen=True, slots=True, kw_only=True)
class PassLimits:
    """What one forward and backward pass of a worker holds."""

    micro_batch_size: int  # samples or rollouts
    micro_batch_tokens: int | None  # that are computed, padding included; None: any number


def even_passes(cut: Cut[T], *, longest: int, widest: int, num_ranks: int) -> list[list[T]]:
    """Return as few passes as the limits allow, if possible a multiple of ``num_ranks``, none larger than it must be.

    Args:
        longest: tokens of the longest item, which a pass must be able to hold.
        widest: the most tokens that a pass may have, unless one item has more.
    """
    low, high = longest, max(longest, widest)
    num_passes = -(-len(cut(high)) // num_ranks) * num_ranks
    while low < high:  # halves the range until it holds only the least tokens that give no more passes
        middle = (low + high) // 2
        if len(cut(middle)) <= num_passes:
            high = middle
        else:
            low = middle + 1
    return _halved(cut(low), num_ranks)


def _halved(passes: list[list[T]], num_ranks: int) -> list[list[T]]:
    """Halve the largest pass until their number is a multiple of the ranks, as long as one can be halved."""
    while len(passes) % num_ranks and any(len(one) > 1 for one in passes):
        largest = max(range(len(passes)), key=lambda i: len(passes[i]))
        half = len(passes[largest]) // 2
        passes[largest : largest + 1] = [passes[largest][:half], passes[largest][half:]]
    return passes
