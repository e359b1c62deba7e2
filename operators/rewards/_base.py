"""What a verifiable reward provides; its file is its registration (``temporay.operators.components``).

A ``Reward`` sees one completion, a ``GroupReward`` all completions of a prompt and what was generated beside them.
Fields are settings: ``weights`` says how much a reward counts, ``settings`` what it is like.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from temporay.operators.records import AnswerKind, Group, Question, Rollout, Sample
from temporay.operators.scoring.answers import ParseFailure, answer_span, parse_answer
from temporay.operators.settings import Settings

Need = Literal["twin", "shuffled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """What was generated for the same question on other frames, with the same weights and sampling."""

    twin: tuple[Group, Sample] | None = None  # the other one of the pair
    shuffled: Group | None = None  # the sample's own frames in a random order


class Reward(Settings, ABC):
    """One number for one completion. Stateless; fields are settings, weights are configuration."""

    @abstractmethod
    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        """A finite number, usually in [0, 1]. Defined for any text a model can write: an unreadable answer has a value.

        None says that this reward does not apply to this sample, whatever was written; the sum is then of the others.
        An exception means that the checker is broken. It makes the rollout's status ``crashed`` and its reward None,
        so that a fault of ours never teaches a model anything.
        """


class ValueReward(Reward):
    """How close the answered value is to the right one; None for questions of another kind.

    An answer names an option, whose value is known, or says a value in its own words, which ``read`` reads.
    """

    kind: ClassVar[AnswerKind]

    @abstractmethod
    def read(self, text: str, question: Question) -> Any | None:
        """Return the value that a free answer says, None when it says none. Linear time in any text."""

    @abstractmethod
    def compare(self, said: Any, true: Any) -> float:
        """Return in [0, 1] how good the value ``said`` is."""

    def score(self, rollout: Rollout, sample: Sample) -> float | None:
        question = sample.question
        if question.kind != self.kind:
            return None
        said, index = None, parse_answer(rollout.text, question.options).index
        if index is not None:
            said = question.values[index]
        elif not isinstance(span := answer_span(rollout.text), ParseFailure):
            said = self.read(span, question)
        return 0.0 if said is None else self.compare(said, question.values[question.answer_index])


class GroupReward(Settings, ABC):
    """One number for every completion of a group, which may depend on the others. An exception costs all of them."""

    needs: ClassVar[Need | None] = None  # what must have been generated beside a group; without it there is no score

    @abstractmethod
    def score_group(self, group: Group, sample: Sample, compared: Comparisons) -> Sequence[float | None]:
        """One value per rollout, in order, each as ``Reward.score`` gives it."""


def is_right(rollout: Rollout, sample: Sample) -> bool:
    """Whether the completion commits to the right option, by letter or in its words."""
    return parse_answer(rollout.text, sample.question.options).index == sample.question.answer_index
