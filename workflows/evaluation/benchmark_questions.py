"""Questions of a public benchmark: its folder → questions by video → prompts in its words, rows, and its own tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from temporay.models.chat import text_prompt
from temporay.operators.benchmarks._base import PROTOCOLS, Benchmark, BenchmarkItem, ScoringProtocol
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.markup import without_markers
from temporay.operators.records import Address, Frames, Prompt, Question, Rollout
from temporay.operators.scoring.arms import OPTION_ARMS, Arm, apply_arm, asked_under
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.operators.videos.decoding import frames_of
from temporay.operators.videos.frame_folder import frames_in, probe_folder
from temporay.operators.videos.header import VideoHeader, probe
from temporay.operators.videos.reading import TIMELINE_FPS, TakenFrames, VideoReading, Window, taken_frames
from temporay.workflows.evaluation.questions import first_of_each_task

Asking = Literal["published", "own"]
BENCHMARK_SPLIT = "benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPart:
    """The part of a video that questions are about, and the frames of it that a model is shown."""

    path: Path
    fps: float | None  # of a folder of pictures; None: a video file
    taken: TakenFrames

    @classmethod
    def of(cls, folder: Path, item: BenchmarkItem, reading: VideoReading) -> Self:
        """Choose the frames.

        Raises:
            SampleRejected: there is no such video, it cannot be read, or it does not last until the part begins.
        """
        if len(item.videos) != 1:
            raise SampleRejected("several_videos", f"it is about {len(item.videos)} videos; a prompt holds one")
        path = folder / item.videos[0]
        window = Window(start_s=item.start_s or 0.0, end_s=item.end_s)
        return cls(path=path, fps=item.fps, taken=taken_frames(header_of(path, item.fps), reading, window))

    def frames(self) -> Frames:
        """Decode the frames: frames_THWC uint8 RGB.

        Raises:
            SampleRejected: they cannot be decoded.
        """
        if self.path.is_dir():
            return frames_in(self.path, self.taken)
        return frames_of(self.path, probe(self.path), self.taken)


def header_of(path: Path, fps: float | None) -> VideoHeader:
    """Return the header of a video, or of a folder of pictures at a stated rate.

    Raises:
        SampleRejected: there is none, or it cannot be read.
    """
    return probe_folder(path, fps) if path.is_dir() and fps is not None else probe(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A question that cannot be asked, and why."""

    id: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkQuestions:
    """The questions of a benchmark, those about one part of a video behind each other."""

    benchmark: Benchmark
    items: tuple[BenchmarkItem, ...]
    clips: tuple[int, ...]  # of each item, the place in ``parts``
    parts: tuple[VideoPart, ...]
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
        items: dict[tuple[Any, ...], list[BenchmarkItem]] = {}
        parts: dict[tuple[Any, ...], VideoPart] = {}
        left_out = []
        found = benchmark.read(folder).items
        for item in (found[i] for i in first_of_each_task([one.task for one in found], num_samples)):
            part = item.videos, item.start_s, item.end_s
            try:
                if part not in parts:
                    parts[part] = VideoPart.of(folder, item, reading)
            except SampleRejected as error:
                left_out.append(LeftOut(id=item.id, reason=error.reason, detail=error.detail))
            else:
                items.setdefault(part, []).append(item)
        if not items:
            raise UserError(f"no question of {benchmark.title} in {folder} can be asked: {told(left_out)}")
        return cls(
            benchmark=benchmark,
            items=tuple(item for some in items.values() for item in some),
            clips=tuple(clip for clip, some in enumerate(items.values()) for _ in some),
            parts=tuple(parts[part] for part in items),
            left_out=tuple(left_out),
            reading=reading,
            asking=asking,
            instruction=instruction,
        )

    def __len__(self) -> int:
        return len(self.items)

    def clip_of(self, i: int) -> int:
        return self.clips[i]

    def shape_shown(self, clip: int) -> tuple[int, int, int]:
        taken = self.parts[clip].taken
        return len(taken.places), taken.height, taken.width

    def frames_shown(self, clip: int) -> Frames:
        return self.parts[clip].frames()

    def prompt(self, processor: Any, i: int, arm: Arm, frames_THWC: Frames) -> Prompt:
        item, published = self._asked(i, arm), self.asking == "published"
        text = without_markers(self.benchmark.prompt(item, "official" if published else "strict"))
        return text_prompt(
            processor,
            key=item.id,
            text=text if published or not self.instruction else f"{text}\n{self.instruction}",
            system_text=self.benchmark.system_text if published else "",
            answer_start=self.benchmark.answer_start if published else "",
            frames_THWC=apply_arm(arm, frames_THWC, address_of(item)),
            fps=TIMELINE_FPS,
            shown=self.parts[self.clips[i]].taken.shown,
        )

    def row(self, i: int, arm: Arm, rollout: Rollout) -> EvaluationRow:
        item, benchmark = self._asked(i, arm), self.benchmark
        strict = benchmark.score_text(item, rollout.text, "strict")
        lenient = benchmark.read_leniently(item, rollout.text)
        return EvaluationRow(
            key=item.id,
            task=item.task,
            arm=arm,
            score=strict.values["score"],
            parsed=None if strict.answer is None else benchmark.write_answer(item, strict.answer),
            text=rollout.text,
            chance=benchmark.chance(item) or 0.0,
            lenient_score=benchmark.score(item, lenient, "strict")["score"],
            cluster=item.cluster,
        )

    def tables(self, rows: Sequence[EvaluationRow]) -> dict[ScoringProtocol, dict[str, float]]:
        """Return the benchmark's own metrics by both protocols, of the rows of one arm. What is left out is in none."""
        by_id = {row.key: row for row in rows}
        arm = rows[0].arm
        return {
            protocol: self.benchmark.table(
                [
                    self.benchmark.score_text(self._asked(i, arm), by_id[item.id].text, protocol)
                    for i, item in enumerate(self.items)
                ],
                protocol,
            )
            for protocol in PROTOCOLS
        }

    def _asked(self, i: int, arm: Arm) -> BenchmarkItem:
        item = self.items[i]
        if arm not in OPTION_ARMS or not (item.options and item.lettered and isinstance(item.gold, int)):
            return item
        question = Question(text=item.question, options=item.options, answer_index=item.gold)
        asked = asked_under(arm, question, address_of(item))
        return replace(item, options=asked.options, gold=asked.answer_index)


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
