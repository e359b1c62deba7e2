"""What every public benchmark provides; its file is its registration (``temporay.operators.components``).

    folder → read → BenchmarkItem → prompt → what a model writes → score_text → ScoredItem → table

Every benchmark is scored in two ways. ``official`` does what the published code does, faults included, so that figures
can be compared with papers. ``strict`` repairs the faults: no answer is guessed for the model, an empty or missing
answer is wrong, and a reply must state one answer. ``differs`` tells what is kept and what is repaired. Both protocols
score the same replies: the prompt is the benchmark's own in either.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import ValidationError
from temporay.operators.benchmarks._files import Row, find_file, read_rows
from temporay.operators.components import load
from temporay.operators.errors import UserError, first_fault
from temporay.operators.media import MARKERS
from temporay.operators.records import LETTERS, TimeSpan
from temporay.operators.settings import Settings

BENCHMARKS = "temporay.operators.benchmarks"
ScoringProtocol = Literal["official", "strict"]
PROTOCOLS: tuple[ScoringProtocol, ...] = get_args(ScoringProtocol)
PERCENT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkItem:
    """One question of a benchmark."""

    id: str  # unique in the benchmark
    task: str  # the benchmark's own category
    question: str
    gold: Any  # the right answer as ``read_answer`` gives it: the index of an option, a number, a span, an order
    videos: tuple[str, ...]  # relative to the benchmark's folder, in the order in which they are shown
    cluster: str  # the video: questions about the same one are not independent
    options: tuple[str, ...] = ()  # without their letters; none for an open question
    lettered: bool = True  # an option is answered by its letter; False: by its words, as in yes or no
    spans: tuple[TimeSpan, ...] = ()  # when the video shows what is asked for, s
    start_s: float | None = None  # the part of the video that the question is about; None: all of it
    end_s: float | None = None
    fps: float | None = None  # of a folder of frames; None: a video file knows its own
    group: str = ""  # questions that are also scored together: a pair, a 2 x 2 instance, four linked questions
    role: str = ""  # which part of its group this question is
    extra: Mapping[str, Any] = field(default_factory=dict)  # what only this benchmark knows


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkData:
    """All questions in a folder, and which of their videos are not there."""

    items: tuple[BenchmarkItem, ...]
    missing_videos: tuple[str, ...]  # each once, sorted; relative to the folder

    @property
    def sizes(self) -> dict[str, int]:
        """Number of questions by task, to be compared with ``Benchmark.sizes``."""
        tasks = [item.task for item in self.items]
        return {task: tasks.count(task) for task in dict.fromkeys(tasks)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredItem:
    """What a model wrote for one question, and how good it is."""

    item: BenchmarkItem
    text: str | None  # None: there is no prediction
    answer: Any | None  # None: nothing could be read
    values: Mapping[str, float]  # ``score`` in [0, 1], and more where the benchmark has more


class Benchmark(Settings, ABC):
    """A public benchmark. Fields are its settings, such as a split. Stateless."""

    title: ClassVar[str]  # as papers write it
    source: ClassVar[str]  # where its files are published
    license: ClassVar[str]  # of the annotations
    how_to_get: ClassVar[str]  # a sentence for those who have no files yet
    metric: ClassVar[str]  # in words
    differs: ClassVar[str] = ""  # what ``official`` keeps and ``strict`` repairs; "": the two are the same
    num_frames: ClassVar[int | None] = None  # that the official run shows; None: as many as the model takes
    max_tokens: ClassVar[int | None] = None  # that the official run lets a model write; None: not stated
    system_text: ClassVar[str] = ""  # that the official run puts before the video
    video_titles: ClassVar[tuple[str, str]] = ("", "")  # before and after each of several videos, with {n} from 1
    answer_start: ClassVar[str] = ""  # with which the official run makes every answer begin
    published_sizes: ClassVar[Mapping[str, int]] = {}  # questions by task, where no setting chooses among them

    @property
    def sizes(self) -> Mapping[str, int]:
        """Published number of questions by task; empty where the authors give none, for these settings."""
        return self.published_sizes

    @property
    def size(self) -> int | None:
        """Published number of questions; None where the authors give none."""
        return sum(self.sizes.values()) or None

    @abstractmethod
    def read_items(self, folder: Path) -> Iterable[BenchmarkItem]:
        """Read all questions.

        Raises:
            UserError: an annotation file is missing or damaged.
        """

    @abstractmethod
    def prompt(self, item: BenchmarkItem) -> str:
        """Return the text that follows the video, in the benchmark's own words, because scores depend on them."""

    def behind_videos(self, item: BenchmarkItem, text: str) -> str:
        """Return a prompt behind a marker for every video, where there are several and they have titles."""
        if len(item.videos) == 1 or not any(self.video_titles):
            return text
        before, after = self.video_titles
        titled = (f"{before}{MARKERS['video']}{after}".format(n=n + 1) for n in range(len(item.videos)))
        return f"{''.join(titled)}{text}"

    @abstractmethod
    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> Any | None:
        """Return what a text answers, or None where nothing can be read.

        ``official`` may look at the right answer or guess, where the published code does.
        """

    @abstractmethod
    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        """Return an answer in the form that the prompt asks for; ``read_answer`` reads it back."""

    @abstractmethod
    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        """Return ``score``, in [0, 1], and further values; an answer of None is worth 0."""

    @abstractmethod
    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        """Return the benchmark's own metrics by name, the headline first, in percent."""

    def read_leniently(self, item: BenchmarkItem, text: str) -> Any | None:
        """Return what a text of a model that was never trained here may answer, by ``strict`` unless overridden."""
        return self.read_answer(item, text, "strict")

    def choose(self, item: BenchmarkItem, index: int) -> Any:
        """Return the answer that names one option and nothing else."""
        return index

    def chance(self, item: BenchmarkItem) -> float | None:
        """Return the expected ``score`` of a guess among the options; None where there is nothing to guess among."""
        return 1.0 / len(item.options) if item.options else None

    def read(self, folder: Path) -> BenchmarkData:
        """Read all questions, and see which of their videos are missing.

        Raises:
            UserError: the folder or an annotation file is missing or damaged, or two questions have the same id.
        """
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder; {self.title} is read from one: {self.how_to_get}")
        items = tuple(self.read_items(folder))
        if not items:
            raise UserError(f"{folder} holds no question of {self.title}; download it again: {self.how_to_get}")
        if max(len(item.options) for item in items) > len(LETTERS):
            raise UserError(
                f"{folder} has a question with more than {len(LETTERS)} options; no benchmark here has them"
            )
        ids = [item.id for item in items]
        if len(set(ids)) < len(ids):
            double = next(name for n, name in enumerate(ids) if name in ids[:n])
            raise UserError(f"{folder} has question {double!r} of {self.title} twice; keep one release in the folder")
        videos = sorted({video for item in items for video in item.videos})
        return BenchmarkData(items=items, missing_videos=tuple(v for v in videos if not (folder / v).exists()))

    def rows(self, folder: Path, *names: str) -> list[Row]:
        """Read the rows of the first of these files, or patterns of names, that is in a folder.

        Raises:
            UserError: there is none of them, or it is damaged.
        """
        return read_rows(find_file(folder, names, self.how_to_get))

    def score_text(self, item: BenchmarkItem, text: str | None, protocol: ScoringProtocol) -> ScoredItem:
        """Score what a model wrote; None: it wrote nothing, because there is no prediction."""
        answer = None if text is None else self.read_answer(item, text, protocol)
        return ScoredItem(item=item, text=text, answer=answer, values=self.score(item, answer, protocol))


def benchmark_called(name: str, settings: Mapping[str, Any] | None = None) -> Benchmark:
    """Return the benchmark of a file here, or of ``module:Class``.

    Raises:
        UserError: there is none, with the nearest name; or a setting is unknown or not valid.
    """
    loaded = load(BENCHMARKS, name)
    if not (isinstance(loaded, type) and issubclass(loaded, Benchmark)):
        raise UserError(f"benchmark {name!r} is no class that derives from {BENCHMARKS}._base.Benchmark")
    try:
        return loaded(**(settings or {}))
    except ValidationError as error:
        known = ", ".join(loaded.model_fields) or "none"
        raise UserError(f"{first_fault(error, name)}; its settings: {known}") from error


def percent(values: Iterable[float]) -> float:
    """Return the mean in percent; 0 of nothing, as a benchmark without predictions has earned nothing."""
    known = list(values)
    return PERCENT * sum(known) / len(known) if known else 0.0


def by_task(scored: Sequence[ScoredItem]) -> dict[str, list[ScoredItem]]:
    """Return the scored questions of every task, tasks in the order in which they come."""
    tasks: dict[str, list[ScoredItem]] = {}
    for one in scored:
        tasks.setdefault(one.item.task, []).append(one)
    return tasks
