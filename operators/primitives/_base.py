"""The interface of every temporal primitive.

    options and truth -> plan -> logged(events) -> answer -> option
               decoded frames -> seen(witness)  -> answer -> option

A plan chooses in this order: the options, then the truth uniformly among them, then a clip in which that truth holds.
Nothing that is seen without watching may depend on the truth: no text, place of an option, clip length or single frame.

``logged`` and ``seen`` measure the same thing, and one rule, ``answer``, turns it into an option. So the question and
its check on the pixels cannot disagree about the rule.
"""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.components import available, load
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._claims import Claim, read_claims, tell
from temporay.operators.primitives._claims import Phrases as Phrases
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
Measured = TypeVar("Measured")  # what the log and the pixels say: a speed, an order, a number …
Option = TypeVar("Option")


class Doubt(Exception):
    """Frames are not clear enough for a sure answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What all that is chosen for one sample is chosen with."""

    rng: np.random.Generator  # all choices that a sample and its twin share, in the order of the code
    canvas: Canvas
    address: Address
    scenes: tuple[Scene, ...]  # captioned photographs: to be shown, or to take cut-outs from

    @property
    def level(self) -> int:
        return self.address.level

    def rng_for(self, *purpose: object) -> np.random.Generator:
        """Return a generator of its own, for what may draw more for one truth than for another."""
        return rng_at(*self.address.parts(), *purpose)

    def choose_truth(self, options: Sequence[Option]) -> Option:
        """Choose the option that is made true: uniformly, and for a twin uniformly among the other ones.

        Both take as much from the generator, so that all later choices are the same for a sample and its twin.
        """
        truth = int(self.rng.integers(len(options)))
        step = 1 + int(self.rng.integers(len(options) - 1))
        return options[(truth + step) % len(options) if self.address.twin else truth]


@dataclass(frozen=True)
class Primitive(ABC, Generic[Measured]):
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

    numbered: ClassVar[frozenset[str]] = frozenset()  # kinds of events whose first word says which of them is meant
    unlisted: ClassVar[int | None] = None  # what ``recover`` returns if a sure answer is no option

    wordings: ClassVar[Sequence[str]] = ()  # eight or more texts that ask the same; their fields are facts
    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {}  # if ``facts["mode"]`` says which question is asked
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
    def logged(self, events: Sequence[Event], facts: Facts) -> Measured:
        """Measure by the event log."""

    @abstractmethod
    def seen(self, witness: Witness, facts: Facts) -> Measured | None:
        """Measure the same by the frames alone; None if they are not clear.

        Raises:
            Doubt: they are not clear either.
        """

    def answer(self, measured: Measured, facts: Facts) -> str | None:
        """Return the answer to what was measured, None if there is none; without a rule, it is what was measured."""
        return str(measured)

    def ask(self, plan: ScenePlan) -> Question:
        """Ask about the plan. The answer is computed from ``plan.events``, never from pixels or from choices made.

        Text and options come from ``plan.facts``, which a sample and its twin share.

        Raises:
            ValueError: the event log has no answer, or one that is not an option.
        """
        options, answer = self.options_of(plan.facts), self.answer(self.logged(plan.events, plan.facts), plan.facts)
        if answer not in options:
            raise ValueError(f"{plan.address.key}: the event log gives {answer!r}, which is no option of {options}")
        return Question(text=self.text(plan.facts), options=options, answer_index=options.index(answer))

    def recover(self, witness: Witness) -> int | None:
        """Return the option that the frames alone show to be right; None where they allow no sure answer."""
        try:
            measured = self.seen(witness, witness.facts)
        except Doubt:
            return None
        if measured is None:
            return None
        answer = self.answer(measured, witness.facts)
        return witness.options.index(answer) if answer in witness.options else self.unlisted

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether the answer can still be read off when only these frames of the clip are shown.

        It is computed from the plan, never from pixels. Without an override, every event that a chain of thought tells
        must last through one of the frames.

        Args:
            frames: in ascending order, as ``FrameSampling.choices`` gives them.
        """
        shown_ms = plan.shown_ms(frames)
        return all(((e.start_ms - 1e-6 <= shown_ms) & (shown_ms < e.end_ms)).any() for e in self.told(plan))

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        """Return the texts that may ask about these facts."""
        return self.wordings_by_mode[facts["mode"]] if self.wordings_by_mode else self.wordings

    def worded(self, facts: Facts, choices: Choices) -> dict[str, Any]:
        """Return the facts with a wording, which is chosen if they have none."""
        chosen = facts["wording"] if "wording" in facts else int(choices.rng.integers(len(self.wordings_of(facts))))
        return {**facts, "wording": chosen}

    def text(self, facts: Facts) -> str:
        """Return the question without its options."""
        return self.wordings_of(facts)[facts["wording"]].format(**facts)

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        """Return the options, which a sample and its twin share."""
        return tuple(facts["options"])

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        """Return what each option says as a typed value, in their order; empty where this question is a choice.

        As written here: a number is a count without a unit, an order lists its items between commas. Options that are
        nothing of the kind, because this question asks for something else, have no values.
        """
        options = self.options_of(facts)
        if self.answer_kind == "number" and all(option.isdecimal() for option in options):
            return tuple((float(option), "") for option in options)
        if self.answer_kind == "order" and all(", " in option for option in options):
            return tuple(tuple(option.split(", ")) for option in options)
        return ()

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        """Write a chain of thought from the event log alone. It ends in the text of the right option."""
        phrases = self.concise_phrases if style == "concise" else self.phrases
        rng = rng_at(*plan.address.parts(), "phrasing")
        variant = int(rng.integers(12)) if style == "detailed" else 0
        lines = [
            tell(event, phrases[event.kind][variant % len(phrases[event.kind])])
            for event in self.told(plan)
            if event.kind in phrases
        ]
        conclusion = CONCLUSIONS[variant % len(CONCLUSIONS)]
        answer = question.options[question.answer_index].removesuffix(".")
        return " ".join(filter(None, [*lines, self.summary(plan), conclusion.format(answer=answer)]))

    def summary(self, plan: ScenePlan) -> str:
        """Return what leads from the events that were told to the answer; nothing where they say it by themselves."""
        return ""

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        """Return the events that a chain of thought tells, in the order in which it tells them."""
        return by_start(plan.events)

    def deciding(self, plan: ScenePlan) -> Sequence[Event]:
        """Return the events that have to be seen for the answer: those that a chain of thought tells, in any order."""
        return self.told(plan)

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
        about = set() if subject is None else {subject}
        what = dict(self.what(kind, detail)) if detail else {}
        if kind in self.numbered:
            about.add(f"{kind} {what.pop('1', '')}")
        return Stated(about=frozenset(about), what=what)

    def what(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return what a detail says, by field; each word by itself unless an override knows better."""
        return words_of(detail)


def by_start(events: Iterable[Event]) -> list[Event]:
    """Return events in the order in which they start."""
    return sorted(events, key=lambda event: event.start_ms)


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
