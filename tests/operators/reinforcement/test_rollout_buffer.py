from __future__ import annotations

import asyncio

import pytest
from temporay.operators.reinforcement.rollout_buffer import RolloutBuffer


async def order_of_work(max_staleness: int, num_updates: int) -> list[str]:
    """Run both halves over one buffer and return what they did, in order. Producing wins when it is allowed."""
    buffer: RolloutBuffer[int] = RolloutBuffer(max_staleness=max_staleness)
    done: list[str] = []

    async def produce() -> None:
        for update in range(num_updates):
            await buffer.room_for(update)
            done.append(f"produce {update}")
            await buffer.put(update, update)

    async def train() -> None:
        for update in range(num_updates):
            assert await buffer.get(update) == update
            for _ in range(5):
                await asyncio.sleep(0)
            done.append(f"train {update}")
            await buffer.mark_done(update)

    await asyncio.gather(produce(), train())
    return done


def test_staleness_0_takes_turns() -> None:
    done = asyncio.run(order_of_work(0, 3))
    assert done == ["produce 0", "train 0", "produce 1", "train 1", "produce 2", "train 2"]


@pytest.mark.parametrize("max_staleness", [1, 2])
def test_produce_is_ahead_by_the_bound_and_no_more(max_staleness: int) -> None:
    done = asyncio.run(order_of_work(max_staleness, 6))
    lead = [
        done.index(f"train {u - max_staleness - 1}") < done.index(f"produce {u}") for u in range(max_staleness + 1, 6)
    ]
    assert all(lead)
    assert done.index(f"produce {max_staleness}") < done.index("train 0")


def test_a_resumed_buffer_starts_where_it_was() -> None:
    async def resumed() -> int:
        return await RolloutBuffer[int](max_staleness=0, updates_done=7).room_for(7)

    assert asyncio.run(resumed()) == 7


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="max_staleness must be 0 or more"):
        RolloutBuffer[int](max_staleness=-1)
