"""The buffer between the two halves of reinforcement learning, produce and train.

Rule: the batch of update ``s`` may be started once at least ``s - max_staleness`` updates are done. With
``max_staleness`` 0 that is the synchronous, exactly on-policy loop; with 1, the engines work on the next batch while
the trainer works on this one.
"""

import asyncio
from typing import Generic, TypeVar

BatchT = TypeVar("BatchT")


class RolloutBuffer(Generic[BatchT]):
    """Holds finished batches in the order of their updates. One event loop, no locks beyond its condition."""

    def __init__(self, *, max_staleness: int, updates_done: int = 0) -> None:
        if max_staleness < 0:
            raise ValueError(f"max_staleness must be 0 or more, got {max_staleness}")
        self._max_staleness = max_staleness
        self._updates_done = updates_done
        self._items: dict[int, BatchT] = {}
        self._changed = asyncio.Condition()

    async def room_for(self, update: int) -> int:
        """Wait until the batch of an update may be started. Returns how many updates are done by then."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._updates_done >= update - self._max_staleness)
            return self._updates_done

    async def put(self, update: int, item: BatchT) -> None:
        async with self._changed:
            self._items[update] = item
            self._changed.notify_all()

    async def get(self, update: int) -> BatchT:
        """Wait for the batch of an update and take it out."""
        async with self._changed:
            await self._changed.wait_for(lambda: update in self._items)
            return self._items.pop(update)

    async def mark_done(self, update: int) -> None:
        """Record that the update is applied and its weights are published."""
        async with self._changed:
            self._updates_done = update + 1
            self._changed.notify_all()
