"""The driver's end of the training workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from temporay.operators.dataset.reader import Dataset
from temporay.operators.media import ShownMedium
from temporay.operators.records import Group, Prompt
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.grpo.batches import TrainingBatch, TrainingGroup, UpdateReport
from temporay.workflows.grpo.learner import PolicyLearner, _in_thread, _resolve
from temporay.workflows.grpo.mailbox import Mailbox
from temporay.workflows.rollouts.media import ClipSource, MediaStore

from tests.small_data import write_dataset

pytestmark = pytest.mark.usefixtures("ray_cluster")


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


class Ended(BaseException):
    """What ends a thread and is no error, as SystemExit is not."""


def test_whatever_ends_the_thread_of_the_workers_ends_the_wait_for_it() -> None:
    def end() -> None:
        raise Ended

    async def wait() -> None:
        await asyncio.wait_for(_in_thread(end), timeout=30.0)

    with pytest.raises(Ended):
        asyncio.run(wait())


class Method:
    """A method of an actor, called in this process."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    async def remote(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class KeepingMailbox:
    """A mailbox that answers at once and keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.put_batch = Method(lambda step, batch: self.batches.append(batch))
        self.take_result = Method(lambda step: (UpdateReport(metrics={}), None))


def test_a_learned_batch_holds_no_frames_and_can_be_learned_again(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", num_samples=2)
    frames_THWC = Dataset.open(data).frames(1)
    prompt = Prompt(key="a", text="?", media=(ShownMedium(frames_THWC=frames_THWC, fps=4.0),))
    stored = MediaStore().put(prompt, num_rollouts=2, source=ClipSource(data=data, row=1, videos=VideoReading()))
    group = TrainingGroup(prompt=stored, group=Group(key="a", prompt_ids=(1,), rollouts=()), advantages=())
    mailbox = KeepingMailbox()
    learner = PolicyLearner.__new__(PolicyLearner)
    learner._mailbox = mailbox

    async def update() -> None:
        learner._fit = asyncio.get_running_loop().create_future()
        await learner.update(0, TrainingBatch(weight_version=0, groups=[group]))

    asyncio.run(update())
    first, kept = (ray.get(batch[0]).groups[0].prompt for batch in mailbox.batches)
    assert first.media_ref is not None and kept.media_ref is None
    for one in (first, kept):
        loaded = one.load().media[0].frames_THWC
        assert loaded is not None and np.array_equal(loaded, frames_THWC)


def test_frames_that_no_dataset_has_stay_in_the_store() -> None:
    prompt = Prompt(key="a", text="?", media=(ShownMedium(frames_THWC=np.zeros((2, 8, 8, 3), np.uint8), fps=4.0),))
    stored = MediaStore().put(prompt, num_rollouts=1)
    assert stored.without_frames() == stored
