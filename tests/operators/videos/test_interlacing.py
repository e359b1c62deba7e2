"""Frames of two moments are shown as frames of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from temporay.operators.records import Frames
from temporay.operators.videos.decoding import Player, frames_of
from temporay.operators.videos.header import probe
from temporay.operators.videos.interlacing import of_one_moment
from temporay.operators.videos.reading import TakenFrames

from tests.odd_videos import write_video

WIDTH, HEIGHT = 96, 64
FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("a.mp4", {"options": {"x264-params": "tff=1:keyint=12:bframes=2"}}),
    ("a.ts", {"options": {"x264-params": "bff=1:keyint=12:bframes=0"}}),
    ("a.mkv", {"codec": "mpeg2video", "options": {"flags": "+ildct+ilme", "qscale": "1", "g": "12"}, "fps": 25}),
]


def moving(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw a bar in every second line, and two pixels further in the others: half a frame later."""
    frame_HWC = np.full((height, width, 3), 40, np.uint8)
    for line in (0, 1):
        left = (4 * n + 2 * line) % (width - 16)
        frame_HWC[line::2, left : left + 16] = 220
    return frame_HWC


def combs(frames_THWC: Frames) -> float:
    """Return how much lines differ from those above and below them, in levels."""
    lines = frames_THWC.astype(float)
    return float(np.abs(lines[:, 1:-1] - (lines[:, :-2] + lines[:, 2:]) / 2).mean())


def at(path: Path, places: tuple[int, ...]) -> Frames:
    header = probe(path)
    times_s = tuple(header.times_s[list(places)].tolist())
    return frames_of(path, header, TakenFrames(places=places, times_s=times_s, width=WIDTH, height=HEIGHT))


def in_one_go(path: Path) -> tuple[Frames, Frames]:
    """Decode all frames from the start: as they are stored, and woven."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        stored = list(container.decode(video=0))
    woven = list(of_one_moment(stored))
    assert [frame.pts for frame in woven] == [frame.pts for frame in stored]
    as_stored, as_woven = ([one.to_ndarray(format="rgb24") for one in some] for some in (stored, woven))
    return np.stack(as_stored), np.stack(as_woven)


@pytest.mark.parametrize(("name", "given"), FORMATS)
def test_no_frame_is_combed_wherever_it_is_sought(tmp_path: Path, name: str, given: dict[str, Any]) -> None:
    path = write_video(tmp_path / name, 60, draw=moving, size=(WIDTH, HEIGHT), **given)
    stored, woven = in_one_go(path)
    assert combs(stored) > 5 and combs(woven) < 1
    for places in ((0, 1, 30, 59), (24, 36), (13, 50), tuple(range(0, 60, 7)), (36,)):
        assert np.array_equal(at(path, places), woven[list(places)]), places


def test_frames_of_one_moment_stay_as_they_are(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 20)
    stored, woven = in_one_go(path)
    assert np.array_equal(stored, woven)
    with Player(path, probe(path)) as player:
        player.frame_at(10)
        assert not player._weaves
