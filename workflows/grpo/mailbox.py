"""Where batches, metrics and weights lie between the driver of reinforcement learning and its training workers."""

import asyncio
from typing import Any

import ray
from temporay.models.weights import WeightBucket
from temporay.workflows.rollouts.published_weights import PublishedWeights


class Mailbox:
    """What lies between driver and workers: an async actor, so that everyone may wait in it.

    It owns published weights, because they must outlive a worker that ends. It refers to a version only until the
    driver has taken it; engines and pool keep it from then on, and the object store frees it with their last reference.
    """

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept  # batches behind the newest one asked for, for workers that start again
        self._batches: dict[int, Any] = {}
        # What the workers report of a step, and the weights after it if engines need them.
        self._results: dict[int, tuple[Any, PublishedWeights | None]] = {}
        self._next_result = 0  # workers that start again do older steps again, and nobody waits for those
        self._start: tuple[int, PublishedWeights | None] | None = None
        self._has_started = False
        self._validated: dict[int, float] = {}  # the metric that best weights are kept by, by steps done
        self._next_line = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def close(self) -> None:
        """Tell everyone that no further batch will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def put_batch(self, step: int, batch: list[Any]) -> None:
        await self._store(self._batches, step, batch)

    async def take_batch(self, step: int) -> list[Any]:
        """Wait for a batch and return its reference, in a list so that Ray does not resolve it.

        The list is empty when there will be none.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: step in self._batches or self._closed)
            if step not in self._batches:
                return []
            for old in [known for known in self._batches if known < step - self._num_kept]:
                del self._batches[old]
            return self._batches[step]  # type: ignore[no-any-return]

    async def hold(self, bucket: WeightBucket) -> list[Any]:
        """Own a part of some weights and return its reference, in a list so that Ray does not resolve it."""
        return [await asyncio.to_thread(ray.put, bucket)]

    async def wants_result(self, step: int) -> bool:
        """Return whether the step is done for the first time."""
        return step >= self._next_result

    async def put_result(self, step: int, report: Any, weights: PublishedWeights | None) -> None:
        self._next_result = step + 1
        await self._store(self._results, step, (report, weights))

    async def take_result(self, step: int) -> tuple[Any, PublishedWeights | None]:
        async with self._changed:
            await self._changed.wait_for(lambda: step in self._results)
            return self._results.pop(step)

    async def mark_logged(self, step: int) -> None:
        """Note that the line of a step is in metrics.jsonl."""
        async with self._changed:
            self._next_line = step + 1
            self._changed.notify_all()

    async def wait_until_logged(self, step: int) -> bool:
        """Wait for the line of a step in metrics.jsonl; return False when it will never be there."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._next_line > step or self._closed)
            return self._next_line > step

    async def put_validation(self, steps_done: int, value: float) -> None:
        await self._store(self._validated, steps_done, value)

    async def take_validation(self, steps_done: int) -> float | None:
        """Wait for what the weights after so many steps were worth; None when it will not be known."""
        async with self._changed:
            await self._changed.wait_for(lambda: steps_done in self._validated or self._closed)
            return self._validated.get(steps_done)

    async def wants_start(self) -> bool:
        """Return whether the workers start for the first time."""
        return not self._has_started

    async def put_start(self, step: int, weights: PublishedWeights | None) -> None:
        async with self._changed:
            self._start, self._has_started = (step, weights), True
            self._changed.notify_all()

    async def take_start(self) -> tuple[int, PublishedWeights | None]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._start is not None)
            assert self._start is not None
            start, self._start = self._start, None
            return start

    async def _store(self, place: dict[int, Any], step: int, value: Any) -> None:
        async with self._changed:
            place[step] = value
            self._changed.notify_all()
