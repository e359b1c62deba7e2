"""The base class of questions about pseudo-videos: an answer is a function of the order of the scenes.

The order comes from the event log when a question is asked, and from the frames alone when its answer is checked.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import (
    NOT_AN_OPTION,
    Facts,
    Primitive,
    Style,
    TwinKind,
    choose_wording,
    index_in,
)
from temporay.operators.primitives._claims import Claim, Phrases, read_lists, tell
from temporay.operators.primitives._stated import Stated
from temporay.operators.primitives.scenes._recognize import captions_seen
from temporay.operators.primitives.scenes._shots import (
    NEXT_TOLD,
    ORDER_TOLD,
    CaptionedScene,
    choose_shot_lengths,
    compose,
    shown,
    tell_order,
)
from temporay.operators.records import Address, AnswerKind, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

# An option of 2506.06928's code. It is right as often as any other option of a question that has it.
NONE_OF_THE_OTHERS = "none of the other answers is correct"
NONE_OF_THE_OTHERS_BY_LEVEL = (False, False, False, True, True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """Scenes in the order in which they are shown, and the facts of the question.

    Facts need ``options``. Without ``wording`` or ``lengths`` (frames of each shot) the base class chooses them.
    """

    order: Sequence[CaptionedScene]
    facts: Facts
    lengths: Sequence[int] | None = None


class PseudoVideo(Primitive):
    """A question whose answer follows from the captions of the shots in their order."""

    family = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time = True
    twin: ClassVar[TwinKind] = "reordered"
    answer_kind: ClassVar[AnswerKind] = "choice"
    scenes_recur: ClassVar[bool] = False  # True: a scene may be shown more than once
    phrases: ClassVar[Phrases] = {
        "scene": (
            'From {start} s to {end} s the video shows "{subject}".',
            '"{subject}" is on the screen between {start} s and {end} s.',
            'Scene {d1}, {start} s to {end} s: "{subject}".',
            'At {start} s comes "{subject}", which stays until {end} s.',
        )
    }
    concise_phrases: ClassVar[Phrases] = {"scene": ("Scene {d1}: {subject}.",)}  # how options list scenes

    @abstractmethod
    def arrange(self, rng: Generator, scenes: Sequence[Scene], canvas: Canvas, address: Address) -> Arrangement:
        """Choose the options, then the truth, then an order of scenes in which it holds."""

    @abstractmethod
    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        """Return the right option when the shots' captions are ``order``; None when they allow none."""

    def conclude(self, facts: Facts, answer: str) -> str:
        """Return the last sentence of a chain of thought, which ends in the answer."""
        return answer

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        chosen = self.arrange(rng, scenes, canvas, address)
        facts = dict(chosen.facts)
        if "wording" not in facts:
            facts["wording"] = choose_wording(rng, self.wordings_of(facts))
        lengths = chosen.lengths or choose_shot_lengths(chosen.order, canvas, address)
        return compose(chosen.order, lengths, canvas, address, facts)

    def ask(self, plan: ScenePlan) -> Question:
        return self.question(plan, self.answer([event.subject for event in shown(plan)], plan.facts))

    def claims(self, text: str, names: Sequence[str] = ()) -> list[Claim]:
        """Read the order told in one sentence too: without times, its order is what it claims."""
        return [*read_lists("scene", text, ORDER_TOLD, NEXT_TOLD, names), *super().claims(text, names)]

    def stated(self, kind: str, subject: str | None, detail: str | None) -> Stated:
        """Return the scene as what is seen, and its place in the order as a part of when."""
        what = {} if subject is None else {"scene": subject}
        return Stated(what=what, when={} if detail is None else {"place": detail})

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return shown(plan)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        told, answer = self.told(plan, question), question.options[question.answer_index]
        conclusion = self.conclude(plan.facts, answer)
        if style == "concise":  # an answer that is all of the conclusion tells the order itself
            order = tell_order([event.subject for event in told])
            return answer if conclusion == answer else f"{order} {conclusion}"
        phrases = self.phrases["scene"]
        phrase = phrases[int(rng_at(*plan.address.parts(), "phrasing").integers(len(phrases)))]
        return " ".join([*(tell(event, phrase) for event in told), conclusion])

    def recover(self, witness: Witness) -> int | None:
        """Recognize the pictures. ``NOT_AN_OPTION`` where the frames show something that no option says."""
        order = captions_seen(witness)
        if order is None:
            return None
        seen = index_in(witness.options, self.answer(order, witness.facts))
        return NOT_AN_OPTION if seen is None else seen


def with_none(options: list[str], level: int) -> list[str]:
    """Return the options, the last of them replaced at high levels by the one that says that none is correct."""
    return [*options[:-1], NONE_OF_THE_OTHERS] if NONE_OF_THE_OTHERS_BY_LEVEL[level] else options


def or_none(answer: str, options: Sequence[str]) -> str:
    """Return the answer, or the option that says that it is not listed."""
    return answer if answer in options or NONE_OF_THE_OTHERS not in options else NONE_OF_THE_OTHERS


def conclude_with(asked: str, answer: str) -> str:
    """Return a sentence that says what is asked for, also where it is none of the options."""
    return f"{asked} is {'not among the answers, so ' if answer == NONE_OF_THE_OTHERS else ''}{answer}."
