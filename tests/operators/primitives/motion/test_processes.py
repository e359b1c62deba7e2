from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.render import render
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives.motion._processes import (
    BACKWARDS,
    PROCESSES,
    ProcessKind,
    ShownProcess,
    are_turns_shown,
    arrow,
    backwards,
    measured_in,
    measured_of,
    show,
)
from temporay.operators.primitives.motion._stage import choose_actors
from temporay.operators.records import Address, Backdrop, Frames, ScenePlan
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.seeding import rng_at

CANVAS = Canvas(
    width=96,
    height=72,
    fps=8.0,
    num_frames=(48, 48),
    num_scenes=(1, 1),
    frames_per_scene=(1, 1),
    jitter="none",
    sampling=EVERY_FRAME,
)
NUM_FRAMES, NUM_TURNS = 48, 4


def stage(kind: ProcessKind, index: int) -> tuple[ShownProcess, tuple[int, int, int]]:
    rng = rng_at("irreversible", kind, index)
    actor = choose_actors(rng, CANVAS, 1)[0]
    return show(kind, rng, actor, CANVAS, NUM_FRAMES, NUM_TURNS), COLORS[actor.color_name]


def render_process(process: ShownProcess) -> Frames:
    address = Address(task="time_arrow", split="train", index=0, seed=0, level=0)
    return render(
        ScenePlan(
            address=address,
            width=96,
            height=72,
            fps=8.0,
            num_frames=NUM_FRAMES,
            backdrop=Backdrop(),
            tracks=process.tracks,
        )
    )


@pytest.mark.parametrize("kind", PROCESSES)
def test_the_pixels_show_which_way_time_runs(kind: ProcessKind) -> None:
    for index in range(12):
        process, color = stage(kind, index)
        reverse = backwards(process, CANVAS, NUM_FRAMES)
        frames_THWC = render_process(process)
        assert np.array_equal(render_process(reverse), frames_THWC[::-1])
        assert arrow(kind, measured_in(kind, frames_THWC, color)) > 0.08
        assert arrow(kind, measured_in(kind, frames_THWC[::-1], color)) < -0.08
        measured_T = measured_of(kind, process.tracks, CANVAS.height)
        assert np.array_equal(np.isnan(measured_T), np.isnan(measured_in(kind, frames_THWC, color)))


@pytest.mark.parametrize("kind", PROCESSES)
def test_the_log_backwards_is_the_log_mirrored(kind: ProcessKind) -> None:
    end_ms = 1000 * NUM_FRAMES / CANVAS.fps
    for index in range(12):
        process, _ = stage(kind, index)
        reverse = backwards(process, CANVAS, NUM_FRAMES)
        assert process.events
        for event, other in zip(process.events, reversed(reverse.events), strict=True):
            assert other == replace(
                event, start_ms=end_ms - event.end_ms, end_ms=end_ms - event.start_ms, detail=BACKWARDS[event.detail]
            )


def test_turns_are_shown_if_a_frame_of_each_is() -> None:
    height_T = np.array([1, 0, 1, 2, 1, 0, 1, 2, 1, 0, np.nan, 2, 1, 0, 1])
    assert are_turns_shown("ball", height_T, (2,)) and not are_turns_shown("ball", height_T, (0, 6, 12))
    assert are_turns_shown("swing", height_T, (2, 4, 6)) and not are_turns_shown("swing", height_T, (2, 6))
    assert are_turns_shown("drop", height_T, ())


@pytest.mark.parametrize("kind", PROCESSES)
def test_the_first_frame_is_like_the_last(kind: ProcessKind) -> None:
    """Compare ends: if every clip began with a new run, its first frame would tell the answer."""

    def size(process: ShownProcess, frame: int) -> float:
        return float(np.nan_to_num(measured_of(kind, process.tracks, CANVAS.height)[frame]))

    processes = [stage(kind, index)[0] for index in range(600)]
    first, last = (np.array([size(process, frame) for process in processes]) for frame in (0, NUM_FRAMES - 1))
    error = np.sqrt((first.var() + last.var()) / len(processes))
    assert abs(first.mean() - last.mean()) < 4 * error
