"""What a player shows of odd files: which frames, when, and how large."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.videos.decoding import frames_of
from temporay.operators.videos.header import VideoHeader, probe
from temporay.operators.videos.orientation import AS_STORED
from temporay.operators.videos.reading import VideoReading, taken_frames

from tests.odd_videos import numbers, trim, turn, write_video

EVERY = VideoReading(fps=10.0)


def shown(path: Path, reading: VideoReading = EVERY) -> tuple[VideoHeader, list[int]]:
    """Return the header of a video, and which frames are shown of it."""
    header = probe(path)
    return header, numbers(frames_of(path, header, taken_frames(header, reading)))


FORMATS: list[tuple[str, dict[str, Any], str]] = [
    ("a.mp4", {"options": {"bf": "3"}}, "frames"),
    ("a.mkv", {"options": {"bf": "3"}}, "frames"),
    ("a.mov", {"codec": "mpeg4"}, "frames"),
    ("a.webm", {"codec": "libvpx-vp9"}, "frames"),
    ("a.avi", {"codec": "mpeg4", "options": {"qscale": "1"}}, "packets"),
    ("b-frames.avi", {"options": {"bf": "3"}}, "packets"),
    ("a.ts", {"options": {"bf": "3"}}, "frames"),
    ("a.flv", {}, "frames"),
    ("a.gif", {"codec": "gif", "pixels": "rgb8"}, "frames"),
    ("audio first.mp4", {"beside": ["sound"]}, "frames"),
    ("Übung 動画 1.mp4", {}, "frames"),
    ("odd sizes.mp4", {"size": (49, 33), "pixels": "yuv444p"}, "frames"),
    ("odd sizes.webm", {"size": (49, 33), "codec": "libvpx-vp9"}, "frames"),
    ("10 bit.mp4", {"pixels": "yuv420p10le"}, "frames"),
    ("late.mp4", {"times_ms": [5000 + 100 * n for n in range(20)]}, "frames"),
    ("late.mkv", {"times_ms": [700 + 100 * n for n in range(20)]}, "frames"),
    ("fragments.mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}}, "frames"),
    ("negative.mp4", {"options": {"bf": "2"}, "container": {"use_editlist": "0"}}, "frames"),
]


@pytest.mark.parametrize(("name", "given", "clock"), FORMATS)
def test_each_format_shows_its_frames_at_their_times(tmp_path: Path, name: str, given: Any, clock: str) -> None:
    header, found = shown(write_video(tmp_path / name, **given))
    assert (header.width, header.height) == given.get("size", (64, 48)) and header.clock == clock
    assert header.lost_s == 0
    assert np.allclose(header.times_s, np.arange(20) / 10, atol=2e-3) and header.duration_s == pytest.approx(2.0)
    assert np.abs(np.subtract(found, np.arange(20))).max() <= 1  # the colors of some formats are coarse


@pytest.mark.parametrize(("codec", "kind"), [("libx264", "h264"), ("libx265", "hevc"), ("mpeg4", "m4v")])
@pytest.mark.parametrize("fps", [10, 30])
def test_a_raw_stream_is_read_by_the_rate_that_it_states(tmp_path: Path, codec: str, kind: str, fps: int) -> None:
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_video(tmp_path / f"a.{kind}", fps=fps, codec=codec, kind=kind, options=quiet)
    header, found = shown(path, VideoReading(fps=fps))
    assert np.allclose(header.times_s, np.arange(20) / fps)
    assert np.abs(np.subtract(found, np.arange(20))).max() <= 1


RATELESS: list[tuple[str, dict[str, Any]]] = [
    ("mjpeg", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    ("obu", {"codec": "libsvtav1"}),
    ("hevc", {"codec": "libx265", "options": {"x265-params": "log-level=none:no-vui-timing-info=1"}}),
]


@pytest.mark.parametrize(("kind", "given"), RATELESS)
def test_a_raw_stream_that_states_no_rate_is_refused(tmp_path: Path, kind: str, given: dict[str, Any]) -> None:
    path = write_video(tmp_path / f"a.{kind}", kind=kind, **given)
    with pytest.raises(SampleRejected, match=rf"video_without_times: .*-framerate 30 -i a\.{kind} -c copy a\.mp4"):
        probe(path)


@pytest.mark.parametrize("start_s", [0.0, 1.0, 1.3])
@pytest.mark.parametrize("bframes", ["0", "3"])
def test_a_lossless_trim_shows_only_its_part(tmp_path: Path, start_s: float, bframes: str) -> None:
    whole = write_video(tmp_path / "a.mp4", 40, options={"bf": bframes, "g": "16"})
    header, found = shown(trim(whole, start_s, 1.0))
    first = round(10 * start_s)
    assert found == [*range(first, first + 10)] and header.num_frames == 10
    assert header.times_s[0] == 0 and header.duration_s == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_variable_rate_is_sampled_evenly_in_time(tmp_path: Path, name: str) -> None:
    times_ms = [*range(0, 1000, 100), *range(1000, 10_000, 900)]  # 10 frames in the first second, 10 in the others
    path, reading = write_video(tmp_path / name, times_ms=times_ms), VideoReading(fps=1.0)
    header, found = shown(path, reading)
    assert np.allclose(1000 * header.times_s, times_ms, atol=1)
    taken = taken_frames(header, reading)
    assert found == list(taken.places) and taken.shown.indices == tuple(times_ms[n] for n in found)
    assert sum(n < 10 for n in found) == 1 and len(found) >= 9 and np.diff(taken.times_s).max() < 2


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(2, 1), (128, 48)), (Fraction(1, 2), (64, 96)), (Fraction(10, 11), (64, 53))]
)
def test_pixels_are_made_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    header, found = shown(write_video(tmp_path / "a.mp4", aspect=aspect))
    assert (header.width, header.height) == size and found == [*range(20)]


def test_a_turned_video_with_flat_pixels_is_upright_and_square(tmp_path: Path) -> None:
    header = probe(turn(write_video(tmp_path / "a.mp4", aspect=Fraction(2, 1)), 0, 1, -1, 0))
    assert (header.width, header.height) == (48, 128) and header.orientation != AS_STORED


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_cover_art_is_no_video(tmp_path: Path, name: str) -> None:
    header, found = shown(write_video(tmp_path / name, beside=["cover" if name == "a.mp4" else "picture"]))
    assert (header.width, header.height) == (64, 48) and found == [*range(20)]


def restamped(path: Path, times_ms: list[int]) -> Path:
    """Write the packets of a video again, each with another time."""
    written = path.with_stem("restamped")
    with av.open(str(path)) as source, av.open(str(written), "w") as target:
        stream: Any = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet, time_ms in zip(packets, times_ms, strict=True):
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, time_ms, time_ms, Fraction(1, 1000)
            target.mux(packet)
    return written


def test_repeated_times_are_one_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", 6, codec="mjpeg", pixels="yuvj420p")
    header, found = shown(restamped(path, [0, 100, 200, 200, 300, 400]))
    assert header.times_s.tolist() == [0, 0.1, 0.2, 0.3, 0.4] and found == [0, 1, 3, 4, 5]


def text(path: Path) -> Path:
    path.write_text("This is no video.\n" * 100)
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def sound(path: Path) -> Path:
    return write_video(path, 0, beside=["sound"], codec="mpeg4")


def headless(path: Path) -> Path:
    path.write_bytes(write_video(path).read_bytes()[:1500])  # the index stands at the end
    return path


@pytest.mark.parametrize("make", [text, empty, headless, sound])
def test_what_is_no_video_is_named(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(SampleRejected, match=r"video_undecodable: .*a\.mp4"):
        probe(make(tmp_path / "a.mp4"))


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(SampleRejected, match=f"video_missing: {path}"):
            probe(path)


def test_a_header_is_kept_until_its_file_changes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 10)
    first = probe(path)
    assert probe(path) is first
    write_video(path, 30)
    os.utime(path, ns=(1, 1))
    assert probe(path).num_frames == 30


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.gif"])
def test_no_damage_escapes_as_another_error(tmp_path: Path, name: str) -> None:
    """Bytes of a file are changed at random, a few or many, and some files end early."""
    codec = {"a.avi": ("mpeg4", "yuv420p"), "a.gif": ("gif", "rgb8")}.get(name, ("libx264", "yuv420p"))
    whole = np.frombuffer(write_video(tmp_path / name, 10, codec=codec[0], pixels=codec[1]).read_bytes(), np.uint8)
    rng, refused = np.random.default_rng(1), 0
    for n in range(40):
        damaged = whole.copy()
        places = rng.integers(0, len(whole), rng.choice([1, 10, 300]))
        damaged[places] = rng.integers(0, 256, len(places))
        path = tmp_path / f"{n}-{name}"
        path.write_bytes(damaged[: rng.integers(1, len(whole)) if n % 4 == 0 else None].tobytes())
        try:
            header = probe(path)
            taken = taken_frames(header, EVERY)
            assert len(frames_of(path, header, taken)) == len(taken.places)
        except SampleRejected:
            refused += 1
    assert 0 < refused < 40
