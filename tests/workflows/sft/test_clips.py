"""What training workers read: blocks of whole steps, clips from tasks, faults by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Lock
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.learner.passes import PassLimits
from temporay.workflows.sft.clips import BLOCK_BYTES, RankSteps, clips, clips_by_step, load_block
from temporay.workflows.sft.collation import Collate
from temporay.workflows.sft.mixture import Mixture, parts_of
from temporay.workflows.sft.schedule import make_schedule
from temporay.workflows.sft.settings import SftConfig, SftSettings
from temporay.workflows.sft.token_counts import count_rows, count_tokens

from tests.small_data import damage_clip


def table_of(data: Path, first_step: int = 0) -> tuple[RankSteps, Mixture]:
    """Return one rank's steps of six samples, and its data in order."""
    mixture = Mixture.open(parts_of(data, (), VideoReading()))
    schedule = make_schedule(
        lambda first, count: [place % 10 for place in range(first, first + count)],
        np.full(10, 7),
        PassLimits(micro_batch_size=4, micro_batch_tokens=None),
        num_steps=3,
        batch_size=6,
        tokens_per_step=None,
    )
    return RankSteps(schedule=schedule, rank=0, world_size=1, first_step=first_step), mixture


def test_blocks_hold_whole_steps(data: Path) -> None:
    steps, mixture = table_of(data, first_step=1)
    (whole,) = steps.blocks(np.full(10, 1000))
    assert sorted({step for step, _ in whole}) == [1, 2]
    single = list(steps.blocks(np.full(10, BLOCK_BYTES)))
    assert [{step for step, _ in block} for block in single] == [{1}, {2}]
    loaded = load_block(whole, parts=mixture.parts)
    assert [(step, len(mine)) for step, mine in clips_by_step([loaded], steps)] == [(1, 6), (2, 6)]
    one_by_one = [loaded[:6], loaded[6:]]
    assert [(step, len(mine)) for step, mine in clips_by_step(one_by_one, steps)] == [(1, 6), (2, 6)]
    with pytest.raises(RuntimeError, match="the data of step 1 are rows"):
        list(clips_by_step([loaded[:4], loaded[4:]], steps))
    with pytest.raises(RuntimeError, match="the data of step 1 are rows"):
        list(clips_by_step([loaded[::-1]], steps))


def test_an_unreadable_clip_weighs_nothing_and_is_named(data: Path, tmp_path: Path, learner: Any) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    name = damage_clip(broken, 7)
    steps, mixture = table_of(broken, first_step=1)
    (block,) = steps.blocks(np.full(10, 1000))
    loaded = load_block(block, parts=mixture.parts)
    assert {clip.row for clip in loaded if clip.fault} == {7}
    _, first = next(clips_by_step([loaded], steps))
    config = SftConfig(data=broken, model=learner.model, out=tmp_path)
    collate = Collate(
        family=learner.family,
        processor=learner.processor,
        mixture=mixture,
        tokens_N=count_rows(mixture.parts, config, range(10)).tokens_N,
        settings=config,
        lock=Lock(),
    )
    passes = steps.passes(1)
    made = collate.step(first, passes)
    (unread,) = made.unread
    assert (unread.row, unread.reason) == (7, "clip_undecodable") and f"{name} of {broken}/shard" in unread.detail
    weights = [float(mask) for batch in made.batches for mask in batch.completion_mask_BT.sum(-1)]
    assert [weight == 0 for weight in weights] == [row == 7 for one in passes for row in one.rows]
    assert all(batch.has_video for batch in made.batches)


def test_a_dataset_that_cannot_be_read_at_all_is_a_user_error(data: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    shutil.copytree(data, gone)
    steps, mixture = table_of(gone, first_step=1)
    (gone / Dataset.open(gone).rows[0]["shard"]).unlink()
    (block,) = steps.blocks(np.full(10, 1000))
    _, first = next(clips_by_step([load_block(block, parts=mixture.parts)], steps))
    nothing: Any = None
    collate = Collate(
        family=nothing, processor=nothing, mixture=mixture, tokens_N=np.full(10, 7), settings=SftSettings(), lock=Lock()
    )
    with pytest.raises(UserError, match=r"of .*gone cannot be read \(.*shard-000000.tar cannot be read"):
        collate.step(first, steps.passes(1))


def test_a_trial_of_a_search_reads_with_cpus_that_are_not_its_own(
    ray_cluster: None, data: Path, model: Path, tmp_path: Path
) -> None:
    """Ray Tune captures what a trial starts in a placement group without a free CPU."""
    trial = placement_group([{"CPU": 0.01}])
    steps, mixture = table_of(data)
    blocks, parts = list(steps.blocks(np.full(10, 1000))), mixture.parts

    @ray.remote(num_cpus=0.01)
    def in_trial() -> tuple[int, int]:
        config = SftConfig(data=data, model=model, out=tmp_path)
        with patch("temporay.workflows.sft.token_counts.CHUNK", 8):  # two tasks
            counts = count_tokens(parts, config)
        return sum(len(loaded) for loaded in clips(blocks, parts)), len(counts.tokens_N)

    inside = PlacementGroupSchedulingStrategy(trial, placement_group_capture_child_tasks=True)
    try:
        task: Any = in_trial.options(scheduling_strategy=inside).remote()
        assert ray.get(task, timeout=120) == (18, 10)
    finally:
        remove_placement_group(trial)
