"""The answer of every primitive, worked out again from what is drawn (shots and tracks) and not from the event log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.components import available, load
from temporay.operators.pixels.render import render
from temporay.operators.pixels.shapes import EASY_COLORS, EASY_SHAPES
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import Address, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

PACKAGE = "temporay.operators.primitives"
CANVAS = Canvas(
    width=96, height=72, fps=8.0, num_frames=(14, 30), num_scenes=(2, 6), frames_per_scene=(2, 9), jitter="none"
)
SCENES = tuple(
    Scene(image_id=i, path="", captions=(f"a {color} {shape}",), license_id=None, source_url="")
    for i, (color, shape) in enumerate((color, shape) for color in EASY_COLORS for shape in EASY_SHAPES)
)
NONE = "none of the other answers is correct"
Oracle = Callable[[ScenePlan, Question], str]


def make_primitive(task: str) -> Primitive:
    primitive: Primitive = load(PACKAGE, task)()
    return primitive


def make_plan(task: str, index: int, level: int) -> ScenePlan:
    chosen = rng_at("truth", task, index).permutation(len(SCENES))[: make_primitive(task).num_distinct_scenes(CANVAS)]
    address = Address(task=task, split="truth", index=index, seed=3, level=level)
    return make_primitive(task).plan(tuple(SCENES[i] for i in chosen), CANVAS, address)


def shown(plan: ScenePlan) -> list[str]:
    return [shot.scene.captions[0] for shot in plan.shots]


def track_of(plan: ScenePlan, name: str) -> Track:
    return next(track for track in plan.tracks if track.name == name)


def steps_T2(plan: ScenePlan, track: Track) -> npt.NDArray[np.float64]:
    """Shortest way from frame to frame on the joined frame."""
    size = np.array([plan.width, plan.height])
    steps: npt.NDArray[np.float64] = (np.diff(track.xy_T2, axis=0) + size / 2) % size - size / 2
    return steps


def listed_or_none(caption: str, question: Question) -> str:
    return caption if caption in question.options or NONE not in question.options else NONE


def scene_order(plan: ScenePlan, question: Question) -> str:
    return " ".join(f"Scene {i}: {caption}." for i, caption in enumerate(shown(plan), start=1))


def before_after(plan: ScenePlan, question: Question) -> str:
    asked, anchor = shown(plan).index(plan.facts["asked"]), shown(plan).index(plan.facts["anchor"])
    assert question.text.index(plan.facts["asked"]) >= 0
    return "before" if asked < anchor else "after"


def first_last(plan: ScenePlan, question: Question) -> str:
    listed = [caption for caption in shown(plan) if f'"{caption}"' in question.text]
    assert set(question.options) - {NONE} <= set(listed)
    assert ("first" in question.text) != ("last" in question.text.replace("at last", ""))
    return listed_or_none(listed[0] if " first" in question.text else listed[-1], question)


def adjacent_scene(plan: ScenePlan, question: Question) -> str:
    place = shown(plan).index(plan.facts["anchor"])
    if " after " in question.text:
        last = place + 1 == len(plan.shots)
        return "there is no scene after it" if last else listed_or_none(shown(plan)[place + 1], question)
    return listed_or_none(shown(plan)[place - 1], question) if place else "there is no scene before it"


def scene_count(plan: ScenePlan, question: Question) -> str:
    return str(len(plan.shots))


def scene_at(plan: ScenePlan, question: Question) -> str:
    number: int = plan.facts["number"]
    assert str(number) in question.text and str(len(plan.shots)) in question.text
    return listed_or_none(shown(plan)[number - 1], question)


def story_match(plan: ScenePlan, question: Question) -> str:
    first, *between, last = shown(plan)
    return ", ".join([f"First {first}", *(f"then {caption}" for caption in between), f"last {last}."])


def recurring_scenes(plan: ScenePlan, question: Question) -> str:
    order = shown(plan)
    if plan.facts["mode"] == "count":
        return str(order.count(plan.facts["anchor"]))
    if plan.facts["mode"] == "which":
        return next(caption for caption in order if order.count(caption) == 2)
    assert order.count(plan.facts["anchor"]) == 3
    _, first, second, _ = " ".join(order).split(plan.facts["anchor"])
    return (first if "first and second" in question.text else second).strip()


def clip_jigsaw(plan: ScenePlan, question: Question) -> str:
    """Of all orders the one in which the longest step of the joined path is shortest."""
    track, count = track_of(plan, plan.facts["name"]), plan.facts["count"]
    segments_SL2 = track.xy_T2.reshape(count, -1, 2)
    longest = {}
    for order in permutations(range(count)):
        joined = replace(track, xy_T2=segments_SL2[list(order)].reshape(-1, 2))
        longest[order] = np.linalg.norm(steps_T2(plan, joined), axis=1).max()
    return ", ".join(str(segment + 1) for segment in min(longest, key=lambda order: longest[order]))


def motion_direction(plan: ScenePlan, question: Question) -> str:
    step_xy_T2 = steps_T2(plan, track_of(plan, plan.facts["name"]))
    first, last = direction(step_xy_T2[0]), direction(step_xy_T2[-1])
    if plan.address.level < 3:
        return direction(step_xy_T2.sum(axis=0))
    legs = (f"to the {leg}" if leg in ("left", "right") else leg for leg in (first, last))
    return "first {}, then {}".format(*legs)


def direction(step_xy: npt.NDArray[np.float64]) -> str:
    dx, dy = step_xy
    vertical = "" if abs(dy) < 0.1 * abs(dx) else ("down" if dy > 0 else "up")
    horizontal = "" if abs(dx) < 0.1 * abs(dy) else ("right" if dx > 0 else "left")
    return f"{vertical} and to the {horizontal}" if vertical and horizontal else vertical + horizontal


def speed_perception(plan: ScenePlan, question: Question) -> str:
    ways = {track.name: np.linalg.norm(steps_T2(plan, track), axis=1).sum() for track in plan.tracks}
    fastest, second = sorted(ways, key=lambda name: -ways[name])[:2]
    assert ways[fastest] > 1.25 * ways[second]
    return f"the {fastest}"


def acceleration(plan: ScenePlan, question: Question) -> str:
    speed_T = np.linalg.norm(steps_T2(plan, track_of(plan, plan.facts["name"])), axis=1)
    ratio = speed_T[-1] / speed_T[0]
    return "accelerating" if ratio > 1.5 else "decelerating" if ratio < 1 / 1.5 else "moving at a constant speed"


def event_order(plan: ScenePlan, question: Question) -> str:
    seen_TN = np.stack([track.visible_T for track in plan.tracks], axis=1)
    assert seen_TN.sum(axis=1).max() == 1, "two shapes at once would show an order in one frame"
    return ", ".join(plan.tracks[i].name for i in np.argsort(seen_TN.argmax(axis=0)))


def bounce_count(plan: ScenePlan, question: Question) -> str:
    """Every bounce turns the ball round, and it turns nowhere else than near an edge."""
    track = track_of(plan, plan.facts["name"])
    axis = int(np.ptp(track.xy_T2, axis=0).argmax())
    step_px_T = np.diff(track.xy_T2[:, axis])
    turns = np.nonzero(step_px_T[1:] * step_px_T[:-1] < 0)[0] + 1
    room_px = (plan.width, plan.height)[axis] - 2 * track.radius_px
    off_px = room_px / 2 - np.abs(track.xy_T2[turns, axis] - (plan.width, plan.height)[axis] / 2)
    assert (off_px <= 1.3 * np.maximum(np.abs(step_px_T[turns - 1]), np.abs(step_px_T[turns]))).all()
    return str(len(turns))


def shell_game(plan: ScenePlan, question: Question) -> str:
    """Which cup is lifted, and in which slot that cup stands when it is asked for."""
    ball, *cups = plan.tracks
    x_NT = np.stack([cup.xy_T2[:, 0] for cup in cups])
    reveal_frame = int(ball.visible_T.argmax())
    lifted = int(np.argmin([cup.xy_T2[reveal_frame, 1] for cup in cups]))
    assert x_NT[lifted, reveal_frame] == pytest.approx(ball.xy_T2[reveal_frame, 0])
    slot_xs = np.sort(x_NT[:, reveal_frame])
    if plan.facts["mode"] == "retrodictive":
        # a swap may be under way in frame 0 already, so the slot is read when that swap has ended
        first_swap = min((e for e in plan.events if e.kind == "swap"), key=lambda e: e.start_ms)
        a, b = (int(n) - 1 for n in first_swap.detail.split()[:2])
        end_slot = int(np.argmin(np.abs(slot_xs - x_NT[lifted, round(first_swap.end_ms * plan.fps / 1000) - 1])))
        return f"position {({a: b, b: a}.get(end_slot, end_slot)) + 1}"
    frame = plan.num_frames - 1
    if plan.facts["mode"] == "historical":
        swap_ends = sorted(event.end_ms for event in plan.events if event.kind == "swap")
        frame = round(swap_ends[plan.facts["asked_after"] - 1] * plan.fps / 1000) - 1
    return f"position {int(np.argmin(np.abs(slot_xs - x_NT[lifted, frame]))) + 1}"


ORACLES: dict[str, Oracle] = {
    "scene_order": scene_order,
    "before_after": before_after,
    "first_last": first_last,
    "adjacent_scene": adjacent_scene,
    "scene_count": scene_count,
    "scene_at": scene_at,
    "story_match": story_match,
    "recurring_scenes": recurring_scenes,
    "clip_jigsaw": clip_jigsaw,
    "motion_direction": motion_direction,
    "speed_perception": speed_perception,
    "acceleration": acceleration,
    "event_order": event_order,
    "bounce_count": bounce_count,
    "shell_game": shell_game,
}


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("task", sorted(ORACLES))
def test_answer_holds_in_what_is_drawn(task: str, level: int) -> None:
    for index in range(40):
        plan = make_plan(task, index, level)
        question = make_primitive(task).ask(plan)
        assert question.options[question.answer_index] == ORACLES[task](plan, question), plan.address


def test_listed_primitives_exist() -> None:
    assert set(ORACLES) <= set(available(PACKAGE))


@pytest.mark.parametrize("task", ["motion_direction", "acceleration", "bounce_count", "speed_perception"])
def test_listed_positions_are_where_the_shape_is(task: str) -> None:
    """Each digit of an explanation is a tenth of the frame, at the time the log gives."""
    for index in range(20):
        plan = make_plan(task, index, 2)
        told = [event for event in plan.events if event.kind == "at"]
        assert told
        for event in told:
            x, y = track_of(plan, event.subject).xy_T2[round(event.start_ms * plan.fps / 1000)]
            assert event.detail == f"{min(9, int(10 * x / plan.width))} {min(9, int(10 * y / plan.height))}"
        question = make_primitive(task).ask(plan)
        concise = make_primitive(task).explain(plan, question, "concise")
        xs = " ".join(event.detail[0] for event in told if event.subject == told[0].subject)
        ys = " ".join(event.detail[2] for event in told if event.subject == told[0].subject)
        assert f"x {xs} y {ys}" in concise


def test_mean_speed_does_not_tell_the_acceleration() -> None:
    ways: dict[str, list[float]] = {}
    for index in range(300):
        plan = make_plan("acceleration", index, 0)
        question = make_primitive("acceleration").ask(plan)
        way_px = float(np.linalg.norm(steps_T2(plan, plan.tracks[-1]), axis=1).sum())
        ways.setdefault(question.options[question.answer_index], []).append(way_px)
    means = [np.mean(values) for values in ways.values()]
    errors = [np.std(values) / np.sqrt(len(values)) for values in ways.values()]
    assert len(means) == 3
    assert max(means) - min(means) < 4 * np.hypot(max(errors), max(errors))


def test_no_scene_is_an_option_of_every_adjacent_question_and_right_at_chance() -> None:
    right, chance = 0, 0.0
    for index in range(400):
        plan = make_plan("adjacent_scene", index, 2)
        question = make_primitive("adjacent_scene").ask(plan)
        listed = [option for option in question.options if option.startswith("there is no scene")]
        assert len(listed) == 1
        assert set(question.options) - set(listed) <= set(shown(plan)), "a scene outside the video is an easy wrong one"
        right += question.options[question.answer_index] == listed[0]
        chance += question.chance
    assert abs(right - chance) < 4 * np.sqrt(chance * 0.75)


def test_shapes_are_where_their_tracks_say() -> None:
    plan = make_plan("event_order", 0, 0)
    frames_THWC = render(plan)
    for track in plan.tracks:
        frame = int(track.visible_T.argmax())
        x, y = (round(float(v)) for v in track.xy_T2[frame])
        assert tuple(frames_THWC[frame, y, x]) == track.color
        hidden = int((~track.visible_T).argmax())
        assert tuple(frames_THWC[hidden, y, x]) != track.color
