"""The answer of every primitive about drawn motion, worked out again from the tracks and not from the event log."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise, permutations

import numpy as np
import numpy.typing as npt
import pytest
from temporay.operators.dataset.label_check import witness_of
from temporay.operators.pixels.render import render
from temporay.operators.primitives._base import Doubt
from temporay.operators.primitives.motion._curves import CURVES, curve_error
from temporay.operators.primitives.motion._stage import VECTORS, followed
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
    step_xy_T2 = steps_T2(plan, track_of(plan, plan.facts["name"])) / (plan.width, plan.height)
    names, vectors = list(VECTORS), np.array(list(VECTORS.values()))
    legs = [names[int(np.argmax(vectors @ step_xy))] for step_xy in step_xy_T2]
    legs = [leg for leg, before in zip(legs, [None, *legs], strict=False) if leg != before]
    assert len(legs) == (1, 1, 2, 3, 4)[plan.address.level]
    if len(legs) == 1:
        return legs[0]
    first, *others = (f"to the {leg}" if leg in ("left", "right") else leg for leg in legs)
    return ", ".join([f"first {first}", *(f"then {leg}" for leg in others)])


def ways(plan: ScenePlan) -> dict[str, float]:
    """Return how far each shape gets, to and fro, in parts of the frame, from the farthest to the nearest."""
    size = (plan.width, plan.height)
    found = {track.name: float(np.abs(steps_T2(plan, track) / size).sum()) for track in plan.tracks}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def speed_perception(plan: ScenePlan, question: Question) -> str:
    (fastest, way), (_, second) = list(ways(plan).items())[:2]
    assert way > 1.25 * second
    return f"the {fastest}"


def velocity_ranking(plan: ScenePlan, question: Question) -> str:
    found = ways(plan)
    assert all(one > 1.2 * following for one, following in pairwise(found.values()))
    return ", ".join(found)


def motion_count(plan: ScenePlan, question: Question) -> str:
    """Count laps: no move is anything else, and no two shapes move at once."""
    size = np.array([plan.width, plan.height])
    gone_NT = np.array([(steps_T2(plan, track) / size).sum(axis=1) for track in plan.tracks])
    assert (np.abs(gone_NT) > 1e-9).sum(axis=0).max() == 1
    laps = {track.name: float(gone_T.sum()) for track, gone_T in zip(plan.tracks, gone_NT, strict=True)}
    assert all(lap == pytest.approx(round(lap), abs=1e-6) for lap in laps.values())
    if plan.facts["mode"] == "shapes":
        return str(int(sum(np.abs(gone_NT).sum(axis=1) > 0.5)))
    gone_T = gone_NT[[track.name for track in plan.tracks].index(plan.facts["name"])]
    return str(round(float(gone_T[gone_T > 0].sum())))


def distance_estimation(plan: ScenePlan, question: Question) -> str:
    unit = plan.facts["unit"]
    axis = ("width", "height").index(unit)
    share_T = np.abs(steps_T2(plan, plan.tracks[-1])[:, axis]) / (plan.width, plan.height)[axis]
    assert share_T.max() < 0.45, "the way from frame to frame must not look like the other way round"
    assert (share_T < 1e-9).any(), "the shape rests"
    way = float(share_T.sum())
    assert abs(10 * way - round(10 * way)) < 1e-5, "ways are whole tenths"
    return f"{way:.1f} {unit}s"


def turning_points(place_T: npt.NDArray[np.float64], threshold_px: float) -> list[int]:
    """Return the frames at which something that goes to and fro turns back by at least ``threshold_px``."""
    turns: list[int] = []
    furthest, direction = 0, 0  # frame of the furthest place since the last turn; no direction yet
    for t, place in enumerate(place_T):
        back_px = float(place_T[furthest] - place) * (direction or 1)
        if direction == 0 and abs(back_px) >= threshold_px:
            furthest, direction = t, -1 if back_px > 0 else 1
        elif direction and back_px <= 0:
            furthest = t
        elif direction and back_px >= threshold_px:
            turns.append(furthest)
            furthest, direction = t, -direction
    return turns


def acceleration(plan: ScenePlan, question: Question) -> str:
    """Count how often the speed turns round."""
    speed_T = np.linalg.norm(steps_T2(plan, track_of(plan, plan.facts["name"])), axis=1)
    if np.ptp(speed_T) < 1e-6:
        return "moving at a constant speed"
    turns = turning_points(speed_T, 0.3 * float(np.ptp(speed_T)))
    rises = bool(speed_T[turns[0] if turns else -1] > speed_T[0])
    if not turns:
        return "accelerating" if rises else "decelerating"
    words = ["speeding up", "slowing down"] if rises else ["slowing down", "speeding up"]
    if len(turns) == 1:
        return f"{words[0]}, then {words[1]}"
    return f"{words[0]} and {words[1]}, twice" if len(turns) == 3 else f"{words[0]}, {words[1]}, then {words[0]} again"


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
    """Count how often the ball touches an edge; it never leaves the frame, and turns away from an edge or at it."""
    track = track_of(plan, plan.facts["name"])
    size = np.array([plan.width, plan.height])
    low, high = (track.xy_T2 - track.radius_px) / size, (size - track.radius_px - track.xy_T2) / size
    away_T4 = np.concatenate([low, high], axis=1)
    assert away_T4.min() >= -1e-6
    near_T4 = np.pad(away_T4 < 0.08, ((1, 0), (0, 0)))
    return str(int((near_T4[1:] & ~near_T4[:-1]).sum()))


def trajectory_shape(plan: ScenePlan, question: Question) -> str:
    """Fit each option's figures to their parts of the path, and tell which way round the path goes."""
    step_xy_T2 = steps_T2(plan, track_of(plan, plan.facts["name"]))
    path_T2 = np.concatenate([np.zeros((1, 2)), np.cumsum(step_xy_T2, axis=0)])
    x, y = path_T2[:, 0], path_T2[:, 1]
    around = "clockwise" if x @ np.roll(y, -1) > y @ np.roll(x, -1) else "counter-clockwise"
    errors = {}
    for option in question.options:
        figures = sorted((name for name in CURVES if name in option), key=option.index)
        ends = np.rint(np.linspace(0, len(path_T2) - 1, len(figures) + 1)).astype(int)
        parts = [path_T2[start : end + 1] for start, end in pairwise(ends)]
        shares = [np.linspace(0, 1, len(part)) for part in parts]
        if "clockwise" not in option or option.endswith(f", {around}"):
            errors[option] = max(map(curve_error, parts, figures, shares))
    best = min(errors, key=errors.__getitem__)
    assert errors[best] < 0.02
    return best


def rotation(plan: ScenePlan, question: Question) -> str:
    """Add up the steps, each the shorter way around; a turn is complete 360 degrees from where the last one ended."""
    angle_deg_T = track_of(plan, plan.facts["name"]).angle_deg_T
    assert angle_deg_T is not None
    turned_T = np.cumsum([0.0, *(np.mod(np.diff(angle_deg_T) + 180, 360) - 180)])
    ways: list[str] = []
    rest = 0.0
    for turned in turned_T:
        if abs(turned - rest) > 359.9:
            ways.append("clockwise" if turned > rest else "counter-clockwise")
            rest = turned
    assert turned_T[-1] == pytest.approx(rest, abs=1e-6)
    if plan.facts["mode"] == "turns":
        return str(len(ways))
    if plan.address.level < 2:
        return ways[0] if ways[0] == ways[-1] else "first one way, then the other"
    return f"{ways[0]} all the time" if ways[0] == ways[-1] else f"first {ways[0]}, then {ways[-1]}"


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
    """Compare the first frame with the last, and find the last change of each shape."""
    mode, attribute = plan.facts["mode"], plan.facts.get("attribute")
    changed = {name: kind for name in {t.name for t in plan.tracks} if (kind := what_changes(plan, name))}
    frames = {name: frames_of(plan, name) for name, kind in changed.items() if attribute in (None, kind)}
    when = {name: max(i for i in range(1, len(of)) if of[i] != of[i - 1]) for name, of in frames.items()}
    assert mode.startswith("first") or len(when) == 1
    own = min(when, key=when.__getitem__)
    if "what" in mode:
        return f"its {changed[own]}"
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


@pytest.mark.parametrize("task", ["motion_direction", "trajectory_shape"])
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


def test_a_shape_that_is_not_seen_decides_nothing() -> None:
    plan, question = make_question("motion_direction", 0, 0)
    frames_THWC = render(plan)
    seen = witness_of(plan, question, frames_THWC, None)
    primitive = make_primitive("motion_direction")
    assert primitive.recover(seen) == question.answer_index
    frames_THWC[0] = 0
    with pytest.raises(Doubt):
        followed(frames_THWC, plan.facts["name"])
    assert primitive.recover(replace(seen, frames_THWC=frames_THWC)) is None
