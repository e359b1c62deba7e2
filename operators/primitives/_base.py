"""The interface of every temporal primitive.

A plan chooses in this order: the options, then the truth uniformly among them, then a clip in which that truth holds.
Nothing that is seen without watching may depend on the truth: no text, place of an option, clip length or single frame.
"""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.components import available, load
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._claims import Claim, Phrases, read_claims, tell
from temporay.operators.primitives._stated import Stated, Value, words_of
from temporay.operators.records import Address, AnswerKind, AnswerValue, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

PRIMITIVES = "temporay.operators.primitives"
Style = Literal["concise", "detailed", "answer_only"]  # of a chain of thought; the last has none
TwinKind = Literal["reversed", "reordered", "restaged"]
Facts = Mapping[str, Any]
Inherent = Mapping[str, float | Sequence[float]]  # part of a clip -> how often it may tell, for all levels or each
NOT_AN_OPTION = -1  # what ``recover`` returns where the frames surely show what no option says
CONCLUSIONS = ("So the answer is {answer}.", "That makes it {answer}.", "The answer is therefore {answer}.")


@dataclass(frozen=True)
class Primitive(ABC):
    """One kind of temporal question. Stateless: a sample depends on its address, the canvas and the scenes alone."""

    task: ClassVar[str]  # equals the file name
    family: ClassVar[Literal["pseudo_video", "shapes"]]
    order_dependent: ClassVar[bool]  # another order of the same frames changes the answer
    needs_time: ClassVar[bool]  # a single frame leaves the answer at chance

    free_form: ClassVar[bool] = False  # its answers can be written without having seen the options
    answer_kind: ClassVar[AnswerKind] = "choice"  # whether answers can be close to the right one, and how

    may_be_light: ClassVar[bool] = True  # a light world instead of a dark one leaves the question's words true

    # How the clip of a twin differs: the same frames backwards, or the same frames in another order. Where no order of
    # the same frames has another answer, it is staged anew: the same question and length, other events.
    twin: ClassVar[TwinKind]

    # How often a part of the clip may give the answer, by the name of the part (``audit.inherent``), for all levels or
    # level by level. The audit holds what is not declared to chance.
    inherent: ClassVar[Inherent] = {}

    wordings: ClassVar[Sequence[str]] = ()  # eight or more texts that ask the same; their fields are facts
    phrases: ClassVar[Phrases] = {}  # detailed reasoning: three or more per kind of event, with times
    concise_phrases: ClassVar[Phrases] = {}  # concise reasoning: the first of each kind is used

    def num_distinct_scenes(self, canvas: Canvas) -> int:
        """Return how many different scenes one sample shows or names; 0 for drawn shapes."""
        return canvas.num_scenes[1] if self.family == "pseudo_video" else 0

    @abstractmethod
    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        """Plan one sample. Every generator is ``seeding.rng_at(*address.parts(), purpose)``.

        Raises:
            SampleRejected: this address gives no good sample (captions too alike, no room to move, …).
        """

    @abstractmethod
    def ask(self, plan: ScenePlan) -> Question:
        """Ask about the plan. The answer is computed from ``plan.events``, never from pixels or from choices made.

        Text and options come from ``plan.facts``, which a sample and its twin share.
        """

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether the answer can still be read off when only these frames of the clip are shown.

        It is computed from the plan, never from pixels. Without an override, every event that a chain of thought tells
        must last through one of the frames.

        Args:
            frames: in ascending order, as ``FrameSampling.choices`` gives them.
        """
        question = self.ask(plan)
        shown_ms = [1000.0 * frame / plan.fps for frame in frames]
        return all(
            any(event.start_ms - 1e-6 <= shown < event.end_ms for shown in shown_ms)
            for event in self.told(plan, question)
        )

    def recover(self, witness: Witness) -> int | None:
        """Return the option that the frames alone show to be right; None where they allow no sure answer."""
        return None

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        """Return the texts that may ask about these facts."""
        return self.wordings

    def text(self, facts: Facts) -> str:
        """Return the question without its options."""
        return self.wordings_of(facts)[facts["wording"]].format(**facts)

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        """Return the options, which a sample and its twin share."""
        return tuple(facts["options"])

    def question(self, plan: ScenePlan, answer: str | None) -> Question:
        """Return the question with this option as its answer.

        Raises:
            ValueError: the event log has no answer (None), or one that is not an option.
        """
        options = self.options_of(plan.facts)
        if answer not in options:
            raise ValueError(f"{plan.address.key}: the event log gives {answer!r}, which is no option of {options}")
        return Question(text=self.text(plan.facts), options=options, answer_index=options.index(answer))

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        """Return what each option says as a typed value, in their order; empty where this question is a choice.

        As written here: a number is a count without a unit, an order lists its items between commas.
        """
        if self.answer_kind == "number":
            return tuple((float(option), "") for option in self.options_of(facts))
        if self.answer_kind == "order":
            return tuple(tuple(option.split(", ")) for option in self.options_of(facts))
        return ()

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        """Write a chain of thought from the event log alone. It ends in the text of the right option."""
        phrases = self.concise_phrases if style == "concise" else self.phrases
        rng = rng_at(*plan.address.parts(), "phrasing")
        variant = int(rng.integers(12)) if style == "detailed" else 0
        lines = [
            tell(event, phrases[event.kind][variant % len(phrases[event.kind])])
            for event in self.told(plan, question)
            if event.kind in phrases
        ]
        conclusion = CONCLUSIONS[variant % len(CONCLUSIONS)]
        answer = question.options[question.answer_index].removesuffix(".")
        return " ".join(filter(None, [*lines, self.summary(plan, question), conclusion.format(answer=answer)]))

    def summary(self, plan: ScenePlan, question: Question) -> str:
        """Return what leads from the events that were told to the answer; nothing where they say it by themselves."""
        return ""

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Return the events that a chain of thought tells, in the order in which it tells them."""
        return sorted(plan.events, key=lambda event: event.start_ms)

    def deciding(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Return the events that have to be seen for the answer: those that a chain of thought tells, in any order."""
        return self.told(plan, question)

    def claims(self, text: str, names: Sequence[str] = ()) -> list[Claim]:
        """Read back which events a chain of thought in this primitive's phrases claims.

        Args:
            names: subjects of the event log, which are then read whole.
        """
        return read_claims(text, (self.phrases, self.concise_phrases), names)

    def names(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Return the subjects of a log that chains of thought name, each once."""
        named = {
            kind
            for phrases in (self.phrases, self.concise_phrases)
            for kind, variants in phrases.items()
            if any("{subject}" in phrase for phrase in variants)
        }
        return tuple(dict.fromkeys(event.subject for event in events if event.kind in named))

    def stated(self, kind: str, subject: str | None, detail: str | None) -> Stated:
        """Return the fields of a claim or of an event, without its times. Takes any text for a detail."""
        about = frozenset() if subject is None else frozenset({subject})
        return Stated(about=about, what=self.what(kind, detail) if detail else {})

    def what(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return what a detail says, by field; each word by itself unless an override knows better."""
        return words_of(detail)


@functools.cache
def primitive_of(task: str) -> Primitive | None:
    """Return the primitive that a sample is of; None for a user's own videos, whose questions no primitive asks."""
    return primitive_called(task) if task in available(PRIMITIVES) else None


def primitive_called(task: str) -> Primitive:
    """Load one primitive.

    Raises:
        UserError: there is none of this name, or its ``task`` is another one, so that its samples would be lost.
    """
    loaded = load(PRIMITIVES, task)
    if not (isinstance(loaded, type) and issubclass(loaded, Primitive)):
        raise UserError(f"primitive {task!r} is no class that derives from {PRIMITIVES}._base.Primitive; derive it")
    named = getattr(loaded, "task", None)
    if named != task:
        raise UserError(f"{inspect.getfile(loaded)} has task {named!r}; give it the file's own name, {task!r}")
    return loaded()


def choose_truth(rng: np.random.Generator, num_options: int, address: Address) -> int:
    """Choose which option is made true: uniformly, and for a twin uniformly among the other ones.

    Both take as much from the generator, so that all later choices are the same for a sample and its twin.
    """
    truth = int(rng.integers(num_options))
    step = 1 + int(rng.integers(num_options - 1))
    return (truth + step) % num_options if address.twin else truth


def choose_wording(rng: np.random.Generator, wordings: Sequence[str]) -> int:
    """Choose the index of a wording."""
    return int(rng.integers(len(wordings)))


def index_in(options: Sequence[str], answer: str | None) -> int | None:
    """Return the index of the answer among the options; None where it is not one of them."""
    return options.index(answer) if answer in options else None
