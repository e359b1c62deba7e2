"""Frames that were sought are those of a plain decode from the start, whatever the file's key frames are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.records import Frames
from temporay.operators.videos.decoding import Player, frames_of
from temporay.operators.videos.header import probe
from temporay.operators.videos.reading import TakenFrames, VideoReading, Window, taken_frames

from tests.odd_videos import noisy, numbers, trim, turn, write_video


def plain(path: Path) -> Frames:
    """Decode all frames from the start, in the order in which they are shown."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        shown = sorted(container.decode(video=0), key=lambda frame: frame.pts)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in shown])


def at(path: Path, places: tuple[int, ...]) -> Frames:
    header = probe(path)
    times_s = tuple(header.times_s[list(places)].tolist())
    size: dict[str, Any] = {"width": header.width, "height": header.height}
    return frames_of(path, header, TakenFrames(places=places, times_s=times_s, **size))


SOUGHT = [
    ("a.mp4", {"options": {"g": "1"}}),
    ("a.mp4", {"options": {"g": "13", "bf": "0"}}),
    ("a.mp4", {"options": {"g": "20", "bf": "3"}}),
    ("a.mp4", {"options": {"g": "250", "bf": "2"}}),
    ("a.mp4", {"options": {"g": "20", "bf": "3", "x264-params": "open-gop=1"}}),
    ("a.mp4", {"options": {"x264-params": "intra-refresh=1:keyint=20"}}),
    ("a.mkv", {"options": {"g": "15", "bf": "2"}}),
    ("a.mp4", {"codec": "libx265", "options": {"x265-params": "keyint=16:open-gop=1:log-level=none"}}),
    ("a.webm", {"codec": "libvpx-vp9", "options": {"g": "16", "deadline": "realtime", "cpu-used": "8"}}),
    ("a.webm", {"codec": "libvpx", "options": {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "12"}}),
    ("a.mp4", {"options": {"g": "15", "bf": "2"}, "container": {"movflags": "frag_keyframe+empty_moov"}}),
]


@pytest.mark.parametrize(("name", "given"), SOUGHT)
def test_what_is_sought_equals_a_plain_decode(tmp_path: Path, name: str, given: dict[str, Any]) -> None:
    path = write_video(tmp_path / name, 100, draw=noisy, **given)
    expected = plain(path)
    assert len(expected) == probe(path).num_frames
    for places in ((0, 1, 2), (3, 47, 48, 99), (60, 61), (19, 20, 21, 40, 80), tuple(range(0, 100, 9)), (98, 99)):
        assert np.array_equal(at(path, places), expected[list(places)]), places


def test_what_is_sought_in_a_trimmed_video_equals_a_plain_decode(tmp_path: Path) -> None:
    path = trim(write_video(tmp_path / "a.mp4", 120, draw=noisy, options={"g": "25", "bf": "2"}), 3.3, 8.0)
    expected = plain(path)
    assert len(expected) == probe(path).num_frames == 80
    for places in ((0, 79), (1, 40), (30, 70, 71)):
        assert np.array_equal(at(path, places), expected[list(places)]), places


def test_far_frames_are_sought_and_near_ones_are_not(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 100, draw=noisy, options={"g": "10"})
    with patch.object(Player, "_leap", autospec=True, side_effect=Player._leap) as leap:
        at(path, (0, 5, 9, 12, 14))
        assert leap.call_count == 0
        at(path, (0, 55, 99))
        assert leap.call_count == 2


def test_an_index_that_leads_too_far_is_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 100, draw=noisy, options={"g": "10"})
    expected, seek = plain(path), Player._leap

    def too_far(player: Player, key: int, place: int) -> bool:
        return seek(player, min(key + 2, 9), place)

    with patch.object(Player, "_leap", too_far):
        assert np.array_equal(at(path, (0, 45, 60)), expected[[0, 45, 60]])


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, -1)),  # 90 degrees clockwise
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),
        ((-1, 0, 0, 1), (0, -1)),  # mirrored
        ((0, 1, 1, 0), (0, 0)),  # transposed
    ],
)
def test_frames_stand_upright(tmp_path: Path, matrix: tuple[int, int, int, int], corner: tuple[int, int]) -> None:
    path = turn(write_video(tmp_path / "a.mp4"), *matrix)
    header = probe(path)
    assert (header.width, header.height) == ((48, 64) if matrix[0] == 0 else (64, 48))
    frame_HWC = frames_of(path, header, taken_frames(header, VideoReading()))[0].astype(int)
    found = {(y, x): frame_HWC[4 + y * 9, 4 + x * 9].min() for y in (0, -1) for x in (0, -1)}
    assert found.pop(corner) > 200 and max(found.values()) < 50


def test_frames_are_scaled_to_the_said_size(tmp_path: Path) -> None:
    path = turn(write_video(tmp_path / "a.mp4"), 0, 1, -1, 0)
    header = probe(path)
    frames_THWC = frames_of(path, header, taken_frames(header, VideoReading(max_side=32)))
    assert frames_THWC.shape == (4, 32, 24, 3) and numbers(frames_THWC) == [2, 7, 12, 17]


def test_a_window_shows_its_own_frames_at_the_times_of_the_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40)
    header = probe(path)
    taken = taken_frames(header, VideoReading(), Window(start_s=1.0, end_s=3.0))
    assert numbers(frames_of(path, header, taken)) == [12, 17, 22, 27]
    assert taken.shown.indices == (1200, 1700, 2200, 2700) and taken.shown.num_frames == 2000


def test_a_file_that_was_damaged_since_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a b ü.mp4", 40)
    header = probe(path)
    taken = taken_frames(header, VideoReading())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SampleRejected, match=r"video_undecodable: .*a b ü\.mp4"):
        frames_of(path, header, taken)


def test_a_packet_without_a_picture_leaves_the_frame_before_it_on_screen(tmp_path: Path) -> None:
    """VP8 has hidden frames, and interlaced video may have a packet for every field."""
    path = write_video(tmp_path / "a.mp4", 10)
    header = probe(path)
    hidden = replace(header, pts_N=np.sort(np.append(header.pts_N, header.pts_N[5] + 1)))
    taken = TakenFrames(places=(2, 6), times_s=(0.2, 0.5), width=64, height=48)
    assert numbers(frames_of(path, hidden, taken)) == [2, 5]
    with pytest.raises(SampleRejected, match="no frame can be decoded"):  # rather than the same one twice
        frames_of(path, hidden, replace(taken, places=(5, 6)))


def test_frames_that_are_gone_are_not_replaced_by_the_last_one(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", 40, draw=noisy)
    header = probe(path)
    taken = taken_frames(header, VideoReading())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SampleRejected, match=r"no frame can be decoded at \d\.\d+ s"):
        frames_of(path, header, taken)
