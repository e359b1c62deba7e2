"""Questions of a public benchmark: its folder → questions by video → prompts in its words, rows, and its own tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from temporay.models.chat import text_prompt
from temporay.operators.benchmarks._base import PROTOCOLS, Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol
from temporay.operators.benchmarks._intervals import Headline, headline
from temporay.operators.errors import SampleRejected, UserError, refusal
from temporay.operators.markup import without_markers
from temporay.operators.media import Clips, Medium
from temporay.operators.records import Address, Prompt, Question, Rollout
from temporay.operators.scoring.arms import LOG_ARMS, OPTION_ARMS, Arm, apply_arm, asked_under
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.operators.scoring.numbered import exchanged, written_with_numbers
from temporay.operators.videos.reading import VideoReading, Window
from temporay.operators.videos.sampled_video import SampledVideo
from temporay.workflows.evaluation.questions import first_of_each_task, number_clash

Asking = Literal["published", "own"]
BENCHMARK_SPLIT = "benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A question that cannot be asked, and why."""

    id: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkQuestions:
    """The questions of a benchmark, those about the same part of a video or the same videos behind each other."""

    benchmark: Benchmark
    items: tuple[BenchmarkItem, ...]
    doc_ids: tuple[int, ...]  # of each item, its place among all questions of its task, as published
    clips: tuple[int, ...]  # of each item, the place in ``videos``
    videos: tuple[tuple[SampledVideo, ...], ...]  # that are shown together
    media: tuple[tuple[Medium, ...], ...]  # what is shown of each of them
    left_out: tuple[LeftOut, ...]
    reading: VideoReading
    asking: Asking
    instruction: str  # how to answer, after the benchmark's own words; only where ``asking`` is own

    @classmethod
    def open(
        cls,
        benchmark: Benchmark,
        folder: Path,
        reading: VideoReading,
        *,
        asking: Asking,
        instruction: str,
        num_samples: int | None,
    ) -> Self:
        """Read the annotations and the header of every video.

        Args:
            num_samples: of each task, the first ones; None: all.

        Raises:
            UserError: an annotation file is missing or damaged, or no question can be asked.
        """
        found, left_out = benchmark.read(folder).items, []
        doc_ids = places_in_task(found)
        items: dict[tuple[SampledVideo, ...], list[int]] = {}
        media: dict[tuple[SampledVideo, ...], tuple[Medium, ...]] = {}
        for i in first_of_each_task([one.task for one in found], num_samples):
            try:
                videos = videos_of(folder, found[i], reading)
                if videos not in media:
                    media[videos] = tuple(video.taken().medium for video in videos)
            except SampleRejected as error:
                left_out.append(LeftOut(id=found[i].id, reason=error.reason, detail=error.detail))
            else:
                items.setdefault(videos, []).append(i)
        if not items:
            raise UserError(f"no question of {benchmark.title} in {folder} can be asked: {told(left_out)}")
        return cls(
            benchmark=benchmark,
            items=tuple(found[i] for some in items.values() for i in some),
            doc_ids=tuple(doc_ids[i] for some in items.values() for i in some),
            clips=tuple(clip for clip, some in enumerate(items.values()) for _ in some),
            videos=tuple(items),
            media=tuple(media[videos] for videos in items),
            left_out=tuple(left_out),
            reading=reading,
            asking=asking,
            instruction=instruction,
        )

    def some(self, places: Sequence[int]) -> Self:
        """Return some of the questions, in the same order.

        Args:
            places: ascending.
        """
        return replace(
            self,
            items=tuple(self.items[i] for i in places),
            doc_ids=tuple(self.doc_ids[i] for i in places),
            clips=tuple(self.clips[i] for i in places),
        )

    def __len__(self) -> int:
        return len(self.items)

    def clip_of(self, i: int) -> int:
        return self.clips[i]

    def cluster_of(self, i: int) -> str:
        return self.items[i].cluster

    def media_shown(self, clip: int) -> Sequence[Medium]:
        return self.media[clip]

    def frames_shown(self, clip: int) -> Clips:
        """Return the frames of the videos that are shown together.

        Raises:
            UserError: a video begins well and cannot be decoded further on.
        """
        pairs = zip(self.videos[clip], self.media[clip], strict=True)
        try:
            return tuple(video.frames_of(medium) for video, medium in pairs)
        except SampleRejected as error:
            raise refusal(error, "get it again, or move it away, so that its questions are left out") from error

    def obstacle(self, i: int, arm: Arm) -> SampleRejected | None:
        item = self.items[i]
        if arm in LOG_ARMS:
            return SampleRejected("no_event_log", f"{self.benchmark.title} brings neither captions nor a log of events")
        if arm not in OPTION_ARMS:
            return None
        if not (item.options and item.lettered and isinstance(item.gold, int)):
            return SampleRejected("no_lettered_options", "its answer is not the letter of an option")
        if written_with_numbers(self._writer(item), item.question, item.options) is None:
            return SampleRejected("options_in_question", "its options stand in the question as it is published")
        return number_clash(item.options) if arm == "numbered" else None

    def prompt(self, processor: Any, i: int, arm: Arm, clips: Clips) -> Prompt:
        item, published = self._asked(i, arm), self.asking == "published"
        write = self._writer(item)
        text = write(item.question, item.options)
        if arm == "numbered":
            text = written_with_numbers(write, item.question, item.options) or text
        frames = apply_arm(arm, clips, address_of(item))
        media = zip(self.media_shown(self.clips[i]), frames, strict=True) if frames else ()
        return text_prompt(
            processor,
            key=item.id,
            text=self.benchmark.behind_videos(item, without_markers(text)),
            system_text=self.benchmark.system_text if published else "",
            answer_start=self.benchmark.answer_start if published else "",
            media=[medium.with_frames(frames_THWC) for medium, frames_THWC in media],
        )

    def row(self, i: int, arm: Arm, rollout: Rollout) -> EvaluationRow:
        (text, item), benchmark = self._read(i, arm, rollout.text), self.benchmark
        strict = benchmark.score_text(item, text, "strict")
        lenient = benchmark.read_leniently(item, text)
        said = None if strict.answer is None else benchmark.write_answer(item, strict.answer)
        return EvaluationRow(
            key=item.id,
            task=item.task,
            arm=arm,
            score=strict.values["score"],
            parsed=said and (exchanged(said) if arm == "numbered" else said),
            text=rollout.text,
            chance=benchmark.chance(item) or 0.0,
            lenient_score=benchmark.score(item, lenient, "strict")["score"],
            cluster=self.cluster_of(i),
        )

    def scored(self, rows: Sequence[EvaluationRow], protocol: ScoringProtocol) -> list[ScoredItem]:
        """Score the rows of one arm. What is left out is not among them.

        A group of questions is left out whole where the arm could not ask all of it.
        """
        by_id, arm = {row.key: row for row in rows}, rows[0].arm
        broken = {item.group for item in self.items if item.group and item.id not in by_id}
        asked = [i for i, item in enumerate(self.items) if item.id in by_id and item.group not in broken]
        read = [self._read(i, arm, by_id[self.items[i].id].text) for i in asked]
        return [self.benchmark.score_text(item, text, protocol) for text, item in read]

    def tables(self, rows: Sequence[EvaluationRow]) -> dict[ScoringProtocol, dict[str, float]]:
        """Return the benchmark's own metrics by both protocols, of the rows of one arm."""
        return {protocol: self.benchmark.table(self.scored(rows, protocol), protocol) for protocol in PROTOCOLS}

    def headlines(self, rows: Sequence[EvaluationRow]) -> dict[ScoringProtocol, Headline]:
        """Return the first metric by both protocols, with intervals, of the rows of one arm."""
        return {protocol: headline(self.benchmark, self.scored(rows, protocol), protocol) for protocol in PROTOCOLS}

    def _writer(self, item: BenchmarkItem) -> Callable[[str, tuple[str, ...]], str]:
        """Return what writes a question and options as the benchmark asks this one, with the user's instruction."""

        def write(question: str, options: tuple[str, ...]) -> str:
            text = self.benchmark.prompt(replace(item, question=question, options=options))
            return f"{text}\n{self.instruction}" if self.asking == "own" and self.instruction else text

        return write

    def _read(self, i: int, arm: Arm, text: str) -> tuple[str, BenchmarkItem]:
        """Return a reply and its question as their readers take them: with letters for the numbers of an arm."""
        item = self._asked(i, arm)
        if arm != "numbered":
            return text, item
        return exchanged(text), replace(item, options=tuple(map(exchanged, item.options)))

    def _asked(self, i: int, arm: Arm) -> BenchmarkItem:
        item = self.items[i]
        if arm not in OPTION_ARMS:
            return item
        assert isinstance(item.gold, int), "an arm that changes options asks only where an option is right"
        question = Question(text=item.question, options=item.options, answer_index=item.gold)
        asked = asked_under(arm, question, address_of(item))
        return replace(item, options=asked.options, gold=asked.answer_index)


def places_in_task(items: Sequence[BenchmarkItem]) -> list[int]:
    """Return for every question how many of its task stand before it."""
    counts: dict[str, int] = {}
    places = []
    for item in items:
        places.append(counts.get(item.task, 0))
        counts[item.task] = places[-1] + 1
    return places


def videos_of(folder: Path, item: BenchmarkItem, reading: VideoReading) -> tuple[SampledVideo, ...]:
    """Return the part of a video, or the whole videos, that a question is about.

    Raises:
        SampleRejected: ``no_video``.
    """
    if not item.videos:
        raise SampleRejected("no_video", "it names no video")
    window = Window(start_s=item.start_s or 0.0, end_s=item.end_s)
    return tuple(
        SampledVideo(path=folder / name, reading=reading, window=window, folder_fps=item.fps) for name in item.videos
    )


def address_of(item: BenchmarkItem) -> Address:
    """Return what the arms of a question draw from."""
    return Address(task=f"{item.task}/{item.id}", split=BENCHMARK_SPLIT, index=0, seed=0, level=0)


def told(left_out: Sequence[LeftOut]) -> str:
    """Say how many questions are left out for which reason, and name the first of each."""
    by_reason: Mapping[str, list[LeftOut]] = {
        reason: [one for one in left_out if one.reason == reason] for reason in {one.reason for one in left_out}
    }
    return "; ".join(
        f"{len(some)} {reason}, such as {some[0].id}: {some[0].detail}" for reason, some in sorted(by_reason.items())
    )
