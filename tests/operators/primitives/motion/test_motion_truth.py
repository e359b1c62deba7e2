"""The answer of every primitive about drawn motion, worked out again from the tracks and not from the event log."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise, permutations

import numpy as np
import pytest
from temporay.operators.pixels.colors_seen import turning_points
from temporay.operators.pixels.render import render
from temporay.operators.primitives.motion._curves import most_like_curve
from temporay.operators.primitives.motion._stage import VECTORS
from temporay.operators.primitives.motion.relative_position import SIDES
from temporay.operators.records import Question, ScenePlan

from tests.operators.primitives.planning import (
    CANVAS,
    LARGE,
    TINY,
    Oracle,
    answer_of,
    make_plan,
    make_primitive,
    make_question,
    steps_T2,
    track_of,
)


def clip_jigsaw(plan: ScenePlan, question: Question) -> str:
    """Find the order in which the longest step of the joined path is shortest."""
    track, count = track_of(plan, plan.facts["name"]), plan.facts["count"]
    segments = [
        np.array([xy for _, xy in run])
        for is_seen, run in groupby(zip(track.visible_T, track.xy_T2, strict=True), lambda one: one[0])
        if is_seen
    ]
    assert len(segments) == count
    assert len({len(segment) for segment in segments}) == 1
    longest = {}
    for order in permutations(range(count)):
        joined = replace(track, xy_T2=np.concatenate([segments[i] for i in order]))
        longest[order] = np.linalg.norm(steps_T2(plan, joined), axis=1).max()
    return ", ".join(str(segment + 1) for segment in min(longest, key=lambda order: longest[order]))


def motion_direction(plan: ScenePlan, question: Question) -> str:
    step_xy_T2 = steps_T2(plan, track_of(plan, plan.facts["name"]))
    names, vectors = list(VECTORS), np.array(list(VECTORS.values()))
    first, last = (names[int(np.argmax(vectors @ step_xy))] for step_xy in step_xy_T2[[0, -1]])
    turned_T = np.abs(np.diff(step_xy_T2 / np.linalg.norm(step_xy_T2, axis=1)[:, None], axis=0)).sum(axis=1)
    assert (turned_T > 0.1).sum() == (plan.address.level >= 3), "a way of two legs turns once"
    if plan.address.level < 3:
        return first
    return "first {}, then {}".format(*(f"to the {leg}" if leg in ("left", "right") else leg for leg in (first, last)))


def ways_px(plan: ScenePlan) -> dict[str, float]:
    """Return how far each shape gets, from the farthest to the nearest."""
    ways = {track.name: float(np.linalg.norm(steps_T2(plan, track), axis=1).sum()) for track in plan.tracks}
    return dict(sorted(ways.items(), key=lambda item: -item[1]))


def speed_perception(plan: ScenePlan, question: Question) -> str:
    (fastest, way), (_, second) = list(ways_px(plan).items())[:2]
    assert way > 1.25 * second
    return f"the {fastest}"


def velocity_ranking(plan: ScenePlan, question: Question) -> str:
    ways = ways_px(plan)
    assert all(one > 1.3 * following for one, following in pairwise(ways.values()))
    return ", ".join(ways)


def motion_count(plan: ScenePlan, question: Question) -> str:
    size = np.array([plan.width, plan.height])
    shares = [float(np.abs(steps_T2(plan, track).sum(axis=0) / size).max()) for track in plan.tracks]
    assert all(share < 0.05 or share > 0.25 for share in shares)
    return str(sum(share > 0.25 for share in shares))


def distance_estimation(plan: ScenePlan, question: Question) -> str:
    unit = plan.facts["unit"]
    axis = ("widths", "heights").index(unit)
    share_T = np.abs(steps_T2(plan, plan.tracks[-1])[:, axis]) / (plan.width, plan.height)[axis]
    assert share_T.max() < 0.45, "the way from frame to frame must not look like the other way round"
    assert (share_T < 1e-9).any() == (plan.address.level >= 3), "from level 3 on the shape rests once"
    return f"{round(float(share_T.sum()), 6):g} {unit}"


def acceleration(plan: ScenePlan, question: Question) -> str:
    speed_T = np.linalg.norm(steps_T2(plan, track_of(plan, plan.facts["name"])), axis=1)
    ratio = speed_T[-1] / speed_T[0]
    return "accelerating" if ratio > 1.5 else "decelerating" if ratio < 1 / 1.5 else "moving at a constant speed"


def event_order(plan: ScenePlan, question: Question) -> str:
    seen_NT = np.stack([track.visible_T for track in plan.tracks]).astype(int)
    assert not seen_NT[:, [0, -1]].any(), "the clip begins and ends empty"
    changes_NT = np.diff(seen_NT, axis=1)
    assert np.abs(changes_NT).sum(axis=0).max() == 1, "one change at a time"
    orders = {}
    for mode, sign in (("appear", 1), ("disappear", -1)):
        frames_NR = np.stack([np.flatnonzero(steps_T == sign) for steps_T in changes_NT])
        orders[mode] = np.argsort(frames_NR[:, plan.facts["round"]]).tolist()
    assert orders["appear"] != orders["disappear"]
    return ", ".join(plan.tracks[i].name for i in orders[plan.facts["mode"]])


def bounce_count(plan: ScenePlan, question: Question) -> str:
    """Count the turns; the ball turns where the log says, near an edge, and never leaves the frame."""
    track = track_of(plan, plan.facts["name"])
    low, high = track.xy_T2 - track.radius_px, np.array([plan.width, plan.height]) - track.radius_px - track.xy_T2
    assert min(low.min(), high.min()) >= -1e-6
    axis = int(np.ptp(track.xy_T2, axis=0).argmax())
    turns = turning_points(track.xy_T2[:, axis], 1e-6)
    step_px_T = np.abs(np.diff(track.xy_T2[:, axis]))
    off_px = np.minimum(low, high)[turns, axis]
    assert (off_px <= 1.3 * np.maximum(step_px_T[np.array(turns) - 1], step_px_T[turns])).all()
    hits_ms = [event.start_ms for event in plan.events if event.kind == "bounce" and event.subject == track.name]
    assert all(abs(t - ms * plan.fps / 1000) <= 1.0 for t, ms in zip(turns, hits_ms, strict=True))
    return str(len(turns))


def trajectory_shape(plan: ScenePlan, question: Question) -> str:
    step_xy_T2 = steps_T2(plan, track_of(plan, plan.facts["name"]))
    path_T2 = np.concatenate([np.zeros((1, 2)), np.cumsum(step_xy_T2, axis=0)])
    best, left, _ = most_like_curve(path_T2, [option.removeprefix("a ") for option in question.options])
    assert left < 0.02
    return question.options[best]


def rotation(plan: ScenePlan, question: Question) -> str:
    """Add up the steps, each the shorter way around."""
    angle_deg_T = track_of(plan, plan.facts["name"]).angle_deg_T
    assert angle_deg_T is not None
    total_deg = float((np.mod(np.diff(angle_deg_T) + 180, 360) - 180).sum())
    turns = round(total_deg / 360)
    assert total_deg == pytest.approx(360 * turns, abs=1e-6)
    direction = "not spinning" if turns == 0 else "clockwise" if turns > 0 else "counter-clockwise"
    return str(abs(turns)) if plan.facts["mode"] == "turns" else direction


def relative_position(plan: ScenePlan, question: Question) -> str:
    """Find the side before and after the flash that is asked about."""
    a, b = (track_of(plan, plan.facts[key]) for key in ("name", "anchor"))
    flashing_T = track_of(plan, "flash").visible_T
    assert not any(track.visible_T[flashing_T].any() for track in plan.tracks if track.name != "flash")
    first, end = (np.flatnonzero(np.diff(flashing_T.astype(int)) == step)[plan.facts["flash"]] for step in (1, -1))
    sides = set()
    for x, y in (a.xy_T2 - b.xy_T2)[[first, end + 1]]:
        eighths = np.rad2deg(np.arctan2(y, x)) / 45
        assert abs(eighths - round(eighths)) < 0.25, "near the middle of a side"
        sides.add(SIDES[round(eighths) % 8])
    (side,) = sides
    return f"{side} the {b.name}"


def event_span(plan: ScenePlan, question: Question) -> str:
    """Find the frames in which the picture of the shape alone is another."""
    assert len({round(event.end_ms - event.start_ms) for event in plan.events}) == 1
    frames = frames_of(plan, plan.facts["name"])
    acting = [i for i, frame in enumerate(frames) if frame != frames[0]]
    assert acting == list(range(acting[0], acting[-1] + 1))
    assert frames[-1] == frames[0]
    return f"from {acting[0] / plan.fps:.1f} s to {(acting[-1] + 1) / plan.fps:.1f} s"


def attribute_change(plan: ScenePlan, question: Question) -> str:
    """Compare the first frame with the last."""
    mode, attribute = plan.facts["mode"], plan.facts.get("attribute")
    changed = {name: kind for name in {t.name for t in plan.tracks} if (kind := what_changes(plan, name))}
    if mode == "what":
        (kind,) = changed.values()
        return f"its {kind}"
    frames = {name: frames_of(plan, name) for name, kind in changed.items() if kind == attribute}
    when = {name: next(i for i in range(len(of)) if of[i] != of[0]) for name, of in frames.items()}
    assert mode == "first" or len(when) == 1
    own = min(when, key=when.__getitem__)
    color, form = own.split()
    named = f"{color} shape" if attribute == "form" else form
    if mode != "when":
        return f"the {named}"
    assert plan.facts["name"] == named
    return f"at {when[own] / plan.fps:.1f} s"


def frames_of(plan: ScenePlan, name: str) -> list[bytes]:
    """Render the shape of this name alone."""
    return list(map(bytes, render(replace(plan, tracks=tuple(track for track in plan.tracks if track.name == name)))))


def what_changes(plan: ScenePlan, name: str) -> str:
    """Return what is another at the end than at the start."""
    tracks = [track for track in plan.tracks if track.name == name]
    track = tracks[0]
    if len(tracks) == 2:
        return "form" if track.visible_T[0] != track.visible_T[-1] else ""
    if track.color_T3 is not None and (track.color_T3[0] != track.color_T3[-1]).any():
        return "color"
    if not np.array_equal(track.xy_T2[0], track.xy_T2[-1]):
        return "place"
    assert track.scale_T is not None
    return "size" if track.scale_T[0] != track.scale_T[-1] else ""


ORACLES: dict[str, Oracle] = {
    "acceleration": acceleration,
    "attribute_change": attribute_change,
    "bounce_count": bounce_count,
    "clip_jigsaw": clip_jigsaw,
    "distance_estimation": distance_estimation,
    "event_order": event_order,
    "event_span": event_span,
    "motion_count": motion_count,
    "motion_direction": motion_direction,
    "relative_position": relative_position,
    "rotation": rotation,
    "speed_perception": speed_perception,
    "trajectory_shape": trajectory_shape,
    "velocity_ranking": velocity_ranking,
}


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("task", ORACLES)
def test_answer_holds_in_what_is_drawn(task: str, level: int) -> None:
    canvases = (CANVAS, LARGE) if task in ("clip_jigsaw", "event_span", "attribute_change") else (TINY, CANVAS, LARGE)
    asked: Counter[str] = Counter()
    for canvas in canvases:
        for index in range(15):
            for twin in (False, True):
                plan, question = make_question(task, index, level, canvas, twin=twin)
                assert answer_of(plan) == ORACLES[task](plan, question), plan.address
                asked[plan.facts.get("mode", plan.facts.get("state", ""))] += 1
    least = {"rotation": 2, "event_order": 2, "attribute_change": 3, "event_span": 4}.get(task, 1)
    assert len(asked) >= least, "every kind of question is asked"


@pytest.mark.parametrize("task", ["motion_direction", "acceleration", "bounce_count", "speed_perception"])
def test_listed_positions_are_where_the_shape_is(task: str) -> None:
    """Check that each digit of an explanation is a tenth of the frame, at the time in the log."""
    for index in range(20):
        plan = make_plan(task, index, 2)
        told = [event for event in plan.events if event.kind == "at"]
        assert told
        for event in told:
            x, y = track_of(plan, event.subject).xy_T2[round(event.start_ms * plan.fps / 1000)]
            assert event.detail == f"{min(9, int(10 * x / plan.width))} {min(9, int(10 * y / plan.height))}"
        concise = make_primitive(task).explain(plan, make_primitive(task).ask(plan), "concise")
        xs = " ".join(event.detail[0] for event in told if event.subject == told[0].subject)
        ys = " ".join(event.detail[2] for event in told if event.subject == told[0].subject)
        assert f"x {xs} y {ys}" in concise


def test_shapes_are_where_their_tracks_say() -> None:
    plan = make_plan("event_order", 0, 0)
    frames_THWC = render(plan)
    for track in plan.tracks:
        frame = int(track.visible_T.argmax())
        x, y = (round(float(v)) for v in track.xy_T2[frame])
        assert tuple(frames_THWC[frame, y, x]) == track.color
        hidden = int((~track.visible_T).argmax())
        assert tuple(frames_THWC[hidden, y, x]) != track.color
