"""What a player shows of a video file: packets → the time of every shown frame, size, orientation.

Edit lists, B-frames, frames that are only decoded for the sake of others, cover art, rotation, and pixels that are not
square are taken into account. Only the first frame is decoded. What a file lacks is told: its end, its beginning, the
times of its frames. Names: N frames that are shown, K key frames.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from temporay.operators.errors import SampleRejected
from temporay.operators.videos.faults import UNDECODABLE, blamed_on
from temporay.operators.videos.lost_parts import check_gap, check_lead, check_order, lost_s, promised_s
from temporay.operators.videos.mistaken import check_kind, mistaken_for
from temporay.operators.videos.orientation import AS_STORED, Orientation, orientation_of

Ticks = npt.NDArray[np.int64]  # times in units of a stream's time base
# Where the times of frames come from. "frames": every frame carries its own. "packets": packets carry times, but in the
# order of decoding, so the n-th frame is shown at the n-th time (AVI). "rate": the file says no times, so that frames
# are taken to be equally far apart.
Clock = Literal["frames", "packets", "rate"]
NOT_A_VIDEO = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails  # cover art and the like
# Formats that are sought in, and what their index is sorted by. Others are decoded from the start: in them a seek may
# end between key frames, where some decoders make up what they lack.
INDEXED_BY = {"mov,mp4,m4a,3gp,3g2,mj2": "dts", "matroska,webm": "pts"}
TIMED_BY_PACKETS = ("avi",)
# The rate that is told to readers of raw streams, which would take 25 without a word; the stream itself may state one.
UNSTATED_RATE = 997
MAX_HEADERS = 1024  # kept in memory; one of an hour at 30 fps takes 0.9 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoHeader:
    """When a video shows which frame, and how large frames are when they stand upright."""

    width: int  # px, upright, with square pixels
    height: int
    pts_N: Ticks  # when each frame is shown, ascending and all different
    time_base: Fraction  # seconds of a tick
    duration_s: float  # from the first frame to the end of the last one
    clock: Clock
    stream: int  # place among all streams of the file
    orientation: Orientation
    key_pts_K: Ticks  # when each key frame is shown, ascending; some may not be shown themselves
    key_index_K: Ticks  # what the format's index leads to each by; empty if the format is not sought in
    stored_size: tuple[int, int] | None = None  # px, of the first frame as it is stored; None: of all alike
    lost_s: float = 0.0  # of its end: what the file promises and does not hold

    @property
    def num_frames(self) -> int:
        return len(self.pts_N)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """When each frame is shown, in seconds after the first one."""
        times_s: npt.NDArray[np.float64] = (self.pts_N - self.pts_N[0]) * float(self.time_base)
        return times_s


def probe(path: Path) -> VideoHeader:
    """Read the header of a video. It is kept until the file changes.

    Raises:
        SampleRejected: ``video_missing``, ``video_undecodable``, ``no_video``, ``video_without_times``,
            ``video_without_start``, ``video_joined`` or ``video_with_a_jump``.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise SampleRejected("video_missing", f"{path}: {error.strerror}") from error
    if not path.is_file():
        raise SampleRejected("video_missing", f"{path} is not a file")
    try:
        return _header(path, stat.st_mtime_ns, stat.st_size)
    except SampleRejected as error:
        what = mistaken_for(path) if error.reason == UNDECODABLE else None
        if what is None:
            raise
        raise SampleRejected(UNDECODABLE, f"{path} is {what}") from error


class _Packet(NamedTuple):
    pts: int | None
    dts: int | None
    duration: int
    is_key: bool
    is_shown: bool


class _Stream(NamedTuple):
    """What a file says of the video stream that a player shows."""

    place: int  # among all streams of the file
    format: str
    time_base: Fraction
    rate: Fraction | None  # frames per second
    pixel_aspect: Fraction  # width of a pixel by its height
    packets: list[_Packet]
    promised_s: float  # how long it lasts, or when the last stream of the file ends; 0: the format does not say
    end_s: float  # when the last packet of all streams ends


class _FirstFrame(NamedTuple):
    """The first frame that can be decoded."""

    pts: int | None
    width: int  # px, as it is stored
    height: int
    orientation: Orientation


@functools.lru_cache(maxsize=MAX_HEADERS)
def _header(path: Path, mtime_ns: int, num_bytes: int) -> VideoHeader:
    """Read a header. A file with another time of change or another size is another file to the cache."""
    stream = _demuxed(path)
    shown = [packet for packet in stream.packets if packet.is_shown]
    pts_N, clock = _times(shown, by_packets=stream.format in TIMED_BY_PACKETS)
    time_base = stream.time_base
    if clock == "rate":
        if not shown or not stream.rate:
            raise SampleRejected(UNDECODABLE, f"{path}: no frames, or neither times nor a rate")
        time_base = 1 / stream.rate
    first = _first_frame(path, stream)
    packets_s = float((pts_N[-1] - pts_N[0] + _last_ticks(shown, pts_N, stream)) * time_base)
    if clock == "frames" and first.pts is not None:
        check_lead(path, float((first.pts - pts_N[0]) * time_base))
        pts_N = pts_N[pts_N >= first.pts]
    width, height = _upright_size(first, stream.pixel_aspect)
    duration_s = float((pts_N[-1] - pts_N[0] + _last_ticks(shown, pts_N, stream)) * time_base)
    longest_gap_s = float(np.diff(pts_N).max(initial=0) * time_base)
    check_gap(path, longest_gap_s, duration_s)
    by_pts = sorted((p for p in stream.packets if p.is_key and p.pts is not None), key=lambda packet: packet.pts or 0)
    keys = by_pts if clock == "frames" else []
    indexed_by = INDEXED_BY.get(stream.format)
    entries = [packet.dts if indexed_by == "dts" else packet.pts for packet in keys] if indexed_by else []
    return VideoHeader(
        width=width,
        height=height,
        pts_N=pts_N,
        time_base=time_base,
        duration_s=duration_s,
        clock=clock,
        stream=stream.place,
        orientation=first.orientation,
        key_pts_K=np.array([packet.pts for packet in keys], np.int64),
        key_index_K=np.array([] if None in entries else entries, np.int64),
        stored_size=(first.width, first.height),
        lost_s=lost_s(stream.format, stream.promised_s, packets_s, stream.end_s, longest_gap_s),
    )


def _demuxed(path: Path) -> _Stream:
    packets: dict[int, list[_Packet]] = defaultdict(list)
    ends: dict[int, int] = defaultdict(int)  # in ticks of the stream
    with blamed_on(path), av.open(str(path), options={"framerate": str(UNSTATED_RATE)}) as container:
        check_kind(path, container.format.name)
        moving = [stream for stream in container.streams.video if not stream.disposition & NOT_A_VIDEO]
        if not moving:
            raise SampleRejected(UNDECODABLE, f"{path} has no video stream")
        are_moving = {stream.index for stream in moving}
        for packet in container.demux():
            place, at = packet.stream_index, packet.dts if packet.pts is None else packet.pts
            if at is not None:
                ends[place] = max(ends[place], at + (packet.duration or 0))
            if place in are_moving and is_usable(packet):
                one = _Packet(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, not packet.is_discard)
                packets[place].append(one)
        best = max(moving, key=lambda stream: _rank(stream, len(packets[stream.index])))
        if best.average_rate == UNSTATED_RATE and not best.codec_context.framerate:
            advice = f"ffmpeg -framerate 30 -i {path.name} -c copy {path.stem}.mp4"
            raise SampleRejected(
                "video_without_times", f"{path} says neither times nor a rate; state the right one: {advice}"
            )
        check_order(path, [packet.dts for packet in packets[best.index] if packet.dts is not None], best.time_base)
        return _Stream(
            place=best.index,
            format=container.format.name,
            time_base=best.time_base,
            rate=best.guessed_rate or best.average_rate,
            pixel_aspect=Fraction(best.sample_aspect_ratio or 1),
            packets=packets[best.index],
            promised_s=promised_s(container, best),
            end_s=max((float(end * container.streams[i].time_base) for i, end in ends.items()), default=0.0),
        )


def is_usable(packet: Any) -> bool:
    """Return whether a packet holds a frame: it is not empty, as AVI's repetitions are, and not damaged."""
    return bool(packet.size) and not packet.is_corrupt


def _rank(stream: Any, num_packets: int) -> tuple[bool, bool, int]:
    """Return what makes a stream the one that a player shows: it moves, it is the default, it is large."""
    is_default = bool(stream.disposition & av.stream.Disposition.default)
    return num_packets > 1, is_default, stream.codec_context.width * stream.codec_context.height


def _times(shown: Sequence[_Packet], *, by_packets: bool) -> tuple[Ticks, Clock]:
    """Return when frames are shown, and how that is known. A time that comes twice is one frame: the later one."""
    stamps: list[tuple[Clock, list[int | None]]] = [("packets", [packet.dts for packet in shown])]
    if not by_packets:
        stamps.insert(0, ("frames", [packet.pts for packet in shown]))
    for clock, times in stamps:
        different = np.unique(np.array([time for time in times if time is not None], np.int64))
        if len(different) > len(shown) / 2:  # few may lack one, such as the second field of an interlaced frame
            return different, clock
    return np.arange(len(shown), dtype=np.int64), "rate"


def _last_ticks(shown: Sequence[_Packet], pts_N: Ticks, stream: _Stream) -> Fraction:
    """Return how long the last frame is shown: as it says itself, or as long as the others on average."""
    said = [packet.duration for packet in shown if packet.pts == pts_N[-1]]
    if said and said[0] > 0:
        return Fraction(said[0])
    if len(pts_N) > 1:
        return Fraction(int(pts_N[-1] - pts_N[0]), len(pts_N) - 1)
    return 1 / (stream.rate * stream.time_base) if stream.rate else Fraction(0)


def _first_frame(path: Path, stream: _Stream) -> _FirstFrame:
    with blamed_on(path), av.open(str(path)) as container:
        container.streams[stream.place].codec_context.thread_count = 1
        frame = next(container.decode(container.streams[stream.place]), None)
        if frame is None:
            raise SampleRejected(UNDECODABLE, f"{path}: no frame can be decoded")
        matrices = [bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]
        orientation = orientation_of(matrices[0]) if matrices else AS_STORED
        return _FirstFrame(frame.pts, frame.width, frame.height, orientation)


def _upright_size(first: _FirstFrame, pixel_aspect: Fraction) -> tuple[int, int]:
    """Return width and height of an upright frame with square pixels: the shorter side of pixels grows."""
    one = Fraction(1)
    aspect = pixel_aspect if pixel_aspect > 0 else one
    return first.orientation.size(round(first.width * max(aspect, one)), round(first.height / min(aspect, one)))
