"""What the mailbox refers to, and what it refuses: steps done again, and weights that somebody else holds."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ray
import torch
from ray._private.internal_api import get_memory_info_reply, get_state_from_address
from temporay.workflows.grpo.mailbox import Mailbox
from temporay.workflows.rollouts.published_weights import PublishedWeights, publish

WEIGHTS = PublishedWeights(version=1, checksum=7)


def test_steps_done_again_are_not_wanted() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(4)
        assert await mailbox.wants_result(0)
        await mailbox.put_result(0, "report", WEIGHTS)
        assert not await mailbox.wants_result(0)  # also before it is taken
        assert await mailbox.take_result(0) == ("report", WEIGHTS)
        assert [await mailbox.wants_result(step) for step in (0, 1)] == [False, True]

    asyncio.run(scenario())


def test_the_start_is_handed_over_once() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(4)
        assert await mailbox.wants_start()
        await mailbox.put_start(3, WEIGHTS)
        assert await mailbox.take_start() == (3, WEIGHTS)
        assert not await mailbox.wants_start()  # workers that start again

    asyncio.run(scenario())


def test_weights_outlive_the_worker_and_nothing_else(ray_cluster: None) -> None:
    """The mailbox owns them: they are there when their worker has ended, and go with the last reference of the pool."""
    before = settled_store_bytes()
    mailbox: Any = ray.remote(num_cpus=0)(Mailbox).remote(4)

    @ray.remote(num_cpus=0, max_calls=1)  # the process ends with the task
    def worker(mailbox: Any) -> None:
        weights = publish(
            [(name, torch.ones(1 << 17)) for name in "ab"],
            1,
            bucket_bytes=1 << 19,
            store=lambda bucket: ray.get(mailbox.hold.remote(bucket))[0],
        )
        ray.get(mailbox.put_result.remote(0, None, weights))

    ray.get(worker.remote(mailbox))
    _, weights = ray.get(mailbox.take_result.remote(0))
    assert len(weights.bucket_refs) == 2
    assert [float(ray.get(ref).arrays[name][0]) for ref, name in zip(weights.bucket_refs, "ab", strict=True)] == [1, 1]
    assert store_bytes() > before + (1 << 20)
    del weights
    while store_bytes() > before:
        time.sleep(0.05)
    ray.kill(mailbox)


def settled_store_bytes() -> int:
    """Wait until what the tests before left is freed, which Ray does every second."""
    before, now = -1, store_bytes()
    while before != now:
        time.sleep(2.5)
        before, now = now, store_bytes()
    return now


def store_bytes() -> int:
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    return int(get_memory_info_reply(state).store_stats.object_store_bytes_used)
