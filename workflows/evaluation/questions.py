"""What an evaluation asks: the questions about each clip, as every arm asks them, and how an answer becomes a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from temporay.models.chat import to_prompt
from temporay.operators.dataset.opening import Samples, frames_needed
from temporay.operators.dataset.own_media import files_in, first_path
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.rows import question_text
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.media import Clips, Medium
from temporay.operators.records import Prompt, Question, Rollout, Sample
from temporay.operators.rewards.process import Process
from temporay.operators.scoring.answers import read_answer
from temporay.operators.scoring.arms import Arm, apply_arm, asked_under
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.operators.scoring.lenient import lenient_choice
from temporay.operators.scoring.log_arms import by_log, deciding_places
from temporay.operators.scoring.numbered import are_numbers, exchanged, written_with_numbers

CLAIMS = Process()


class Questions(Protocol):
    """Questions by number. Those about one clip, or the same clips together, share its number and follow each other."""

    def __len__(self) -> int: ...

    def clip_of(self, i: int) -> int:
        """Return the number of the clip that a question is about."""
        ...

    def cluster_of(self, i: int) -> str:
        """Return the name that questions share which are not independent: that of their video."""
        ...

    def media_shown(self, clip: int) -> Sequence[Medium]:
        """Return what a model is shown of the videos and pictures of a clip."""
        ...

    def frames_shown(self, clip: int) -> Clips:
        """Return the frames that a model is shown of them, frames_THWC uint8 RGB each.

        Raises:
            UserError: it cannot be decoded.
        """
        ...

    def obstacle(self, i: int, arm: Arm) -> SampleRejected | None:
        """Return why a question cannot be asked under an arm; None: it can."""
        ...

    def prompt(self, processor: Any, i: int, arm: Arm, clips: Clips) -> Prompt:
        """Return the prompt of a question under an arm that can ask it.

        Args:
            clips: what ``frames_shown`` gave for its clip, or their shapes alone.
        """
        ...

    def row(self, i: int, arm: Arm, rollout: Rollout) -> EvaluationRow:
        """Return what a completion is worth as the answer to a question under an arm."""
        ...


@dataclass(frozen=True, slots=True)
class SampleQuestions:
    """The questions of some samples, those about one clip behind each other."""

    samples: Samples
    indices: Sequence[int]
    clips: Sequence[int]  # of each question, the place in ``indices`` of the first one about its clip
    instruction: str  # how to answer

    @classmethod
    def of(cls, samples: Samples, indices: Sequence[int], instruction: str) -> Self:
        """Ask about some samples.

        Each sample of a dataset has a clip of its own. Several of a user's lines may be about one part of one video.
        """
        if isinstance(samples, Dataset):
            return cls(samples, indices, range(len(indices)), instruction)
        about: dict[tuple[Any, ...], list[int]] = {}
        for i in indices:
            sample = samples.sample(i)
            about.setdefault((*files_in(sample.facts), *sample.media), []).append(i)
        clips: list[int] = []
        for some in about.values():
            clips += [len(clips)] * len(some)
        return cls(samples, [i for some in about.values() for i in some], clips, instruction)

    def __len__(self) -> int:
        return len(self.indices)

    def clip_of(self, i: int) -> int:
        return self.clips[i]

    def cluster_of(self, i: int) -> str:
        sample = self.samples.sample(self.indices[i])
        return first_path(sample.facts) or sample.address.pair_id

    def media_shown(self, clip: int) -> Sequence[Medium]:
        return self.samples.sample(self.indices[clip]).media

    def frames_shown(self, clip: int) -> Clips:
        return frames_needed(self.samples, self.indices[clip])

    def obstacle(self, i: int, arm: Arm) -> SampleRejected | None:
        try:
            question = self._asked(i, arm).question
        except SampleRejected as error:
            return error
        return number_clash(question.options) if arm == "numbered" else None

    def prompt(self, processor: Any, i: int, arm: Arm, clips: Clips) -> Prompt:
        sample = self._asked(i, arm)
        if arm == "oracle_frames":
            shown: Clips = (clips[0][deciding_places(self.samples.sample(self.indices[i]))],)
        else:
            shown = apply_arm(arm, clips, sample.address)
        return to_prompt(processor, sample, shown, asked=self._text(sample.question, arm))

    def row(self, i: int, arm: Arm, rollout: Rollout) -> EvaluationRow:
        sample = self._asked(i, arm)
        text, read = as_read(rollout.text, sample.question, arm)
        parsed = read_answer(text, read)
        words = parsed.said if parsed.index is None else sample.question.options[parsed.index]
        return EvaluationRow(
            key=sample.key,
            task=sample.address.task,
            arm=arm,
            score=float(parsed.index == sample.question.answer_index),
            parsed=words if parsed.failure is None else None,
            text=rollout.text,
            chance=sample.question.chance,
            lenient_score=lenient_score(text, read),
            claims=CLAIMS.score(rollout, sample) if arm == "ordered" else None,
            cluster=self.cluster_of(i),
        )

    def _asked(self, i: int, arm: Arm) -> Sample:
        sample = by_log(arm, self.samples.sample(self.indices[i]))
        return replace(sample, question=asked_under(arm, sample.question, sample.address))

    def _text(self, question: Question, arm: Arm) -> str:
        def write(text: str, options: tuple[str, ...]) -> str:
            return question_text(replace(question, text=text, options=options), self.instruction)

        if arm != "numbered":
            return write(question.text, question.options)
        numbered = written_with_numbers(write, question.text, question.options)
        assert numbered is not None, "a question that lists options writes them into its text"
        return numbered


def as_read(text: str, question: Question, arm: Arm) -> tuple[str, Question]:
    """Return a completion and its question as their readers take them: with letters for the numbers of an arm."""
    if arm != "numbered":
        return text, question
    return exchanged(text), replace(question, options=tuple(map(exchanged, question.options)))


def number_clash(options: Sequence[str]) -> SampleRejected | None:
    """Return why options cannot be numbered; None: they can."""
    if not are_numbers(options):
        return None
    return SampleRejected("options_are_numbers", "an option is the number of another one")


def lenient_score(text: str, question: Question) -> float | None:
    """Return what a text is worth to a reader for models that were never trained here; None without options."""
    if not question.lists_options:
        return None
    return float(lenient_choice(text, question.options) == question.answer_index)


def first_of_each_task(tasks: Sequence[str], num_samples: int | None) -> list[int]:
    """Return the places of the first questions of every task, in their order; None: of all questions.

    Args:
        tasks: of every question.

    Raises:
        UserError: a task has fewer.
    """
    places: dict[str, list[int]] = {}
    for i, task in enumerate(tasks):
        places.setdefault(task, []).append(i)
    for task, found in places.items():
        if num_samples is not None and len(found) < num_samples:
            raise UserError(
                f"num_samples is {num_samples}, but there are {len(found)} questions of {task}; give at most that many"
            )
    return sorted(i for found in places.values() for i in found[:num_samples])
