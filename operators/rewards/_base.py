"""The interface of a verifiable reward; its file is its registration (``temporay.operators.components``).

A ``Reward`` sees one completion. A ``ValueReward`` compares typed values. A ``GroupReward`` sees all completions of a
prompt, and what was generated to compare them with. Fields of a reward are its settings.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from temporay.operators.records import AnswerKind, Group, Question, Rollout, Sample
from temporay.operators.scoring.answers import read_answer
from temporay.operators.settings import Settings

Need = Literal["twin", "shuffled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """Completions of the same question on other frames, with the same weights and sampling."""

    twin: tuple[Group, Sample] | None = None
    shuffled: Group | None = None  # the sample's own frames in a random order


class Reward(Settings, ABC):
    """One number for one completion. Stateless."""

    maximum: ClassVar[float] = 1.0  # the value of the best completion

    @abstractmethod
    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        """Return a finite number, usually in [0, 1], for any text: an unreadable answer has a value too.

        None says that this reward does not apply to this sample, whatever was written. The sum then leaves it out. An
        exception means that the checker is broken: the rollout gets the status ``crashed`` and no reward, so that a
        broken checker teaches nothing.
        """

    def inapplicable(self, sample: Sample) -> str:
        """Return why this reward does not apply to this sample, for a run to say at its start; "" where it applies."""
        return ""


class ValueReward(Reward):
    """How close the answered value is to the right one; None for questions of another kind.

    An answer names an option, whose value is known, or states a value itself, which ``read`` reads.
    """

    kind: ClassVar[AnswerKind]

    @abstractmethod
    def read(self, text: str, question: Question) -> Any | None:
        """Return the value that a text states, or None. Takes linear time for any text."""

    @abstractmethod
    def compare(self, said: Any, true: Any) -> float:
        """Return how good a value is, in [0, 1]."""

    def inapplicable(self, sample: Sample) -> str:
        kind = sample.question.kind
        return "" if kind == self.kind else f"its answers are of kind {kind}, not {self.kind}"

    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        question = sample.question
        if self.inapplicable(sample):
            return None
        answer = read_answer(rollout.text, question)
        said = self.read(answer.said, question) if answer.index is None else question.values[answer.index]
        return 0.0 if said is None else self.compare(said, question.values[question.answer_index])


class GroupReward(Settings, ABC):
    """One number for every completion of a group. It may depend on the others. An exception crashes all of them."""

    maximum: ClassVar[float] = 1.0  # the value of the best completion
    needs: ClassVar[Need | None] = None  # what must be generated for comparison

    @abstractmethod
    def score_group(self, group: Group, sample: Sample, compared: Comparisons) -> Sequence[float | None]:
        """Return one value per rollout, in order, each as ``Reward.score`` gives it."""


def is_right(rollout: Rollout, sample: Sample) -> bool:
    """Return whether the completion commits to the right answer, in the form that the question asks for."""
    return read_answer(rollout.text, sample.question).index == sample.question.answer_index
