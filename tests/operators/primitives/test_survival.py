"""Contract of sampling: the frames that a model is shown hold the answer, for every kind of question."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporay.operators.dataset.label_check import witness_of
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.render import render
from temporay.operators.sampling import TWO_PER_SECOND

from tests.operators.primitives.planning import LARGE, TASKS, load_scene, make_plan, make_primitive

SHOWN = replace(LARGE, width=224, height=224, sampling=TWO_PER_SECOND)


@pytest.mark.parametrize("level", [0, 2, 4])
@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_in_the_frames_that_are_shown(task: str, level: int) -> None:
    """By each of the three rules: the plan says so, and the frames lead to no other answer."""
    primitive = make_primitive(task)
    try:
        plan = make_plan(task, 3, level, SHOWN)
    except SampleRejected:
        pytest.skip("this address gives no question")
    question, frames_THWC = primitive.ask(plan), render(plan, load_scene)
    whole = witness_of(plan, question, frames_THWC, load_scene)
    for shown in SHOWN.sampling.choices(plan.num_frames, plan.fps):
        assert len(shown) < plan.num_frames and primitive.survives(plan, shown)
        rate = plan.fps * len(shown) / plan.num_frames
        seen = replace(whole, frames_THWC=frames_THWC[list(shown)], fps=rate)
        assert primitive.recover(seen) in (None, question.answer_index)
