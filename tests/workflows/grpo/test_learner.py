"""The driver's end of the training workers."""

from __future__ import annotations

import asyncio

import pytest
import ray
from temporay.workflows.grpo.learner import _resolve
from temporay.workflows.grpo.mailbox import Mailbox


@pytest.mark.usefixtures("ray_cluster")
def test_a_lost_mailbox_ends_the_run_so_that_it_can_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Its node was taken away: no bug of ours, and nothing is lost but the steps since the last checkpoint."""
    mailbox = ray.remote(Mailbox).options(num_cpus=0.01).remote(1)
    ray.get(mailbox.mark_logged.remote(0))

    async def lose() -> None:
        waiting = mailbox.take_start.remote()
        ray.kill(mailbox)
        await _resolve(waiting)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(lose())
    assert "the node of the mailbox was lost" in capsys.readouterr().out
