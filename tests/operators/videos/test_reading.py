"""Which frames are taken, at which size, and at which times they are told."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from temporay.operators.errors import SampleRejected
from temporay.operators.videos.header import VideoHeader
from temporay.operators.videos.orientation import AS_STORED
from temporay.operators.videos.reading import VideoReading, Window, taken_frames


def header(times_ms: list[int], *, last_ms: int = 100, size: tuple[int, int] = (64, 48)) -> VideoHeader:
    return VideoHeader(
        width=size[0],
        height=size[1],
        pts_N=np.array(times_ms, np.int64),
        time_base=Fraction(1, 1000),
        duration_s=(times_ms[-1] - times_ms[0] + last_ms) / 1000,
        clock="frames",
        stream=0,
        orientation=AS_STORED,
        key_pts_K=np.array(times_ms[::5], np.int64),
        key_index_K=np.array([], np.int64),
    )


EVEN = header([*range(0, 4000, 100)])


@pytest.mark.parametrize(
    ("given", "times_ms"),
    [
        ({}, [200, 700, 1200, 1700, 2200, 2700, 3200, 3700]),
        ({"fps": 1.0}, [500, 1500, 2500, 3500]),
        ({"fps": 0.01}, [1000, 3000]),  # a pair at least
        ({"max_frames": 4}, [500, 1500, 2500, 3500]),
        ({"rule": "count", "count": 2}, [1000, 3000]),
        ({"rule": "count", "count": 5}, [400, 1200, 2000, 2800, 3600]),
        ({"rule": "keyframes"}, [0, 500, 1000, 1500, 2000, 2500, 3000, 3500]),
        ({"rule": "keyframes", "max_frames": 3}, [0, 2000, 3500]),
    ],
)
def test_rules_take_frames_evenly_in_time(given: dict[str, Any], times_ms: list[int]) -> None:
    assert list(taken_frames(EVEN, VideoReading(**given)).shown.indices) == times_ms


def test_a_video_of_fewer_frames_than_wanted_gives_those_it_has_once() -> None:
    taken = taken_frames(header([0, 100, 200]), VideoReading(fps=30.0))
    assert taken.places == (0, 1, 2) and taken.shown.num_frames == 300
    assert taken_frames(header([0, 5000], last_ms=5000), VideoReading()).places == (0, 1)


@pytest.mark.parametrize("fps", [0.5, 2.0, 2.5, 10.0])
def test_a_timeline_is_as_long_as_the_mean_rate_says(fps: float) -> None:
    shown = taken_frames(EVEN, VideoReading(fps=fps, max_frames=64)).shown
    assert 1000 * len(shown.indices) / shown.num_frames == pytest.approx(fps, rel=0.03)


def test_a_window_takes_what_is_on_screen_in_it() -> None:
    slow = header([0, 4000, 4500, 9000], last_ms=1000)
    taken = taken_frames(slow, VideoReading(rule="count", count=4), Window(start_s=3.0, end_s=5.0))
    assert taken.times_s == (0.0, 4.0, 4.5)
    assert taken_frames(EVEN, VideoReading(rule="keyframes"), Window(start_s=0.9, end_s=2.0)).times_s == (1.0, 1.5)


@pytest.mark.parametrize(
    ("video", "window", "reason"),
    [
        (EVEN, Window(start_s=4.0), "bad_window"),
        (EVEN, Window(start_s=1.0, end_s=1.05), "video_too_short"),
        (header([0]), Window(), "video_too_short"),
        (header([0, 100], size=(900, 4)), Window(), "video_too_narrow"),
        (header([0, 100], size=(4, 900)), Window(), "video_too_narrow"),
        (header([0, 100], size=(900, 5)), Window(), "video_too_narrow"),  # 448 x 2 px when it is scaled down
        (header([0, 100], size=(400, 3)), Window(), "video_too_narrow"),
    ],
)
def test_what_no_model_takes_is_named(video: VideoHeader, window: Window, reason: str) -> None:
    with pytest.raises(SampleRejected, match=reason):
        taken_frames(video, VideoReading(), window)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rule": "count"}, "give a count"),
        ({"count": 4}, "give a count with rule count"),
        ({"rule": "keyframes", "fps": 4.0}, "takes no fps"),
        ({"rule": "count", "count": 64}, "raise max_frames"),
        ({"rule": "count", "count": 1}, "greater than or equal to 2"),
        ({"max_frames": 10**9, "fps": 1000.0}, "less than or equal to 1000000"),
        ({"fps": 1e9}, "less than or equal to 1000"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VideoReading(**given)
