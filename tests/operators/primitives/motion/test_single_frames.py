"""What a single frame, a length or one speed could tell about drawn motion: no more than chance."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.primitives.motion._stage import OPPOSITE
from temporay.operators.sampling import EVERY_FRAME, FrameSampling
from temporay.operators.seeding import rng_at

from tests.operators.primitives.planning import (
    CANVAS,
    LARGE,
    answer_of,
    make_plan,
    make_question,
    steps_T2,
    track_of,
)

FOLLOWED = (
    "motion_direction",
    "acceleration",
    "bounce_count",
    "speed_perception",
    "velocity_ranking",
    "motion_count",
    "distance_estimation",
)
SHOWN = replace(LARGE, sampling=FrameSampling())


@pytest.mark.parametrize("level", [3, 4])
def test_no_ranking_of_the_hard_levels_is_most_like_the_others(level: int) -> None:
    for index in range(20):
        options = make_plan("velocity_ranking", index, level, LARGE).facts["options"]
        rankings = [option.split(", ") for option in options]
        likeness = [sum(a == b for other in rankings for a, b in zip(one, other, strict=True)) for one in rankings]
        assert len(set(likeness)) == 1


@pytest.mark.parametrize("level", [0, 4])
def test_shapes_of_motion_count_never_hide_each_other(level: int) -> None:
    for index in range(20):
        plan = make_plan("motion_count", index, level, LARGE)
        for i, one in enumerate(plan.tracks):
            for other in plan.tracks[i + 1 :]:
                apart_T2 = np.abs(one.xy_T2 - other.xy_T2)
                assert (apart_T2.max(axis=1) >= min(apart_T2[0].max(), one.radius_px + other.radius_px) - 1e-9).all()
                assert apart_T2.max() >= one.radius_px + other.radius_px


@pytest.mark.parametrize("level", [2, 3, 4])
def test_no_leg_decides_which_way_is_right(level: int) -> None:
    for index in range(20):
        options = [tuple(legs) for legs in make_plan("motion_direction", index, level, LARGE).facts["legs"]]
        assert len(set(options)) == 4
        for legs in zip(*options, strict=True):
            assert {OPPOSITE[leg] for leg in legs} == set(legs)
            assert set(Counter(legs).values()) == {2}


def test_the_way_of_the_ball_does_not_tell_the_count() -> None:
    ways: dict[str, list[float]] = {}
    for index in range(200):
        plan = make_plan("bounce_count", index, 2, LARGE)
        ball = plan.tracks[-1]
        room = np.array([plan.width, plan.height]) - 2 * ball.radius_px
        ways.setdefault(answer_of(plan), []).append(float(np.abs(np.diff(ball.xy_T2, axis=0) / room).sum()))
    assert len(ways) == 5
    means = [np.mean(values) for values in ways.values()]
    errors = [np.std(values) / np.sqrt(len(values)) for values in ways.values()]
    assert max(means) - min(means) < 4 * np.hypot(max(errors), max(errors))


@pytest.mark.parametrize("end", [0, -1])
def test_one_speed_tells_less_than_half_of_the_accelerations(end: int) -> None:
    """Guess the most common answer in each band of first or last speeds, learned on the other half of the samples."""
    plans = [make_plan("acceleration", index, 0, LARGE) for index in range(900)]
    speeds = [float(np.linalg.norm(steps_T2(plan, plan.tracks[-1])[end])) * (plan.num_frames - 1) for plan in plans]
    bands = np.digitize(speeds, np.quantile(speeds, np.linspace(0, 1, 11)[1:-1])).tolist()
    hits = 0
    for fold in (0, 1):
        table: dict[int, Counter[str]] = {band: Counter() for band in range(10)}
        for band, plan in list(zip(bands, plans, strict=True))[1 - fold :: 2]:
            table[band][answer_of(plan)] += 1
        for band, plan in list(zip(bands, plans, strict=True))[fold::2]:
            hits += answer_of(plan) == table[band].most_common(1)[0][0]
    assert hits / len(plans) < 0.53  # (1 + ln 2.5 / ln 8.25) / 3 = 0.48, and three standard errors


def test_mean_speed_does_not_tell_the_acceleration() -> None:
    ways: dict[str, list[float]] = {}
    for index in range(300):
        plan = make_plan("acceleration", index, 0, LARGE)
        way_px = float(np.linalg.norm(steps_T2(plan, plan.tracks[-1]), axis=1).sum())
        ways.setdefault(answer_of(plan), []).append(way_px)
    means = [np.mean(values) for values in ways.values()]
    errors = [np.std(values) / np.sqrt(len(values)) for values in ways.values()]
    assert len(means) == 3
    assert max(means) - min(means) < 4 * np.hypot(max(errors), max(errors))


def test_as_much_rotation_is_shown_whatever_is_counted() -> None:
    for index in range(40):
        plan = make_plan("rotation", index, 2, LARGE)
        if plan.facts["mode"] == "turns":
            angle_deg_T = track_of(plan, plan.facts["name"]).angle_deg_T
            assert angle_deg_T is not None
            assert np.abs(np.mod(np.diff(angle_deg_T) + 180, 360) - 180).sum() == pytest.approx(5 * 360)


@pytest.mark.parametrize("when", ["first", "middle", "last", "random"])
def test_one_frame_does_not_tell_the_relative_position(when: str) -> None:
    """Check that the side in one frame is the right option as often as by chance."""
    hits, chances = [], []
    for index in range(300):
        plan, question = make_question("relative_position", index, 2)
        num = plan.num_frames
        frames = {"first": 0, "middle": num // 2, "last": num - 1, "random": int(rng_at("probe", index).integers(num))}
        a, b = (track_of(plan, plan.facts[key]) for key in ("name", "anchor"))
        x, y = a.xy_T2[frames[when]] - b.xy_T2[frames[when]]
        if not a.visible_T[frames[when]]:
            continue
        side = ("right", "left")[int(x < 0)] if abs(x) > abs(y) else ("below", "above")[int(y < 0)]
        hits.append(side in question.options[question.answer_index])
        chances.append(question.chance)
    assert abs(sum(hits) - sum(chances)) < 4 * np.sqrt(sum(p * (1 - p) for p in chances))


@pytest.mark.parametrize("frame", [0, -1])
def test_size_and_form_in_one_frame_do_not_tell_which_shape_changes(frame: int) -> None:
    right: Counter[tuple[str, bool]] = Counter()
    shown: Counter[tuple[str, bool]] = Counter()
    chances: dict[tuple[str, bool], float] = defaultdict(float)
    for index in range(400):
        plan, question = make_question("attribute_change", index, 0)
        if plan.facts["mode"] != "which" or plan.facts["attribute"] == "form":
            continue
        for track in plan.tracks:
            assert track.scale_T is not None
            looks = (plan.facts["attribute"], bool(track.scale_T[frame] == 1.0))
            shown[looks] += 1
            right[looks] += question.options[question.answer_index].endswith(track.shape)
            chances[looks] += question.chance
    for looks, n in shown.items():
        expected = chances[looks]
        assert abs(right[looks] - expected) < 4 * np.sqrt(expected * (1 - expected / n)), looks


@pytest.mark.parametrize("level", range(5))
def test_the_middle_of_a_clip_is_in_every_span(level: int) -> None:
    for index in range(40):
        plan = make_plan("event_span", index, level, (CANVAS, LARGE, SHOWN)[index % 3])
        middle = plan.num_frames // 2
        for option in plan.facts["options"]:
            start, end = (plan.fps * float(word) for word in option.split() if word[0].isdigit())
            assert start < middle + 0.5 and end > middle + 0.5, "three frames there act, whatever is right"


@pytest.mark.parametrize("level", [2, 3, 4])
def test_the_ends_of_a_clip_do_not_tell_what_changes_first(level: int) -> None:
    """Every option has changed by the end, and those of which a change is undone are anywhere in the order."""
    places: Counter[int] = Counter()
    for index in range(60):
        plan = make_plan("attribute_change", index, level, LARGE)
        if not plan.facts["mode"].startswith("first"):
            continue
        last = {event.subject: event.end_ms for event in plan.events}
        assert len(last) == len(plan.facts["options"])
        assert len(plan.events) == len(last) + 2 * plan.facts["undone"]
        undone = {name for name in last if sum(event.subject == name for event in plan.events) == 3}
        assert len(undone) == plan.facts["undone"]
        places.update(i for i, name in enumerate(sorted(last, key=last.__getitem__)) if name in undone)
    assert len(places) == (0 if level == 2 else len(last))


@pytest.mark.parametrize("task", FOLLOWED)
def test_clips_are_as_long_as_the_motion_needs(task: str) -> None:
    short = Canvas(
        width=48,
        height=48,
        fps=4.0,
        num_frames=(2, 4),
        num_scenes=(2, 3),
        frames_per_scene=(2, 4),
        jitter="none",
        sampling=EVERY_FRAME,
    )
    assert make_plan(task, 0, 0, short).num_frames > 4


@pytest.mark.parametrize("task", FOLLOWED)
def test_shapes_are_large_enough_to_be_seen(task: str) -> None:
    for index in range(20):
        assert all(2 * track.radius_px >= 8 for track in make_plan(task, index, 4, LARGE).tracks)


def test_the_setting_that_shows_too_few_frames_is_named() -> None:
    with pytest.raises(UserError, match=r"canvas\.sampling"):
        make_plan("event_span", 0, 4, replace(CANVAS, sampling=FrameSampling(max_frames=8)))
