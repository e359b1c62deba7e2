r"""A user's own questions about real videos: JSON lines -> samples and frames like a dataset's, for SFT.

A line is one of

    {"video": "a.mp4", "question": "Which …?", "options": ["up", "down"], "answer": "B"}
    {"videos": ["a.mp4"], "messages": [{"role": "user", "content": "<video>\nWhich …?\n(A) up\n(B) down"},
                                       {"role": "assistant", "content": "<answer>B</answer>"}]}

Paths are relative to the file unless a folder is given. ``start_s`` and ``end_s``, in seconds after the video's first
frame, name the part of it that is shown; ``temporay.operators.videos.reading`` says how it is read. The target is the
answer alone, without a chain of thought (SynRL, arXiv 2603.17693, mixes 1,000 such samples into 6,700 that have one).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporay.operators.dataset.rows import VIDEO_MARKER
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import ANSWER_OPEN, LETTERS, Address, Frames, Question, Sample
from temporay.operators.scoring.answers import parse_answer, parse_choice
from temporay.operators.videos.reading import TIMELINE_FPS, VideoReading, Window
from temporay.operators.videos.sampled_video import SampledVideo

TASK = "video_qa"
MAX_DROPPED_SHOWN = 3  # lines named in an error
OPTION_LINE = re.compile(rf"\s*(?:\(([{LETTERS}])\)|([{LETTERS}])[.):])\s+(\S.*?)\s*")


class VideoQaSettings(VideoReading):
    """Where the questions are and how densely their videos are read."""

    file: Path  # JSON lines


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedLine:
    """A line that gives no sample, and why."""

    line: int  # from 1
    reason: str  # snake_case, for counts
    detail: str


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
        """Return the frames of one video that its sample names: frames_THWC uint8 RGB.

        Raises:
            SampleRejected: the video can no longer be decoded, or is another one.
        """
        sample = self.samples[i]
        assert sample.shown is not None
        return video_of(sample.facts, self.settings).frames(sample.shown)


def video_of(facts: Mapping[str, Any], reading: VideoReading) -> SampledVideo:
    """Return the video of a sample's facts."""
    return SampledVideo(path=Path(facts["video"]), reading=reading, window=Window.read(facts))


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
    window, path = Window.read(tree), (settings.videos or settings.file.parent) / _video_of(tree)
    facts = {"video": str(path.absolute()), "line": number, **window.facts()}
    taken = video_of(facts, settings).taken()
    return Sample(
        address=Address(task=TASK, split="train", index=number, seed=0, level=0),
        question=question,
        rationale="",
        order_dependent=False,  # not known, and nothing depends on it
        needs_time=False,
        width=taken.width,
        height=taken.height,
        fps=TIMELINE_FPS,
        num_frames=taken.shown.num_frames,
        events=(),
        sources=(),
        facts=facts,
        shown=taken.shown,
    )


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
