r"""A user's own questions about real videos: JSON lines -> samples and frames like a dataset's, for SFT.

A line is one of

    {"video": "a.mp4", "question": "Which …?", "options": ["up", "down"], "answer": "B"}
    {"videos": ["a.mp4"], "messages": [{"role": "user", "content": "<video>\nWhich …?\n(A) up\n(B) down"},
                                       {"role": "assistant", "content": "<answer>B</answer>"}]}

Paths are relative to the file unless a folder is given. The target is the answer alone, without a chain of thought
(SynRL, arXiv 2603.17693, mixes 1,000 such samples into 6,700 that have one).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from pydantic import Field
from temporay.operators.dataset.rows import VIDEO_MARKER
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import ANSWER_OPEN, LETTERS, Address, Frames, Question, Sample
from temporay.operators.scoring.answers import parse_answer, parse_choice
from temporay.operators.settings import Settings

TASK = "video_qa"
MAX_DROPPED_SHOWN = 3  # lines named in an error
OPTION_LINE = re.compile(rf"\s*(?:\(([{LETTERS}])\)|([{LETTERS}])[.):])\s+(\S.*?)\s*")
OPEN_ERRORS = (av.error.FFmpegError, OSError, IndexError, ValueError)


class VideoReading(Settings):
    """How densely a user's videos are read."""

    videos: Path | None = None  # the folder that paths are relative to; None: the file's own
    fps: float = Field(default=2.0, gt=0)  # frames taken per second of video
    max_frames: int = Field(default=32, ge=2)  # longer videos give this many, evenly spaced
    max_side: int = Field(default=448, ge=28)  # px; larger frames are scaled down


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
    """Random access to samples and frames, with the interface of ``temporay.operators.dataset.reader.Dataset``."""

    settings: VideoQaSettings
    samples: tuple[Sample, ...]
    dropped: tuple[DroppedLine, ...]

    @classmethod
    def open(cls, settings: VideoQaSettings) -> VideoQa:
        """Read all lines and the header of every video.

        Raises:
            UserError: the file cannot be read, or none of its lines gives a sample.
        """
        try:
            lines = settings.file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read {settings.file}: {error}; give a file of JSON lines in UTF-8") from error
        samples: list[Sample] = []
        dropped: list[DroppedLine] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                samples.append(read_line(line, number, settings))
            except SampleRejected as error:
                dropped.append(DroppedLine(line=number, reason=error.reason, detail=error.detail))
        if not samples:
            shown = "; ".join(f"line {d.line}: {d.reason}, {d.detail}" for d in dropped[:MAX_DROPPED_SHOWN])
            raise UserError(f"{settings.file} has no usable line ({shown or 'it is empty'}); repair it or leave it out")
        return cls(settings=settings, samples=tuple(samples), dropped=tuple(dropped))

    def __len__(self) -> int:
        return len(self.samples)

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


def read_line(line: str, number: int, settings: VideoQaSettings) -> Sample:
    """Turn one line into a sample.

    Raises:
        SampleRejected: it is not JSON, a field is missing or wrong, or its video cannot be opened.
    """
    try:
        tree = json.loads(line)
    except json.JSONDecodeError as error:
        raise SampleRejected("not_json", str(error)) from error
    if not isinstance(tree, dict):
        raise SampleRejected("not_json", "a line must be an object with names")
    question = _from_messages(tree["messages"]) if "messages" in tree else _from_fields(tree)
    path = (settings.videos or settings.file.parent) / _video_of(tree)
    stream = probe(path.absolute())
    num_frames = max(2, min(settings.max_frames, round(stream.num_frames / stream.fps * settings.fps)))
    scale = min(1.0, settings.max_side / max(stream.width, stream.height))
    return Sample(
        address=Address(task=TASK, split="train", index=number, seed=0, level=0),
        question=question,
        rationale="",
        order_dependent=False,  # not known, and nothing depends on it
        needs_time=False,
        width=max(2, 2 * round(stream.width * scale / 2)),
        height=max(2, 2 * round(stream.height * scale / 2)),
        fps=num_frames * stream.fps / stream.num_frames,
        num_frames=num_frames,
        events=(),
        sources=(),
        facts={"video": str(path.absolute()), "line": number},
    )


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


def _video_of(tree: Mapping[str, Any]) -> str:
    video = tree.get("video", tree.get("videos"))
    if isinstance(video, list) and len(video) == 1:
        (video,) = video
    if not isinstance(video, str) or not video:
        raise SampleRejected("bad_video", f"'video' must be one path, not {video!r}")
    return video.removeprefix("file://")


def _from_fields(tree: Mapping[str, Any]) -> Question:
    options = tree.get("options")
    if isinstance(options, dict):
        options = list(options.values())
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise SampleRejected("bad_options", f"'options' must be a list of texts, not {options!r}")
    lettered = [OPTION_LINE.fullmatch(option) for option in options]
    if all(lettered):  # "(A) up": the position gives the letter, so it is written once
        options = [match[3] for match in lettered if match]
    return _question(tree.get("question"), options, tree.get("answer"))


def _from_messages(turns: Any) -> Question:
    try:
        said = {turn["role"]: turn["content"] for turn in turns}
        asked, answer = said["user"], said["assistant"]
        lines = asked.replace(VIDEO_MARKER, "").strip().splitlines()
    except (TypeError, KeyError, AttributeError) as error:
        raise SampleRejected("bad_messages", "there must be a turn of role user and one of role assistant") from error
    found = [OPTION_LINE.fullmatch(line) for line in lines]
    options = [match[3] for match in found if match]
    first = next((n for n, match in enumerate(found) if match), len(lines))
    letters = "".join(match[1] or match[2] for match in found if match)
    if letters != LETTERS[: len(letters)]:
        raise SampleRejected("bad_options", f"options must be lettered A, B, … in their order, not {letters}")
    return _question("\n".join(lines[:first]).strip(), options, answer)


def _question(text: Any, options: list[str], answer: Any) -> Question:
    if not isinstance(text, str) or not text.strip():
        raise SampleRejected("bad_question", f"'question' must be a text, not {text!r}")
    if not 2 <= len(options) <= len(LETTERS) or len(set(options)) < len(options) or not all(options):
        raise SampleRejected("bad_options", f"there must be 2 to {len(LETTERS)} different options, not {options!r}")
    if not isinstance(answer, str):
        raise SampleRejected("bad_answer", f"'answer' must be a letter or an option's words, not {answer!r}")
    parsed = parse_answer(answer, options) if ANSWER_OPEN in answer else parse_choice(answer, options)
    if parsed.index is None:
        raise SampleRejected("bad_answer", f"{answer!r} names no option ({parsed.failure})")
    return Question(text=text.strip(), options=tuple(options), answer_index=parsed.index)
