"""A user's own questions about real videos and pictures: lines of a file -> samples and frames like a dataset's.

    lines (``own_data``) -> what is asked, and files (``own_media``) -> header of each -> Sample -> frames

Paths are relative to the file unless a folder is given. Without a chain of thought the target is the answer alone
(SynRL, arXiv 2603.17693, mixes 1,000 such samples into 6,700 that have one).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from temporay.operators.dataset.own_media import (
    duration_s,
    files_in,
    frames_of,
    media_in,
    to_facts,
    with_window,
)
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.media import Clips
from temporay.operators.own_data.asked import Asked
from temporay.operators.own_data.forms._base import Form
from temporay.operators.own_data.lines import CLIP, form_of, load_forms, read_entries
from temporay.operators.own_data.media import MediumFile, files_beside, with_media
from temporay.operators.primitives._base import primitive_of
from temporay.operators.records import Address, Question, Sample
from temporay.operators.scoring.answers import read_answer
from temporay.operators.seeding import digest
from temporay.operators.videos.reading import VideoReading, Window

TASK = "video_qa"
MAX_DROPPED_SHOWN = 3  # lines named in an error
SPAN_SLACK_S = 1.0  # annotations are rounded, and durations of files differ from those of players
MAX_INDEX = 10**15  # the index of a line is a hash of what it asks: it stays when lines are added or a folder is moved


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

    def frames_shown(self, i: int) -> Clips:
        """Return the frames of the videos and pictures that a sample names: frames_THWC uint8 RGB each.

        Raises:
            SampleRejected: a file can no longer be decoded, or is another one.
        """
        sample = self.samples[i]
        return frames_of(files_in(sample.facts), sample.media, self.settings)


def named(dropped: Sequence[DroppedLine]) -> str:
    """Name the first dropped lines, and count the others by reason."""
    shown = [f"line {one.line}: {one.reason}, {one.detail}" for one in dropped[:MAX_DROPPED_SHOWN]]
    others = Counter(one.reason for one in dropped[MAX_DROPPED_SHOWN:])
    return "; ".join([*shown, *(f"{n} more {reason}" for reason, n in others.items())]) or "it is empty"


def read_line(line: Mapping[str, Any], number: int, settings: VideoQaSettings, forms: Mapping[str, Form]) -> Sample:
    """Turn one line into a sample.

    Raises:
        SampleRejected: it is of no known form, a field is missing or wrong, or a file of it cannot be opened.
    """
    line = dict(line)
    clip = line.pop(CLIP, None)
    form = form_of(line, forms)
    asked = form.ask(line)
    given = files_beside(clip, line) if clip else form.files(line)
    asked, ordered = with_media(asked, given)
    named_files = with_window(ordered, Window.read(line))
    files = [replace(one, path=_full_path(one.path, settings.videos or settings.file.parent)) for one in named_files]
    media, question = media_in(files, settings), asked.question
    _check_span(question, duration_s(files, settings))
    index = _content(asked, named_files) % MAX_INDEX
    sample = Sample(
        address=Address(task=_own_task(asked.task), split="own", index=index, seed=0, level=0),
        question=question,
        rationale=asked.rationale,
        order_dependent=asked.order_dependent,
        needs_time=False,
        media=media,
        events=(),
        sources=(),
        facts={"media": to_facts(files), "line": number},
        earlier=asked.earlier,
    )
    if read_answer(sample.target, question).index != question.answer_index:
        raise SampleRejected("bad_answer", f"{question.answer!r:.80} cannot be told from other answers when it is read")
    return sample


def _content(asked: Asked, files: Sequence[MediumFile]) -> int:
    """Hash what a line shows, says, asks and answers, with the paths as the line has them."""
    question = asked.question
    return digest(
        *(file.path for file in files),
        *(part for turn in asked.earlier for part in (turn.role, turn.text)),
        question.text,
        list(question.options),
        question.answer_index,
        *(value for file in files if file.kind == "video" for value in file.window.facts().values()),
    )


def _full_path(given: str, folder: Path) -> str:
    """Return where a file is. A path that Windows wrote counts where it leads to a file."""
    path = folder / Path(given).expanduser()
    windows = folder / given.replace("\\", "/")
    return str((windows if "\\" in given and not path.exists() and windows.is_file() else path).absolute())


def _check_span(question: Question, duration_s: float) -> None:
    """Refuse a span of time that the video does not have."""
    if question.kind != "interval":
        return
    start_s, end_s = question.values[question.answer_index]
    if not 0 <= float(start_s) < float(end_s) <= duration_s + SPAN_SLACK_S:
        raise SampleRejected("bad_answer", f"the span {start_s} to {end_s} s is not in a video of {duration_s:g} s")


def _own_task(category: str) -> str:
    """Return a task's name that no primitive has: own data has no event log to check claims by."""
    if not category:
        return TASK
    return category if primitive_of(category) is None else f"own_{category}"
