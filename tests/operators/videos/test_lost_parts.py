"""Files that lack their end or their beginning, and files whose times do not go on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.videos.decoding import frames_of
from temporay.operators.videos.header import VideoHeader, probe
from temporay.operators.videos.reading import WHOLE, VideoReading, Window, taken_frames

from tests.odd_videos import noisy, numbers, write_video

EVERY = VideoReading(fps=10.0)


def shown(path: Path) -> tuple[VideoHeader, list[int]]:
    """Return the header of a video, and which frames are shown of it."""
    header = probe(path)
    return header, numbers(frames_of(path, header, taken_frames(header, EVERY)))


def joined(path: Path, *parts: Path, gap_s: int = 0) -> Path:
    """Write the packets of some videos behind each other, with a gap in time between them."""
    behind = Fraction(0)
    with av.open(str(path), "w") as target:
        stream: Any = None
        for part in parts:
            with av.open(str(part)) as source:
                read = source.streams.video[0]
                stream = stream or target.add_stream_from_template(read)
                packets = [packet for packet in source.demux(read) if packet.size]
                shift = round(behind / read.time_base) - min(packet.dts for packet in packets)
                for packet in packets:
                    packet.stream, packet.pts, packet.dts = stream, packet.pts + shift, packet.dts + shift
                behind = Fraction(max(packet.pts + packet.duration for packet in packets)) * read.time_base + gap_s
                for packet in packets:
                    target.mux(packet)
    return path


CUT: list[tuple[str, dict[str, Any], float]] = [
    ("a.mp4", {"container": {"movflags": "faststart"}}, 4.0),
    ("a.mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "10"}}, 3.0),  # three fragments
    ("a.mkv", {"options": {"bf": "2"}}, 4.0),
    ("a.mkv", {"beside": ["sound"]}, 4.0),
    ("a.webm", {"codec": "libvpx-vp9"}, 4.0),
    ("a.flv", {}, 4.0),
    ("a.avi", {"codec": "mpeg4", "options": {"g": "5"}}, 4.0),
]


@pytest.mark.parametrize(("name", "given", "promised_s"), CUT)
def test_a_file_that_was_cut_off_shows_what_it_holds_and_nothing_else(
    tmp_path: Path, name: str, given: dict[str, Any], promised_s: float
) -> None:
    path = write_video(tmp_path / name, 40, draw=noisy, **given)
    whole = probe(path)
    assert whole.lost_s == 0
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    header = probe(path)
    assert header.lost_s > 0.3 and header.duration_s + header.lost_s == pytest.approx(promised_s, abs=0.25)
    for window in (WHOLE, Window(start_s=0.5), Window(end_s=header.duration_s + 0.2)):
        with pytest.raises(SampleRejected, match=r"video_cut_off: .* ask about a part before that with end_s"):
            taken_frames(header, EVERY, window)
    held = Window(end_s=header.duration_s - 0.2)
    frames_THWC = frames_of(path, header, taken_frames(header, EVERY, held))
    assert len(np.unique(frames_THWC.reshape(len(frames_THWC), -1), axis=0)) == len(frames_THWC) > 3


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_sound_that_goes_on_longer_is_no_lost_end(tmp_path: Path, name: str) -> None:
    header, found = shown(write_video(tmp_path / name, 5, beside=["sound"]))
    assert header.lost_s == 0 and header.duration_s == pytest.approx(0.5) and found == [*range(5)]


@pytest.mark.parametrize("num_frames", [10, 40, 60])
def test_files_that_were_joined_byte_by_byte_are_refused(tmp_path: Path, num_frames: int) -> None:
    parts = [write_video(tmp_path / f"{n}.ts", n).read_bytes() for n in (40, num_frames)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(SampleRejected, match=r"video_joined: .*joined\.ts: after 3\.\d s its times begin again"):
        probe(path)


def without_first(path: Path, num_frames: int) -> Path:
    """Write a video again without its first packets, as a recording that begins at any moment."""
    written = path.with_stem("begun")
    with av.open(str(path)) as source, av.open(str(written), "w") as target:
        stream: Any = target.add_stream_from_template(source.streams.video[0])
        for packet in [packet for packet in source.demux(video=0) if packet.size][num_frames:]:
            packet.stream = stream
            target.mux(packet)
    return written


@pytest.mark.parametrize("bframes", ["0", "2"])
@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_recording_begins_with_its_first_key_frame(tmp_path: Path, name: str, bframes: str) -> None:
    whole = write_video(tmp_path / name, 40, options={"g": "12", "bf": bframes, "sc_threshold": "0"})
    header, found = shown(without_first(whole, 5))
    assert found == [*range(12, 40)] and header.times_s[0] == 0 and header.duration_s == pytest.approx(2.8)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_recording_whose_first_seconds_cannot_be_decoded_is_refused(tmp_path: Path, name: str) -> None:
    path = without_first(write_video(tmp_path / name, 60, options={"g": "30", "bf": "0", "sc_threshold": "0"}), 5)
    with pytest.raises(SampleRejected, match=r"video_without_start: .* its first 2\.5 s cannot be decoded"):
        probe(path)


def test_a_clock_that_jumps_is_no_video_of_ten_hours(tmp_path: Path) -> None:
    part = write_video(tmp_path / "part.ts")
    assert shown(joined(tmp_path / "pause.ts", part, part, gap_s=2))[1][-1] == 19
    with pytest.raises(SampleRejected, match=r"video_with_a_jump: .*jump\.ts: 36000 of its 36004 s lie between"):
        probe(joined(tmp_path / "jump.ts", part, part, gap_s=36_000))


def test_slides_of_an_hour_each_are_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times_ms=[3_600_000 * n for n in range(20)])
    assert shown(path)[1] == [*range(20)]


def test_a_video_that_changes_its_shape_is_not_squeezed(tmp_path: Path) -> None:
    first = write_video(tmp_path / "first.ts")
    larger, taller = (write_video(tmp_path / f"{w}.ts", size=(w, h)) for w, h in ((96, 72), (48, 64)))
    assert shown(joined(tmp_path / "scaled.ts", first, larger))[1][-1] == 19
    path = joined(tmp_path / "turned.ts", first, taller)
    with pytest.raises(SampleRejected, match=r"video_changes_shape: .* with 64 x 48 px and has 48 x 64 at 2\.\d s"):
        shown(path)
    header = probe(path)
    assert numbers(frames_of(path, header, taken_frames(header, EVERY, Window(end_s=1.9)))) == [*range(19)]
