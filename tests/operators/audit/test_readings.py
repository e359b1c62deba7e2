"""Readers of parts of clips: the whole clip gives the answer, what is not shown changes nothing, leaks are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from temporay.operators.audit.ideal import PlannedSample, audit_ideal
from temporay.operators.audit.ideal_states import Thing, Watched, watch
from temporay.operators.audit.readings.readers import OF_TASK, read, reader_of
from temporay.operators.audit.readings.reading import Shown, filled_in, score_columns
from temporay.operators.dataset.rows import make_sample, to_row
from temporay.operators.errors import SampleRejected
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import ScenePlan, Track
from temporay.operators.sampling import TWO_PER_SECOND

from tests.operators.primitives.planning import CANVAS, TASKS, make_plan, make_primitive

NUM_READ, NUM_AUDITED, MAX_TRIES = 24, 120, 2000
LEVELS = (0, 2, 4)
PACES = "acceleration"
# The score that decides where all is shown; of several, the first that the question has.
DECIDES = {
    "acceleration": ("all changes of speed",),
    "attribute_change": ("near", "early changes"),
    "bounce_count": ("near the visits in view",),
    "cell_count": ("share of sequences",),
    "clip_jigsaw": ("pieces that meet",),
    "event_span": ("agreeing frames",),
    "first_last": ("share of orders",),
    "largest_motion": ("rounds",),
    "lit_word": ("letters in turn",),
    "maze_walk": ("share of sequences",),
    "partial_views": ("placed pieces that fit", "as many as seen", "seen there"),
    "playback_speed": ("right by these speeds",),
    "relative_position": ("side at the asked flash",),
    "same_moment": ("turns that match",),
    "time_arrow": ("natural way",),
    "trajectory_shape": ("fit this way round",),
}


def samples_of(task: str, level: int, count: int, wanted: Callable[[ScenePlan], bool]) -> list[PlannedSample]:
    primitive, found = make_primitive(task), list[PlannedSample]()
    for index in range(MAX_TRIES):
        try:
            plan = make_plan(task, index, level)
        except SampleRejected:
            continue
        if wanted(plan):
            row = to_row(make_sample(primitive, plan, "concise"), recipe_hash="", content_hash="", instruction="")
            found.append(PlannedSample(row=row, plan=plan))
        if len(found) == count:
            return found
    raise AssertionError(f"{task} has only {len(found)} such samples")


def whole(plan: ScenePlan) -> Shown:
    return Shown(frames=tuple(range(plan.num_frames)), num_frames=plan.num_frames)


def parts(plan: ScenePlan, rng: np.random.Generator) -> list[Shown]:
    """Return a few parts of a clip of every sort."""
    length = plan.num_frames
    at = [(0,), (length - 1,), (0, 1), (0, length - 1), (length // 2 - 1, length // 2, length // 2 + 1)]
    shown = [Shown(frames=frames, num_frames=length) for frames in at]
    some = tuple(sorted(rng.choice(length, 3, replace=False).tolist()))
    bag = tuple(rng.permutation(length)[: length // 2].tolist())
    return [
        *shown,
        Shown(frames=some, num_frames=length, timed=False),
        Shown(frames=bag, num_frames=length, timed=False, ordered=False),
    ]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("task", DECIDES)
def test_the_whole_clip_gives_the_right_option_the_best_score(task: str, level: int) -> None:
    num_right = 0
    for one in samples_of(task, level, NUM_READ, lambda plan: True):
        scores = read(make_primitive(task), watch(one.row, one.plan), whole(one.plan))
        values = np.array(next(scores[name] for name in DECIDES[task] if name in scores))
        right = one.row["options"].index(one.row["answer_text"])
        num_right += bool(values[right] > np.delete(values, right).max())
    assert num_right >= 0.9 * NUM_READ


@pytest.mark.parametrize("level", LEVELS)
def test_changes_of_speed_are_read_from_the_frames_that_a_model_is_shown(level: int) -> None:
    canvas, primitive, num_read = (
        replace(CANVAS, num_frames=(24, 48), sampling=TWO_PER_SECOND),
        make_primitive(PACES),
        0,
    )
    for index in range(NUM_READ):
        plan = make_plan(PACES, index, level, canvas)
        row = to_row(make_sample(primitive, plan, "concise"), recipe_hash="", content_hash="", instruction="")
        for frames in canvas.sampling.choices(plan.num_frames, plan.fps):
            shown = Shown(frames=frames, num_frames=plan.num_frames)
            scores = read(primitive, watch(row, plan), shown)["all changes of speed"]
            assert len(frames) < plan.num_frames / 3
            if primitive.survives(plan, frames):
                assert [option for option, score in zip(row["options"], scores, strict=True) if score] == [
                    row["answer_text"]
                ]
                num_read += 1
    assert num_read > NUM_READ


def scrambled(watched: Watched, frames: Sequence[int], rng: np.random.Generator) -> Watched:
    """Return the sample with other frames in place of those that are not shown, without log and without answer."""
    plan = watched.plan
    takes = rng.permutation(plan.num_frames)
    takes[list(frames)] = frames

    def moved(values: Any) -> Any:
        return values[takes] if isinstance(values, np.ndarray) and len(values) == plan.num_frames else values

    def other(thing: Thing) -> Thing:
        return replace(thing, **{name: moved(getattr(thing, name)) for name in thing.__slots__})

    def other_track(track: Track) -> Track:
        return replace(track, **{name: moved(getattr(track, name)) for name in track.__slots__})

    blind = replace(plan, events=(), shots=(), tracks=tuple(map(other_track, plan.tracks)))
    row: Any = {**watched.row, "answer": "", "answer_text": "", "events_json": ""}
    return replace(watched, row=row, plan=blind, things=tuple(map(other, watched.things)))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("task", [task for task in TASKS if reader_of(make_primitive(task))])
def test_a_reader_sees_only_the_frames_shown_and_never_the_log_or_the_answer(task: str, level: int) -> None:
    rng, primitive = np.random.default_rng(level), make_primitive(task)
    for one in samples_of(task, level, 6, lambda plan: True):
        watched = watch(one.row, one.plan)
        for shown in parts(one.plan, rng):
            told = read(primitive, watched, shown)
            assert told == read(primitive, scrambled(watched, shown.frames, rng), shown)
            assert all(len(values) == len(one.row["options"]) for values in told.values())


def test_each_task_with_a_reader_of_its_own_is_tested() -> None:
    assert set(OF_TASK) <= set(DECIDES)


def failed(samples: Sequence[PlannedSample], task: str) -> tuple[set[str], float]:
    """Audit samples as if the primitive declared nothing; return the attacks that fail, and what is solved."""
    primitive: Primitive = make_primitive(task)
    strict = type("Strict", (type(primitive),), {"inherent": {}})()
    (cell,) = audit_ideal(samples, {task: strict})["cells"]
    return {attack["attack"] for attack in cell["attacks"] if not attack["passed"]}, cell["solved"]


def with_frames(plan: ScenePlan, takes: npt.NDArray[np.int64]) -> ScenePlan:
    """Return the plan with these frames of its clip in this order."""

    def moved(track: Track) -> Track:
        arrays = {name: getattr(track, name) for name in track.__slots__ if name.endswith(("_T", "_T2", "_T3"))}
        return replace(track, **{name: values[takes] for name, values in arrays.items() if values is not None})

    return replace(plan, num_frames=len(takes), tracks=tuple(map(moved, plan.tracks)))


def restated(one: PlannedSample, plan: ScenePlan, options: Sequence[str], answer: str) -> PlannedSample:
    row: Any = {**one.row, "options": list(options), "answer_text": answer, "answer": "ABCDEF"[options.index(answer)]}
    return PlannedSample(row=row, plan=plan)


def first_arrow_first(one: PlannedSample) -> PlannedSample:
    """Let a maze walk begin with its first arrow, and ask where that leads."""
    facts: Mapping[str, Any] = {**one.plan.facts, "asked_after": 1}
    start = next(round(event.start_ms * one.plan.fps / 1000) for event in one.plan.events)
    plan = with_frames(replace(one.plan, facts=facts), np.arange(start, one.plan.num_frames))
    primitive: Any = make_primitive("maze_walk")
    options = sorted({primitive.answer((arrow,), facts) for arrow in ("left", "right", "up", "down")})
    return restated(one, plan, options, primitive.answer(primitive.logged(one.plan.events, facts), facts))


def flash_in_the_middle(one: PlannedSample) -> PlannedSample:
    """Show a flash, and the shapes before and after it, in the three frames of the middle."""
    flash = next(event for event in one.plan.events if event.kind == "flash")
    start, end = (round(ms * one.plan.fps / 1000) for ms in (flash.start_ms, flash.end_ms))
    takes = np.arange(one.plan.num_frames)
    middle = one.plan.num_frames // 2
    takes[middle - 1 : middle + 2] = start - 1, start, end
    return restated(one, with_frames(one.plan, takes), one.row["options"], one.row["answer_text"])


def change_in_the_middle(one: PlannedSample) -> PlannedSample:
    """Cut the clip so that its middle is where its speed rises or falls for the first time."""
    change = round(one.plan.facts["times"][2] * (one.plan.num_frames - 1))
    takes = np.arange(max(0, 2 * change - one.plan.num_frames + 1), min(2 * change + 1, one.plan.num_frames))
    return restated(one, with_frames(one.plan, takes), one.row["options"], one.row["answer_text"])


def one_swing_alone(one: PlannedSample) -> PlannedSample:
    """Cut the clip so that its middle is the turn of one swing and it shows no other: a bounce, or none."""
    swings = [event for event in one.plan.events if event.subject == one.plan.facts["name"]]
    turns = [int(event.start_ms * one.plan.fps / 1000) for event in swings]
    chosen = one.plan.address.index % len(swings)
    before, turn, after = [-1, *turns, one.plan.num_frames][chosen : chosen + 3]
    reach = min(turn - before, after - turn) - 1
    answer = str(int(swings[chosen].kind == "bounce"))
    return restated(one, with_frames(one.plan, np.arange(turn - reach, turn + reach + 1)), ["0", "1"], answer)


def turn_in_the_middle(one: PlannedSample) -> PlannedSample:
    """Show a turn of the left half, and what the right half does then, in the three frames of the middle."""
    turn = next(event for event in one.plan.events if event.kind == "turns" and event.subject == "left half")
    takes, middle = np.arange(one.plan.num_frames), one.plan.num_frames // 2
    takes[middle - 1 : middle + 2] = round(turn.start_ms * one.plan.fps / 1000) + np.arange(-1, 2)
    return restated(one, with_frames(one.plan, takes), one.row["options"], one.row["answer_text"])


def own_color_at_the_start(one: PlannedSample) -> PlannedSample:
    """Give the cell where the window starts another color in all wrong patterns."""
    answer, facts = one.row["answer_text"], one.plan.facts
    place = (facts["row"] - 1) * facts["columns"] + facts["column"] - 1

    def wrong(option: str) -> str:
        words = option.replace(" / ", " ").split()
        words[place] = "gray"
        rows = [words[i : i + facts["columns"]] for i in range(0, len(words), facts["columns"])]
        return " / ".join(map(" ".join, rows))

    options = [option if option == answer else wrong(option) for option in one.row["options"]]
    return restated(one, one.plan, list(dict.fromkeys(options)), answer)


def all_others_go_on_with_the_first_piece(one: PlannedSample) -> PlannedSample:
    """Offer wrong orders that have the first piece after the last one; both ends of the clip show that it is not."""
    orders = [", ".join(order) for order in permutations("1234") if "41" in "".join(order)]
    chosen = np.random.default_rng(one.plan.address.index).choice(len(orders), 3, replace=False)
    answer = one.row["answer_text"]
    return restated(one, one.plan, [answer, *(orders[i] for i in chosen)], answer)


def all_others_before_the_middle(one: PlannedSample) -> PlannedSample:
    """Offer a wrong span that ends before the middle of the clip, where the shape acts."""
    middle_s, answer = one.plan.num_frames // 2 / one.plan.fps, one.row["answer_text"]
    wrong = f"from {middle_s - 1:.1f} s to {middle_s - 0.5:.1f} s"
    return restated(one, one.plan, [answer, wrong], answer)


PLANTED: dict[str, tuple[str, int, str, Callable[[ScenePlan], bool], Callable[[PlannedSample], PlannedSample]]] = {
    "flashes": ("maze_walk", 0, "first_frame", lambda plan: True, first_arrow_first),
    "scenes": ("first_last", 1, "first_and_last_frame", lambda plan: True, lambda one: one),
    "changes": ("attribute_change", 0, "first_and_last_frame", lambda p: p.facts["mode"] == "which", lambda one: one),
    "spans": ("event_span", 0, "middle_three_frames", lambda plan: True, all_others_before_the_middle),
    "rounds": ("largest_motion", 0, "first_two_frames", lambda plan: True, lambda one: one),
    "figures": ("trajectory_shape", 0, "first_and_last_frame", lambda plan: True, lambda one: one),
    "speeds": (
        "playback_speed",
        0,
        "first_two_frames",
        lambda plan: (plan.facts["layout"], plan.facts["mode"]) == ("beside", "which"),
        lambda one: one,
    ),
    "arrow": ("time_arrow", 0, "first_two_frames", lambda plan: True, lambda one: one),
    "halves": (
        "same_moment",
        0,
        "middle_three_frames",
        lambda plan: plan.facts["mode"] == "whether" and any(e.subject == "left half" for e in plan.events[:-1]),
        turn_in_the_middle,
    ),
    "paces": (PACES, 0, "middle_three_frames", lambda plan: True, change_in_the_middle),
    "pieces": (
        "clip_jigsaw",
        1,
        "first_and_last_frame",
        lambda plan: True,
        all_others_go_on_with_the_first_piece,
    ),
    "patterns": ("partial_views", 0, "first_frame", lambda p: p.facts["mode"] == "whole", own_color_at_the_start),
    "visits": ("bounce_count", 1, "middle_three_frames", lambda plan: True, one_swing_alone),
    "sides": ("relative_position", 0, "middle_three_frames", lambda plan: True, flash_in_the_middle),
}


@pytest.mark.parametrize("family", PLANTED)
def test_what_a_part_tells_is_found_and_the_whole_solves(family: str) -> None:
    task, level, view, wanted, plant = PLANTED[family]
    found, solved = failed([plant(one) for one in samples_of(task, level, NUM_AUDITED, wanted)], task)
    assert view in found and solved >= 0.9


def test_what_is_hidden_comes_only_where_something_is_hidden() -> None:
    rng = np.random.default_rng(0)
    assert filled_in(rng, [["a", "b"], ["c"]], np.zeros(3), ["d"]) == ["a", "b", "c"]
    assert filled_in(rng, [["a", "b"], ["c"]], np.array([0.0, 2.0, 0.0]), ["d"]) == ["a", "b", "d", "c"]
    assert Shown(frames=(2, 3, 6), num_frames=8).hidden().tolist() == [2, 2, 1]
    assert Shown(frames=(2, 3, 6), num_frames=8, timed=False).blocks() == [[2, 3], [6]]
    assert Shown(frames=(3, 2), num_frames=8, ordered=False).blocks() == [[3], [2]]


def test_scores_are_compared_between_options() -> None:
    columns = score_columns({"near": [1.0, 3.0, 3.0]})
    assert columns["lead of near"].tolist() == [-2, 0, 0] and columns["rank of near"].tolist() == [0, 1, 1]
