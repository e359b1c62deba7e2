"""Answers of the shape primitives, worked out again from what is drawn, and what makes one frame useless."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.components import load
from temporay.operators.errors import UserError
from temporay.operators.pixels.render import render
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.motion._curves import most_like_curve
from temporay.operators.records import Address, Question, ScenePlan, Track
from temporay.operators.seeding import rng_at

CANVAS = Canvas(
    width=96, height=72, fps=8.0, num_frames=(14, 30), num_scenes=(2, 6), frames_per_scene=(2, 9), jitter="none"
)
LEVELS = (0, 2, 4)


def primitive(task: str) -> Primitive:
    made: Primitive = load("temporay.operators.primitives", task)()
    return made


def asked(task: str, index: int, level: int, *, twin: bool = False) -> tuple[ScenePlan, Question]:
    address = Address(task=task, split="truth", index=index, seed=3, level=level, twin=twin)
    plan = primitive(task).plan((), CANVAS, address)
    return plan, primitive(task).ask(plan)


def answer(question: Question) -> str:
    return question.options[question.answer_index]


def track_of(plan: ScenePlan, name: str) -> Track:
    return next(track for track in plan.tracks if track.name == name)


def in_sample_and_twin(task: str, level: int) -> list[tuple[ScenePlan, Question]]:
    return [asked(task, index, level, twin=twin) for index in range(25) for twin in (False, True)]


@pytest.mark.parametrize("level", LEVELS)
def test_event_order_is_the_order_in_which_shapes_are_seen(level: int) -> None:
    for plan, question in in_sample_and_twin("event_order", level):
        seen_NT = np.stack([track.visible_T for track in plan.tracks])
        assert seen_NT.sum(axis=0).max() == 1
        assert not seen_NT[:, [0, -1]].any(), "the clip begins and ends empty"
        assert seen_NT.sum(axis=1).min() >= 2
        assert answer(question) == ", ".join(plan.tracks[i].name for i in np.argsort(seen_NT.argmax(axis=1)))


@pytest.mark.parametrize("level", LEVELS)
def test_trajectory_shape_is_the_curve_that_fits_the_path(level: int) -> None:
    for plan, question in in_sample_and_twin("trajectory_shape", level):
        size = np.array([plan.width, plan.height])
        steps_T2 = np.mod(np.diff(track_of(plan, plan.facts["name"]).xy_T2, axis=0) + size / 2, size) - size / 2
        path_T2 = np.concatenate([np.zeros((1, 2)), np.cumsum(steps_T2, axis=0)])
        best, left, _ = most_like_curve(path_T2, [option.removeprefix("a ") for option in question.options])
        assert question.answer_index == best
        assert left < 0.02


def turned_deg(track: Track) -> float:
    """How far a track turns in all, clockwise, the shorter way from frame to frame."""
    assert track.angle_deg_T is not None
    steps_T: npt.NDArray[np.float64] = np.mod(np.diff(track.angle_deg_T) + 180, 360) - 180
    return float(steps_T.sum())


@pytest.mark.parametrize("level", LEVELS)
def test_rotation_is_the_sum_of_the_steps(level: int) -> None:
    modes: Counter[str] = Counter()
    for plan, question in in_sample_and_twin("rotation", level):
        total_deg = turned_deg(track_of(plan, plan.facts["name"]))
        turns = round(total_deg / 360)
        assert total_deg == pytest.approx(360 * turns, abs=1e-6)
        direction = "not spinning" if turns == 0 else "clockwise" if turns > 0 else "counter-clockwise"
        assert answer(question) == (str(abs(turns)) if plan.facts["mode"] == "turns" else direction)
        modes[plan.facts["mode"]] += 1
    assert min(modes["turns"], modes["direction"]) > 10


def test_turns_and_directions_are_the_same_frames_in_another_order() -> None:
    pairs = 0
    for index in range(30):
        (plan, question), (twin, other) = (asked("rotation", index, 0, twin=twin) for twin in (False, True))
        if "not spinning" in (answer(question), answer(other)):
            continue
        pairs += 1
        assert sorted(map(bytes, render(plan))) == sorted(map(bytes, render(twin)))
    assert pairs > 10


@pytest.mark.parametrize("level", LEVELS)
def test_relative_position_is_the_side_on_both_sides_of_the_flash(level: int) -> None:
    for plan, question in in_sample_and_twin("relative_position", level):
        a, b = (track_of(plan, plan.facts[key]) for key in ("name", "anchor"))
        flash = np.nonzero(track_of(plan, "flash").visible_T)[0]
        assert not any(track.visible_T[flash].any() for track in plan.tracks if track.name != "flash")
        for frame in (flash[0] - 1, flash[-1] + 1):
            x, y = a.xy_T2[frame] - b.xy_T2[frame]
            across, down = ("right", "left")[int(x < 0)], ("below", "above")[int(y < 0)]
            side = f"to the {across} of" if abs(x) > abs(y) else down
            assert answer(question) == f"{side} the {b.name}"


@pytest.mark.parametrize("when", ["first", "middle", "last", "random"])
def test_one_frame_does_not_tell_the_relative_position(when: str) -> None:
    """The side in one frame is the right option as often as chance has it."""
    hits, chances = [], []
    for index in range(300):
        plan, question = asked("relative_position", index, 2)
        num = plan.num_frames
        frames = {"first": 0, "middle": num // 2, "last": num - 1, "random": int(rng_at("probe", index).integers(num))}
        a, b = (track_of(plan, plan.facts[key]) for key in ("name", "anchor"))
        x, y = a.xy_T2[frames[when]] - b.xy_T2[frames[when]]
        if not a.visible_T[frames[when]]:
            continue
        side = ("right", "left")[int(x < 0)] if abs(x) > abs(y) else ("below", "above")[int(y < 0)]
        hits.append(side in answer(question))
        chances.append(question.chance)
    assert abs(sum(hits) - sum(chances)) < 4 * np.sqrt(sum(p * (1 - p) for p in chances))


@pytest.mark.parametrize("level", LEVELS)
def test_event_span_is_when_the_picture_of_the_shape_is_another(level: int) -> None:
    states: Counter[str] = Counter()
    for plan, question in in_sample_and_twin("event_span", level):
        alone = replace(plan, tracks=(track_of(plan, plan.facts["name"]),))
        frames = list(map(bytes, render(alone)))
        rest = Counter(frames).most_common(1)[0][0]
        acting = [i for i, frame in enumerate(frames) if frame != rest]
        if plan.facts["state"] != "blinking":
            assert acting == list(range(acting[0], acting[-1] + 1))
        assert answer(question) == f"from {acting[0] / plan.fps:.1f} s to {(acting[-1] + 1) / plan.fps:.1f} s"
        states[plan.facts["state"]] += 1
        spans = sorted((e.start_ms, e.end_ms) for e in plan.events)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert len({round(end - start) for start, end in spans}) == 1
    assert len(states) >= 4


def test_event_span_names_the_setting_that_leaves_no_room() -> None:
    short = replace(CANVAS, fps=30.0, num_frames=(8, 12))
    address = Address(task="event_span", split="truth", index=0, seed=3, level=0)
    with pytest.raises(UserError, match=r"canvas\.num_frames"):
        primitive("event_span").plan((), short, address)


@pytest.mark.parametrize("level", LEVELS)
def test_attribute_change_is_what_differs_between_the_ends(level: int) -> None:
    modes: Counter[str] = Counter()
    for plan, question in in_sample_and_twin("attribute_change", level):
        mode, attribute = plan.facts["mode"], plan.facts.get("attribute")
        changed = {name: kind for name in {t.name for t in plan.tracks} if (kind := what_changes(plan, name))}
        modes[mode] += 1
        if mode == "what":
            assert [answer(question)] == [f"its {kind}" for kind in changed.values()]
            continue
        (own,) = [name for name, kind in changed.items() if kind == attribute]
        color, form = own.split()
        named = f"{color} shape" if attribute == "form" else form
        if mode == "which":
            assert answer(question) == f"the {named}"
        else:
            assert plan.facts["name"] == named
            own_only = replace(plan, tracks=tuple(track for track in plan.tracks if track.name == own))
            frames = list(map(bytes, render(own_only)))
            (frame,) = [i for i in range(1, len(frames)) if frames[i] != frames[i - 1]]
            assert answer(question) == f"at {frame / plan.fps:.1f} s"
    assert min(modes.values()) > 5 and len(modes) == 3


def what_changes(plan: ScenePlan, name: str) -> str:
    tracks = [track for track in plan.tracks if track.name == name]
    track = tracks[0]
    if len(tracks) == 2:
        return "form"
    if track.color_T3 is not None:
        return "color"
    if not np.array_equal(track.xy_T2[0], track.xy_T2[-1]):
        return "place"
    assert track.scale_T is not None
    return "size" if track.scale_T[0] != track.scale_T[-1] else ""


@pytest.mark.parametrize("frame", [0, -1])
def test_size_and_form_in_one_frame_do_not_tell_which_shape_changes(frame: int) -> None:
    right: Counter[tuple[str, bool]] = Counter()
    shown: Counter[tuple[str, bool]] = Counter()
    chances: dict[tuple[str, bool], float] = defaultdict(float)
    for index in range(400):
        plan, question = asked("attribute_change", index, 0)
        if plan.facts["mode"] != "which" or plan.facts["attribute"] == "form":
            continue
        for track in plan.tracks:
            assert track.scale_T is not None
            looks = (plan.facts["attribute"], bool(track.scale_T[frame] == 1.0))
            shown[looks] += 1
            right[looks] += answer(question).endswith(track.shape)
            chances[looks] += question.chance
    for looks, n in shown.items():
        expected = chances[looks]
        assert abs(right[looks] - expected) < 4 * np.sqrt(expected * (1 - expected / n)), looks
