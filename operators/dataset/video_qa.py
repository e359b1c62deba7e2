"""A user's own questions about real videos: lines of a file -> samples and frames like a dataset's.

    lines (``own_data``) -> what is asked, and a path -> header of the video -> Sample -> frames

Paths are relative to the file unless a folder is given. Without a chain of thought the target is the answer alone
(SynRL, arXiv 2603.17693, mixes 1,000 such samples into 6,700 that have one).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import av
import cv2
import numpy as np
from pydantic import Field
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.own_data.forms._base import Form
from temporay.operators.own_data.lines import CLIP, form_of, load_forms, read_entries
from temporay.operators.primitives._base import primitive_of
from temporay.operators.records import Address, Frames, Sample
from temporay.operators.scoring.answers import read_answer
from temporay.operators.seeding import digest
from temporay.operators.settings import Settings

TASK = "video_qa"
MAX_DROPPED_SHOWN = 3  # lines named in an error
MAX_INDEX = 10**15  # the index of a line is a hash of what it asks: it stays when lines are added or a folder is moved
OPEN_ERRORS = (av.error.FFmpegError, OSError, IndexError, ValueError)


class VideoReading(Settings):
    """How densely a user's videos are read."""

    videos: Path | None = None  # the folder that paths are relative to; None: the file's own
    fps: float = Field(default=2.0, gt=0)  # frames taken per second of video
    max_frames: int = Field(default=32, ge=2)  # longer videos give this many, evenly spaced
    max_side: int = Field(default=448, ge=28)  # px; larger frames are scaled down

    def absolute(self) -> Self:
        """Return the same settings with a folder that means the same in every process."""
        return self if self.videos is None else self.model_copy(update={"videos": self.videos.absolute()})


class VideoQaSettings(VideoReading):
    """Where the questions are and how densely their videos are read."""

    file: Path  # JSON lines


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedLine:
    """A line that gives no sample, and why."""

    line: int  # from 1
    reason: str  # snake_case, for counts
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoHeader:
    """Size, rate and length of a video file."""

    num_frames: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class VideoQa:
    """Random access to the samples and frames of a file of lines."""

    settings: VideoQaSettings
    samples: tuple[Sample, ...]
    dropped: tuple[DroppedLine, ...]
    style: str = "own"  # of the samples' reasoning

    @classmethod
    def open(cls, settings: VideoQaSettings) -> VideoQa:
        """Read all lines and the header of every video.

        Raises:
            UserError: the file cannot be read, or none of its lines gives a sample.
        """
        forms = load_forms()
        samples: dict[str, Sample] = {}
        dropped: list[DroppedLine] = []
        for number, entry in read_entries(settings.file):
            try:
                if isinstance(entry, SampleRejected):
                    raise entry
                sample = read_line(entry, number, settings, forms)
                if sample.key in samples:
                    raise SampleRejected("duplicate", f"it is the same as line {samples[sample.key].facts['line']}")
                samples[sample.key] = sample
            except SampleRejected as error:
                detail = error.detail.encode(errors="backslashreplace").decode()  # a line may hold what no file can
                dropped.append(DroppedLine(line=number, reason=error.reason, detail=detail))
        if not samples:
            raise UserError(f"{settings.file} has no usable line ({named(dropped)}); repair it or leave it out")
        return cls(settings=settings, samples=tuple(samples.values()), dropped=tuple(dropped))

    @property
    def path(self) -> Path:
        return self.settings.file

    @property
    def fingerprint(self) -> str:
        """A hash of the order, the questions and the answers."""
        return f"{digest(*([s.key, s.question.text, list(s.question.options), s.target] for s in self.samples)):032x}"

    def __len__(self) -> int:
        return len(self.samples)

    def address(self, i: int) -> Address:
        return self.samples[i].address

    def sample(self, i: int) -> Sample:
        return self.samples[i]

    def frames_shown(self, i: int) -> Frames:
        """Decode as many frames of one video as its sample says: frames_THWC uint8 RGB.

        Raises:
            SampleRejected: the video can no longer be decoded.
        """
        sample = self.samples[i]
        path = Path(sample.facts["video"])
        stream = probe(path)
        wanted = taken_frames(stream, sample.num_frames)
        try:
            return _decode_at(path, wanted, (sample.width, sample.height))
        except OPEN_ERRORS as error:
            raise SampleRejected("video_undecodable", f"{path}: {type(error).__name__}") from error


def named(dropped: Sequence[DroppedLine]) -> str:
    """Name the first dropped lines, and count the others by reason."""
    shown = [f"line {one.line}: {one.reason}, {one.detail}" for one in dropped[:MAX_DROPPED_SHOWN]]
    others = Counter(one.reason for one in dropped[MAX_DROPPED_SHOWN:])
    return "; ".join([*shown, *(f"{n} more {reason}" for reason, n in others.items())]) or "it is empty"


def read_line(line: Mapping[str, Any], number: int, settings: VideoQaSettings, forms: Mapping[str, Form]) -> Sample:
    """Turn one line into a sample.

    Raises:
        SampleRejected: it is of no known form, a field is missing or wrong, or its video cannot be opened.
    """
    line = dict(line)
    clip = line.pop(CLIP, None)
    form = form_of(line, forms)
    asked = form.ask(line)
    video = clip or form.video(line)
    path = (settings.videos or settings.file.parent) / Path(video).expanduser()
    stream = probe(path.absolute())
    num_frames = max(2, min(settings.max_frames, round(stream.num_frames / stream.fps * settings.fps)))
    scale = min(1.0, settings.max_side / max(stream.width, stream.height))
    question = asked.question
    content = digest(video, question.text, list(question.options), question.answer_index)
    sample = Sample(
        address=Address(task=_own_task(asked.task), split="own", index=content % MAX_INDEX, seed=0, level=0),
        question=question,
        rationale=asked.rationale,
        order_dependent=asked.order_dependent,
        needs_time=False,
        width=max(2, 2 * round(stream.width * scale / 2)),
        height=max(2, 2 * round(stream.height * scale / 2)),
        fps=num_frames * stream.fps / stream.num_frames,
        num_frames=num_frames,
        events=(),
        sources=(),
        facts={"video": str(path.absolute()), "line": number},
    )
    if read_answer(sample.target, question).index != question.answer_index:
        raise SampleRejected("bad_answer", f"{question.answer!r:.80} cannot be told from other answers when it is read")
    return sample


def _own_task(category: str) -> str:
    """Return a task's name that no primitive has: own data has no event log to check claims by."""
    if not category:
        return TASK
    return category if primitive_of(category) is None else f"own_{category}"


def taken_frames(stream: VideoHeader, num_frames: int) -> list[int]:
    """Choose the frames that are read: the middle one of each of ``num_frames`` equal spans."""
    return [min(stream.num_frames - 1, int((n + 0.5) * stream.num_frames / num_frames)) for n in range(num_frames)]


@functools.lru_cache(maxsize=65_536)
def probe(path: Path) -> VideoHeader:
    """Read the header of a video. Without a number of frames in it, packets are counted.

    Raises:
        SampleRejected: ``video_missing`` or ``video_undecodable``.
    """
    if not path.is_file():
        raise SampleRejected("video_missing", f"{path} does not exist")
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            num_frames = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
            fps = float(stream.average_rate or 0.0)
            width, height = int(stream.codec_context.width), int(stream.codec_context.height)
    except OPEN_ERRORS as error:
        raise SampleRejected("video_undecodable", f"{path}: {type(error).__name__}") from error
    if not (num_frames and fps and width and height):
        raise SampleRejected("video_undecodable", f"{path}: no frames, or no rate")
    return VideoHeader(num_frames=num_frames, fps=fps, width=width, height=height)


def _decode_at(path: Path, wanted: Sequence[int], size: tuple[int, int]) -> Frames:
    """Decode the frames at ascending positions. If the video ends early, its last frame is repeated."""
    taken: list[Frames] = []
    last: av.VideoFrame | None = None
    with av.open(str(path)) as container:
        for n, frame in enumerate(container.decode(video=0)):
            last = frame
            while len(taken) < len(wanted) and wanted[len(taken)] <= n:
                taken.append(_scaled(frame, size))
            if len(taken) == len(wanted):
                break
    if last is None:
        raise ValueError("no frame")
    taken += [_scaled(last, size)] * (len(wanted) - len(taken))
    return np.stack(taken)


def _scaled(frame: av.VideoFrame, size: tuple[int, int]) -> Frames:
    frame_HWC: Frames = frame.to_ndarray(format="rgb24")
    if (frame.width, frame.height) != size:
        frame_HWC = cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA)
    return frame_HWC
