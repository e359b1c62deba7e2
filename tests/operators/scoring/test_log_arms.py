"""Arms by the event log, on samples of every primitive: what is shown, and that the answer stays right."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.components import available
from temporay.operators.dataset.drawn_coco import write_drawn_coco
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import MadeSample, make_unit, open_source
from temporay.operators.errors import SampleRejected
from temporay.operators.primitives._base import PRIMITIVES, primitive_called
from temporay.operators.primitives.states._game import OperationsGame
from temporay.operators.records import Sample
from temporay.operators.sampling import ShownFrames
from temporay.operators.scoring.log_arms import by_log, deciding_places

LEVELS = (0, 4)  # the easiest and the hardest
CANVAS = Canvas(
    width=64,
    height=64,
    fps=8.0,
    num_frames=(24, 48),
    num_scenes=(2, 5),
    frames_per_scene=(4, 8),
    jitter="none",
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log_arms")
    write_drawn_coco(folder, Recipe(tasks=("scene_order",), num_samples=1, canvas=CANVAS).drawn)
    return folder


def samples_of(task: str, drawn: Path, level: int, num_pairs: int = 1) -> list[tuple[Sample, MadeSample]]:
    """Make pairs of twins as a model is shown them."""
    return [pair for unit in range(num_pairs) for pair in pair_of(task, drawn, level, unit)]


@functools.cache
def pair_of(task: str, drawn: Path, level: int, unit: int) -> list[tuple[Sample, MadeSample]]:
    settings = {"canvas": CANVAS, "check_pixels": False, "storage": "virtual", "twins": True, "seed": 7}
    recipe = Recipe(tasks=(task,), num_samples=8, level=level, **settings)
    shown_of = CANVAS.sampling.shown
    return [
        (with_shown(made.sample, shown_of(made.sample.clip.num_frames, made.sample.clip.fps)), made)
        for made in make_unit(recipe, open_source(recipe, drawn), unit)
    ]


def with_shown(sample: Sample, shown: ShownFrames | None) -> Sample:
    return replace(sample, media=(replace(sample.clip, shown=shown),))


def indices(sample: Sample) -> tuple[int, ...]:
    return tuple(range(sample.clip.num_frames)) if sample.clip.shown is None else sample.clip.shown.indices


@pytest.mark.parametrize("task", available(PRIMITIVES))
def test_the_log_alone_asks_and_answers_as_the_plan_does(task: str, drawn: Path) -> None:
    primitive = primitive_called(task)
    for level in LEVELS:
        for sample, made in samples_of(task, drawn, level):
            assert primitive.ask(sample.logged_plan) == primitive.ask(made.plan)


@pytest.mark.parametrize("task", available(PRIMITIVES))
def test_frames_around_the_deciding_events_come_in_pairs(task: str, drawn: Path) -> None:
    primitive = primitive_called(task)
    for sample, made in (one for level in LEVELS for one in samples_of(task, drawn, level)):
        try:
            asked, places = by_log("oracle_frames", sample), deciding_places(sample)
        except SampleRejected as error:
            assert error.reason == "every_frame_decides"
            continue
        every, kept = indices(sample), set(places)
        assert asked.clip.shown is not None and asked.clip.shown.indices == tuple(every[place] for place in places)
        assert asked.question == sample.question and len(places) < len(every)
        assert all(place ^ 1 in kept for place in places if place ^ 1 < len(every))
        for event in primitive.deciding(made.plan):
            for place, frame in enumerate(every):
                time_ms = 1000.0 * frame / sample.clip.fps
                if event.start_ms <= time_ms < event.end_ms:
                    assert place in kept
            before = [place for place, frame in enumerate(every) if 1000.0 * frame / sample.clip.fps <= event.start_ms]
            after = [place for place, frame in enumerate(every) if 1000.0 * frame / sample.clip.fps >= event.end_ms]
            assert {*before[-1:], *after[:1]} <= kept
        if isinstance(primitive, OperationsGame) and primitive.survives(made.plan, every):
            assert primitive.survives(made.plan, asked.clip.shown.indices)


def test_frames_far_from_a_bounce_are_left_out(drawn: Path) -> None:
    shares = [len(deciding_places(s)) / len(indices(s)) for s, _ in samples_of("bounce_count", drawn, 4, 2)]
    assert len(shares) == 4 and max(shares) < 0.8


@pytest.mark.parametrize("task", available(PRIMITIVES))
def test_half_speed_keeps_answers_that_tell_no_seconds(task: str, drawn: Path) -> None:
    for sample, _ in (one for level in LEVELS for one in samples_of(task, drawn, level)):
        if tells_seconds(sample):
            with pytest.raises(SampleRejected, match="answer_tells_seconds"):
                by_log("slow_motion", sample)
        else:
            asked = by_log("slow_motion", sample)
            assert asked.media == (replace(sample.clip, fps=sample.clip.fps / 2),) and asked.question == sample.question


def test_a_moment_named_in_seconds_is_another_one_at_half_speed(drawn: Path) -> None:
    told = Counter(tells_seconds(sample) for sample, _ in samples_of("attribute_change", drawn, 4, 4))
    assert told[True] and told[False]
    assert all(tells_seconds(sample) for sample, _ in samples_of("event_span", drawn, 0))
    for sample, _ in samples_of("attribute_change", drawn, 4, 4):
        if tells_seconds(sample):
            with pytest.raises(SampleRejected, match="answer_tells_seconds"):
                by_log("slow_motion", sample)


def tells_seconds(sample: Sample) -> bool:
    return sample.question.kind == "interval" or sample.facts.get("mode") == "when"


def test_captions_are_told_in_their_order_and_nothing_else_has_any(drawn: Path) -> None:
    for sample, made in samples_of("scene_order", drawn, 4):
        asked = by_log("caption_only", sample)
        scenes = [event.subject for event in sorted(made.plan.events, key=lambda event: event.start_ms)]
        lines = asked.question.text.split("\n")
        assert [line.partition(": ")[2] for line in lines[1:-1]] == [f"{scene}." for scene in scenes]
        assert lines[1].startswith("From 0.0 s to ") and lines[-1] == sample.question.text
        assert (asked.question.options, asked.question.answer_index) == (
            sample.question.options,
            sample.question.answer_index,
        )
    for sample, _ in samples_of("bounce_count", drawn, 0):
        with pytest.raises(SampleRejected, match="no_captions"):
            by_log("caption_only", sample)


def test_own_videos_have_no_log(drawn: Path) -> None:
    sample, _ = samples_of("bounce_count", drawn, 0)[0]
    own = replace(sample, address=replace(sample.address, task="video_qa"))
    for arm, reason in {
        "caption_only": "no_captions",
        "oracle_frames": "no_event_log",
        "slow_motion": "no_event_log",
    }.items():
        with pytest.raises(SampleRejected, match=reason):
            by_log(arm, own)  # type: ignore[arg-type]
    assert by_log("shuffled", own) is own
