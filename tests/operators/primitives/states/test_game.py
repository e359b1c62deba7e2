"""Games of hidden states: all frames without their order leave a viewer at chance, and what is drawn is true."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from temporay.operators.dataset.label_check import Verdict, check_pixels
from temporay.operators.errors import UserError
from temporay.operators.pixels.render import TEXT, render
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives.states._game import OperationsGame, read_log
from temporay.operators.records import Event, ScenePlan
from temporay.operators.sampling import TWO_PER_SECOND

from tests.operators.primitives.planning import LARGE, TASKS, make_plan, make_primitive

GAMES = tuple(task for task in TASKS if isinstance(make_primitive(task), OperationsGame))
LADDER = range(5)


def make_game(task: str) -> OperationsGame:
    game = make_primitive(task)
    assert isinstance(game, OperationsGame)
    return game


def make_large(task: str, index: int, level: int) -> ScenePlan:
    return make_plan(task, index, level, LARGE)


@pytest.mark.parametrize("task", GAMES)
@pytest.mark.parametrize("level", [0, 2])
def test_a_sample_and_its_twin_have_the_same_operations_in_another_order(task: str, level: int) -> None:
    """Neither one frame nor the bag of all frames rules an option out."""
    for index in range(20):
        plan, twin = (make_plan(task, index, level, LARGE, twin=is_twin) for is_twin in (False, True))
        bags = [Counter((event.kind, event.detail) for event in read_log(one.events)[1]) for one in (plan, twin)]
        assert bags[0] == bags[1]
        assert read_log(plan.events)[0] == read_log(twin.events)[0], "the same state is shown, at the same time"


@pytest.mark.parametrize("task", GAMES)
def test_all_modes_are_asked_and_one_end_is_shown(task: str) -> None:
    modes = Counter[tuple[str, bool]]()
    for index in range(60):
        plan = make_large(task, index, 2)
        reveal, operations = read_log(plan.events)
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
def test_the_course_gets_longer_from_level_to_level(task: str) -> None:
    most = []
    for level in LADDER:
        plans = [make_large(task, index, level) for index in range(12)]
        most.append(max(len(read_log(plan.events)[1]) for plan in plans))
        assert len({plan.num_frames for plan in plans}) > 3
        shortest_ms = min(event.end_ms - event.start_ms for plan in plans for event in read_log(plan.events)[1])
        assert shortest_ms >= 2 * 1000 / LARGE.fps
    assert most == sorted(set(most))


@pytest.mark.parametrize("task", GAMES)
@pytest.mark.parametrize("level", [1, 4])
def test_what_a_model_is_shown_gives_the_answer(task: str, level: int) -> None:
    """All frames are rendered, but only those that a rule of sampling takes are looked at."""
    primitive, verdicts = make_primitive(task), Counter[Verdict]()
    for index in range(4):
        plan = make_plan(task, index, level, replace(LARGE, sampling=TWO_PER_SECOND))
        frames_THWC = render(plan)
        for frames in TWO_PER_SECOND.choices(plan.num_frames, plan.fps):
            assert primitive.survives(plan, frames)
            shown = replace(plan, fps=len(frames) / plan.duration_ms * 1000)
            verdicts[check_pixels(primitive, shown, primitive.ask(plan), frames_THWC[list(frames)], None)] += 1
        kept = [frame for frame in range(plan.num_frames) if not _within(read_log(plan.events)[1][1], frame, plan.fps)]
        assert not primitive.survives(plan, kept), "without the second operation it is lost"
    assert set(verdicts) == {Verdict.AGREES}


def _within(event: Event, frame: int, fps: float) -> bool:
    return event.start_ms - 1e-6 <= 1000 * frame / fps < event.end_ms - 1e-6


def test_the_shell_game_of_the_paper_can_be_set() -> None:
    """16 cups in a grid, 10 to 15 swaps of a second and a half with half a second between, 21 to 31 seconds."""
    canvas = replace(LARGE, width=512, height=512, fps=30.0, num_frames=(645, 945), sampling=TWO_PER_SECOND)
    for index in range(6):
        plan = make_plan("shell_game", index, 4, canvas)
        _, swaps = read_log(plan.events)
        assert 10 <= len(swaps) <= 15 and len(plan.tracks) == 17
        assert 21.0 <= plan.duration_ms / 1000 <= 31.6
        assert all(990 < swap.end_ms - swap.start_ms < 1510 for swap in swaps)


@pytest.mark.parametrize("task", GAMES)
def test_each_face_has_its_own_color(task: str) -> None:
    for index in range(10):
        plan = make_large(task, index, 4)
        drawn = [track for track in plan.tracks if track.shape != TEXT]  # lines of writing are read
        faces = [track.color for track in drawn if (track.label and track.name != "plate") or track.name in COLORS]
        assert len(set(faces)) == len(faces)


def test_a_problem_is_worked_out_from_left_to_right() -> None:
    game = make_game("symbol_path")
    course = tuple(("visit", str(cell), symbol) for cell, symbol in enumerate("2+3x4", start=1))
    forward, historical = {"mode": "forward", "at_start": True}, {"mode": "historical", "at_start": False}
    assert game.answer((tuple("2+3x4"), course), forward) == "20"
    assert game.answer((tuple("2+3x4"), course[:2]), forward) is None
    assert game.answer((tuple("2+3x4"), course), {**historical, "asked_after": 3}) == "3"


def test_the_inverse_undoes_an_operation() -> None:
    cases = {
        "card_stack": (("7", "3", "5", "(aside:"), ("draw", "2", "2"), ("7", "5", "(aside:", "3")),
        "chip_containers": (("red", "nothing"), ("move", "red", "1", "2"), ("nothing", "red")),
        "file_system": (("map", "tax", "nothing"), ("exchange", "A", "bin"), ("nothing", "tax", "map")),
        "shell_game": (("2",), ("swap", "2", "3"), ("3",)),
        "sliding_puzzle": (("1", "2", "3", "_"), ("slide", "3", "4"), ("1", "2", "_", "3")),
    }
    for task, (before, operation, after) in cases.items():
        assert make_game(task).apply(before, operation) == after
        assert make_game(task).apply(after, make_game(task).inverse(operation)) == before
    assert make_game("sliding_puzzle").apply(("1", "2", "3", "_"), ("slide", "2", "3")) is None
    assert make_game("chip_containers").apply(("red", "nothing"), ("move", "blue", "1", "2")) is None
    assert make_game("card_stack").apply(("7", "3", "(aside:"), ("insert", "1", "2")) is None
    assert make_game("symbol_path").apply(("9", "x"), ("visit", "1", "+")) is None


@pytest.mark.parametrize("task", GAMES)
def test_a_state_is_read_as_it_was_written(task: str) -> None:
    for index in range(20):
        written = read_log(make_large(task, index, index % 5).events)[0].detail
        assert make_game(task).written(make_game(task).parsed(written)) == written


def test_a_canvas_that_is_too_small_is_named() -> None:
    with pytest.raises(UserError, match=r"canvas\.width"):
        make_plan("shell_game", 0, 0, replace(LARGE, width=16))
