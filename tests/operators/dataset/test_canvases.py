"""Several frame rates and sizes in one dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe, check
from temporay.operators.dataset.samples import make_unit, open_source
from temporay.operators.errors import UserError
from temporay.operators.sampling import TWO_PER_SECOND

from tests.operators.primitives.planning import CANVAS
from tests.small_data import write_dataset

RATES, SIZES = (6.0, 12.0, 24.0), ((96, 64), (64, 96))


def recipe(**changes: object) -> Recipe:
    settings = {"tasks": ("motion_direction",), "num_samples": 60, "canvas": CANVAS, "rates": RATES, "sizes": SIZES}
    return Recipe.model_validate({**settings, **changes})


def test_clips_differ_in_rate_and_size_and_last_as_long(tmp_path: Path) -> None:
    varied = recipe(twins=True)
    source = open_source(varied, tmp_path)
    pairs = [make_unit(varied, source, unit) for unit in range(24)]
    plans = [one.plan for pair in pairs for one in pair]
    assert {plan.fps for plan in plans} == {*RATES}
    assert {(plan.width, plan.height) for plan in plans} == {*SIZES}
    for one, twin in pairs:
        assert (one.plan.fps, one.plan.width, one.plan.num_frames) == (
            twin.plan.fps,
            twin.plan.width,
            twin.plan.num_frames,
        )
    shortest_s = (CANVAS.num_frames[0] - 1) / CANVAS.fps
    assert all(plan.num_frames / plan.fps >= shortest_s for plan in plans)


def test_a_canvas_at_another_rate_keeps_its_seconds() -> None:
    twice = CANVAS.at_rate(2 * CANVAS.fps)
    assert twice.num_frames == tuple(2 * n for n in CANVAS.num_frames)
    assert twice.frames_per_scene == tuple(2 * n for n in CANVAS.frames_per_scene)
    assert min(CANVAS.at_rate(0.1).frames_per_scene) == 1


def test_a_dataset_is_read_with_the_rate_and_size_of_each_clip(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path / "data", num_samples=12, rates=RATES, sizes=SIZES, canvas=CANVAS))
    shapes = set()
    for row in range(len(dataset)):
        sample, frames_THWC = dataset.sample(row), dataset.frames(row)
        assert len(frames_THWC) == sample.clip.num_frames
        shapes.add((frames_THWC.shape[2], frames_THWC.shape[1], sample.clip.fps))
        shown = TWO_PER_SECOND.shown(sample.clip.num_frames, sample.clip.fps)
        assert (sample.clip.shown is None) == (shown is None or dataset.recipe.canvas.sampling != TWO_PER_SECOND)
    assert len(shapes) > 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rates": (8.0, 0.0)}, "rates holds 0.0; give frames per second"),
        ({"sizes": ((96, 65),)}, "both sides must be even"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(recipe(**changes))
