"""Games of hidden states: all frames without their order leave a viewer at chance, and what is drawn is true."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives.states._game import OperationsGame, read_log
from temporay.operators.records import ScenePlan
from temporay.operators.sampling import EVERY_FRAME

from tests.operators.primitives.planning import LARGE, TASKS, make_plan, make_primitive

GAMES = tuple(task for task in TASKS if isinstance(make_primitive(task), OperationsGame))
REORDERED = tuple(game for game in GAMES if make_primitive(game).twin == "reordered")


def make_game(task: str) -> OperationsGame:
    game = make_primitive(task)
    assert isinstance(game, OperationsGame)
    return game


def make_large(task: str, index: int, level: int) -> ScenePlan:
    return make_plan(task, index, level, LARGE)


@pytest.mark.parametrize("task", REORDERED)
def test_shown_operations_can_reach_every_option(task: str) -> None:
    """Neither one frame nor the bag of all frames rules an option out."""
    game = make_game(task)
    for index in range(20):
        plan = make_large(task, index, 1)
        reveal, operations = read_log(plan)
        shown = tuple((event.kind, *event.detail.split()[:-2]) for event in operations)
        orders = game.orders(np.random.default_rng(0), shown)
        revealed = tuple(reveal.detail.split())
        assert set(plan.facts["options"]) <= {game.answer(plan.facts, revealed, order) for order in orders}


@pytest.mark.parametrize("task", GAMES)
def test_all_modes_are_asked_and_one_end_is_shown(task: str) -> None:
    modes = Counter[tuple[str, bool]]()
    for index in range(60):
        plan = make_large(task, index, 2)
        reveal, operations = read_log(plan)
        at_start = reveal.start_ms == 0.0
        assert at_start == plan.facts["at_start"]
        if at_start:
            assert reveal.end_ms <= min(event.start_ms for event in operations)
        else:
            assert reveal.end_ms == pytest.approx(plan.duration_ms)
            assert reveal.start_ms >= max(event.end_ms for event in operations) - 1e-6
        modes[plan.facts["mode"], at_start] += 1
    assert set(modes) == {("forward", True), ("retrodictive", False), ("historical", True), ("historical", False)}


@pytest.mark.parametrize("task", GAMES)
@pytest.mark.parametrize("level", [0, 4])
def test_the_shortest_clip_decides_the_number_of_operations(task: str, level: int) -> None:
    plans = [make_large(task, index, level) for index in range(12)]
    assert len({len(read_log(plan)[1]) for plan in plans}) == 1
    assert len({plan.num_frames for plan in plans}) > 3
    shortest_ms = min(event.end_ms - event.start_ms for plan in plans for event in read_log(plan)[1])
    assert shortest_ms >= 2 * 1000 / LARGE.fps


@pytest.mark.parametrize("task", GAMES)
def test_each_face_has_its_own_color(task: str) -> None:
    for index in range(10):
        plan = make_large(task, index, 4)
        faces = [track.color for track in plan.tracks if track.label or track.name in COLORS]
        assert len(set(faces)) == len(faces)


def test_a_problem_is_worked_out_from_left_to_right() -> None:
    game = make_game("symbol_path")
    course = tuple(("visit", str(cell), symbol) for cell, symbol in enumerate("2+3x4", start=1))
    forward, historical = {"mode": "forward", "at_start": True}, {"mode": "historical", "at_start": False}
    assert game.answer(forward, tuple("2+3x4"), course) == "20"
    assert game.answer(forward, tuple("2+3x4"), course[:2]) is None
    assert game.answer({**historical, "asked_after": 3}, tuple("2+3x4"), course) == "3"


def test_the_inverse_undoes_an_operation() -> None:
    cases = {
        "card_stack": (("7", "3", "5"), ("draw", "1", "3"), ("3", "5", "7")),
        "chip_containers": (("red", "-"), ("move", "red", "1", "2"), ("-", "red")),
        "file_system": (("A", "B", "-"), ("exchange", "folder-1", "bin"), ("-", "B", "A")),
        "shell_game": (("2",), ("swap", "2", "3"), ("3",)),
        "sliding_puzzle": (("1", "2", "3", "-"), ("slide", "3", "4"), ("1", "2", "-", "3")),
    }
    for task, (before, operation, after) in cases.items():
        assert make_game(task).apply(before, operation) == after
        assert make_game(task).apply(after, make_game(task).inverse(operation)) == before
    assert make_game("sliding_puzzle").apply(("1", "2", "3", "-"), ("slide", "2", "3")) is None
    assert make_game("chip_containers").apply(("red", "-"), ("move", "blue", "1", "2")) is None


@pytest.mark.parametrize(
    ("task", "num_frames", "width", "field"),
    [("symbol_path", (6, 6), 48, "num_frames"), ("shell_game", (8, 8), 16, "canvas.width")],
)
def test_a_canvas_that_is_too_small_is_named(task: str, num_frames: tuple[int, int], width: int, field: str) -> None:
    canvas = Canvas(
        width=width,
        height=48,
        fps=4.0,
        num_frames=num_frames,
        num_scenes=(2, 2),
        frames_per_scene=(2, 2),
        jitter="none",
        sampling=EVERY_FRAME,
    )
    with pytest.raises(UserError, match=field):
        make_plan(task, 0, 0, canvas)
