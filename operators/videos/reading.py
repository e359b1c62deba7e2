"""Which frames of a video are taken: settings and header → places, the size, and the times a model is told.

Frames are spread evenly in time, not by their number: of each of some equal spans the frame on screen in its middle is
taken, and none is taken twice. So a slow stretch of a video gives fewer frames than spans, and never a repeated one.

SlowFast sampling (arXiv 2407.15841), a few large frames beside many small ones, is not among the rules: all frames of a
video have one size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from temporay.operators.errors import SampleRejected
from temporay.operators.media import Medium
from temporay.operators.sampling import PAIR, ShownFrames
from temporay.operators.settings import Settings
from temporay.operators.videos.header import VideoHeader

TIMELINE_FPS = 1000.0  # a user's video is described on a timeline of milliseconds, where frames have any distance
DEFAULT_FPS = 2.0
MAX_SIDES_RATIO = 200  # longer by shorter side; transformers' ``smart_resize`` of all Qwen models raises above it
MIN_SIDE = 4  # px of a frame that is read; transformers takes a height of 1 or 3 for the number of colors
SIDES_ALLOWED = (
    f"sides must have {MIN_SIDE} px or more, and the longer one may be at most {MAX_SIDES_RATIO} times the shorter"
)
UNCLEAR_BOUNDS = ("start", "end", "start_time", "end_time", "start_frame", "end_frame")  # of lines made elsewhere
MAX_S = 1e9  # of a window; more is a mistake
MAX_FRAMES = 1_000_000  # of a video; far above what any model takes, and small enough to be laid out in memory
EDGE_S = 1e-6  # how far the middle of a span may miss a frame's time by rounding

Places = npt.NDArray[np.int64]


KEPT_WHERE = ("cache", "cache_gb")  # settings that change no frame


class VideoReading(Settings):
    """Where a user's videos are, and which of their frames are taken at which size."""

    videos: Path | None = None  # the folder that paths are relative to; None: the file's own
    rule: Literal["rate", "count", "keyframes"] = "rate"  # keyframes: those that are stored whole
    fps: float = Field(default=DEFAULT_FPS, gt=0, le=TIMELINE_FPS)  # of rule rate: frames taken per second of video
    count: int | None = Field(default=None, ge=PAIR)  # of rule count: frames taken of every video, however long
    max_frames: int = Field(default=32, ge=PAIR, le=MAX_FRAMES)  # longer videos give this many, evenly spread
    max_side: int = Field(default=448, ge=28)  # px; larger frames are scaled down
    cache: Path | None = None  # a folder that keeps decoded frames, for all runs that name it; None: nothing is kept
    cache_gb: float = Field(default=20.0, gt=0)  # that the cache may hold; what was read longest ago goes first

    def absolute(self) -> Self:
        """Return the same settings with paths that mean the same in every process."""
        paths = {"videos": self.videos, "cache": self.cache}
        return self.model_copy(update={name: path and path.absolute() for name, path in paths.items()})

    @model_validator(mode="after")
    def _no_setting_of_another_rule(self) -> Self:
        if (self.rule == "count") != (self.count is not None):
            raise ValueError(f"rule {self.rule} and count {self.count}: give a count with rule count, and only there")
        if self.rule != "rate" and self.fps != DEFAULT_FPS:
            raise ValueError(f"rule {self.rule} takes no fps ({self.fps:g}): leave it out, or give rule rate")
        if self.count is not None and self.count > self.max_frames:
            raise ValueError(f"count {self.count} is above max_frames {self.max_frames}: raise max_frames")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a video that a question is about, in seconds after its first frame."""

    start_s: float = 0.0
    end_s: float | None = None  # None: to the end

    @classmethod
    def read(cls, tree: Mapping[str, Any]) -> Self:
        """Read ``start_s`` and ``end_s`` of an object, which may be missing.

        Raises:
            SampleRejected: ``bad_window``.
        """
        unclear = [name for name in UNCLEAR_BOUNDS if isinstance(tree.get(name), int | float)]
        if unclear:
            raise SampleRejected("bad_window", f"{', '.join(unclear)} may be seconds or frames: write start_s, end_s")
        start_s, end_s = tree.get("start_s"), tree.get("end_s")
        for value in (start_s, end_s):
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_S
            if value is not None and not is_number:
                raise SampleRejected("bad_window", f"'start_s' and 'end_s' must be seconds from 0 on, not {value!r}")
        if end_s is not None and end_s <= (start_s or 0.0):
            raise SampleRejected("bad_window", f"'end_s' ({end_s}) must be after 'start_s' ({start_s or 0.0})")
        return cls(start_s=float(start_s or 0.0), end_s=None if end_s is None else float(end_s))

    def facts(self) -> dict[str, float]:
        """Return what ``read`` reads, as JSON values."""
        return {"start_s": self.start_s} | ({} if self.end_s is None else {"end_s": self.end_s})


WHOLE = Window()


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenFrames:
    """The frames of a video that a model is shown."""

    places: tuple[int, ...]  # among all frames that a player shows, ascending
    times_s: tuple[float, ...]  # when a player shows them, in seconds after the video's first frame
    width: int  # px, of each frame when it is read
    height: int

    @property
    def shown(self) -> ShownFrames:
        """The same times on a timeline of milliseconds.

        Its length is chosen so that frames per length is the mean rate: one over the mean distance of two frames.
        Qwen3-VL writes each pair's own time into the text. Qwen2.5-VL knows the mean rate alone, by this length.
        """
        mean_gap_s = (self.times_s[-1] - self.times_s[0]) / (len(self.times_s) - 1)
        return ShownFrames(
            indices=tuple(round(TIMELINE_FPS * time) for time in self.times_s),
            num_frames=max(1, round(TIMELINE_FPS * mean_gap_s * len(self.times_s))),
        )

    @property
    def medium(self) -> Medium:
        """What a sample shows of the video."""
        shown = self.shown
        return Medium(width=self.width, height=self.height, fps=TIMELINE_FPS, num_frames=shown.num_frames, shown=shown)


def taken_frames(header: VideoHeader, reading: VideoReading, window: Window = WHOLE) -> TakenFrames:
    """Choose the frames of a video.

    Raises:
        SampleRejected: ``bad_window``, ``video_cut_off``, ``video_too_short`` or ``video_too_narrow``.
    """
    width, height = _size(header, reading.max_side)
    end_s = header.duration_s if window.end_s is None else min(window.end_s, header.duration_s)
    if header.lost_s and (window.end_s is None or window.end_s > header.duration_s):
        raise SampleRejected(
            "video_cut_off",
            f"the file says that it goes on for {header.lost_s:.1f} s after {header.duration_s:.1f} s, and ends there; "
            "get it again, or ask about a part before that with end_s",
        )
    if window.start_s >= end_s:
        raise SampleRejected("bad_window", f"it starts at {window.start_s:g} s of a video of {header.duration_s:g} s")
    places = _places(header, reading, window.start_s, end_s)
    if len(places) < PAIR:
        raise SampleRejected(
            "video_too_short",
            f"rule {reading.rule} finds {len(places)} frames in {end_s - window.start_s:g} s; a model takes {PAIR}",
        )
    return TakenFrames(
        places=tuple(places.tolist()),
        times_s=tuple(header.times_s[places].tolist()),
        width=width,
        height=height,
    )


def _places(header: VideoHeader, reading: VideoReading, start_s: float, end_s: float) -> Places:
    times_s = header.times_s
    if reading.rule == "keyframes":
        keys = np.flatnonzero(np.isin(header.pts_N, header.key_pts_K) & (times_s >= start_s) & (times_s < end_s))
        thinned = np.linspace(0, len(keys) - 1, min(len(keys), reading.max_frames)).round().astype(np.int64)
        return keys[thinned]
    wanted = reading.count or max(PAIR, min(reading.max_frames, round((end_s - start_s) * reading.fps)))
    middles_s = start_s + (np.arange(wanted) + 0.5) * (end_s - start_s) / wanted
    on_screen = np.searchsorted(times_s, middles_s + EDGE_S, side="right") - 1
    return np.unique(on_screen)


def _size(header: VideoHeader, max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(header.width, header.height))
    width, height = (max(1, round(side * scale)) for side in (header.width, header.height))
    if is_too_narrow(width, height):
        raise SampleRejected(
            "video_too_narrow",
            f"{header.width} x {header.height} px, read as {width} x {height}; {SIDES_ALLOWED}",
        )
    return width, height


def is_too_narrow(width: int, height: int) -> bool:
    """Return whether no processor takes frames of this size, px."""
    return min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDES_RATIO * min(width, height)
