"""The reader of known weakness: right where it sees and notices everything, at chance where it sees nothing."""

from __future__ import annotations

import pytest
from temporay.operators.audit import reference_solver
from temporay.operators.dataset.rows import make_sample, to_row
from temporay.operators.primitives._base import Primitive, primitive_called
from temporay.operators.records import ScenePlan

from tests.operators.primitives.planning import make_plan

EVERYTHING = (10_000, 10_000)


def pass_rate(primitive: Primitive, plans: list[ScenePlan]) -> float:
    samples = [make_sample(primitive, plan, "concise") for plan in plans]
    rows = [to_row(sample, recipe_hash="", content_hash="", instruction="") for sample in samples]
    return reference_solver.pass_rate(primitive, plans, rows)


def plans_of(task: str, level: int, count: int = 40) -> list[ScenePlan]:
    return [make_plan(task, index, level) for index in range(count)]


@pytest.mark.parametrize("task", ["shell_game", "maze_walk", "lit_word"])
def test_who_sees_everything_is_always_right(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_solver, "FRAMES_SHOWN", EVERYTHING)
    monkeypatch.setattr(reference_solver, "OVERLOOKED", 0.0)
    assert pass_rate(primitive_called(task), plans_of(task, 2)) == 1.0


def test_who_sees_two_frames_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_solver, "FRAMES_SHOWN", (2, 2))
    primitive = primitive_called("bounce_count")
    plans = plans_of("bounce_count", 3)
    assert pass_rate(primitive, plans) == pytest.approx(1 / len(primitive.ask(plans[0]).options))


@pytest.mark.parametrize(
    "task",
    [
        "shell_game",
        "bounce_count",
        "maze_walk",
        "motion_direction",
        "terminal",
        "before_after",
        "scene_count",
        "time_arrow",
    ],
)
def test_it_is_right_less_often_from_level_to_level(task: str) -> None:
    primitive = primitive_called(task)
    easy, middle, hard = (pass_rate(primitive, plans_of(task, level, 100)) for level in (0, 2, 4))
    assert easy > middle > hard


def test_a_whole_log_that_is_overlooked_is_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_solver, "FRAMES_SHOWN", EVERYTHING)
    monkeypatch.setattr(reference_solver, "OVERLOOKED", 1.0)
    primitive = primitive_called("acceleration")
    plans = plans_of("acceleration", 2, 20)
    assert 0.05 < pass_rate(primitive, plans) < 0.6
