"""The base class of questions about pseudo-videos: an answer is a function of the order of the scenes.

The order comes from the event log when a question is asked, and from the frames alone when its answer is checked.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import (
    NOT_AN_OPTION,
    Choices,
    Facts,
    Phrases,
    Primitive,
    Style,
    TwinKind,
    by_start,
)
from temporay.operators.primitives._claims import Claim, read_lists, tell
from temporay.operators.primitives._stated import Stated
from temporay.operators.primitives.scenes._recognize import captions_seen
from temporay.operators.primitives.scenes._shots import (
    NEXT_TOLD,
    ORDER_TOLD,
    CaptionedScene,
    choose_shot_lengths,
    compose,
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

    Facts need ``options``. If they have ``listed``, a chain of thought tells these scenes alone. Without ``wording`` or
    ``lengths`` (frames of each shot) the base class chooses them.
    """

    order: Sequence[CaptionedScene]
    facts: Facts
    lengths: Sequence[int] | None = None


class PseudoVideo(Primitive[Sequence[str]]):
    """A question whose answer follows from the captions of the shots in their order."""

    family = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time = True
    twin: ClassVar[TwinKind] = "reordered"
    answer_kind: ClassVar[AnswerKind] = "choice"
    unlisted = NOT_AN_OPTION
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
    def arrange(self, choices: Choices) -> Arrangement:
        """Choose the options, then the truth, then an order of scenes in which it holds."""

    def conclude(self, facts: Facts, answer: str) -> str:
        """Return the last sentence of a chain of thought, which ends in the answer."""
        return answer

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        choices = Choices(rng=rng_at(*address.parts(), "plan"), canvas=canvas, address=address, scenes=scenes)
        chosen = self.arrange(choices)
        lengths = chosen.lengths or choose_shot_lengths(chosen.order, choices)
        return compose(chosen.order, lengths, choices, self.worded(chosen.facts, choices))

    def logged(self, events: Sequence[Event], facts: Facts) -> Sequence[str]:
        """Return the captions of the shots in their order."""
        return [event.subject for event in by_start(events)]

    def seen(self, witness: Witness, facts: Facts) -> Sequence[str] | None:
        """Recognize the pictures."""
        return captions_seen(witness)

    def claims(self, text: str, names: Sequence[str] = ()) -> list[Claim]:
        """Read the order told in one sentence too: without times, its order is what it claims."""
        return [*read_lists("scene", text, ORDER_TOLD, NEXT_TOLD, names), *super().claims(text, names)]

    def stated(self, kind: str, subject: str | None, detail: str | None) -> Stated:
        """Return the scene as what is seen, and its place in the order as a part of when."""
        what = {} if subject is None else {"scene": subject}
        return Stated(what=what, when={} if detail is None else {"place": detail})

    def told(self, plan: ScenePlan) -> list[Event]:
        listed = plan.facts.get("listed")
        return [event for event in by_start(plan.events) if listed is None or event.subject in listed]

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        told, answer = self.told(plan), question.options[question.answer_index]
        conclusion = self.conclude(plan.facts, answer)
        if style == "concise":  # an answer that is all of the conclusion tells the order itself
            order = tell_order([event.subject for event in told])
            return answer if conclusion == answer else f"{order} {conclusion}"
        phrases = self.phrases["scene"]
        phrase = phrases[int(rng_at(*plan.address.parts(), "phrasing").integers(len(phrases)))]
        return " ".join([*(tell(event, phrase) for event in told), conclusion])


def quoted(captions: Sequence[str]) -> str:
    """List captions in a question."""
    return ", ".join(f'"{caption}"' for caption in captions)


def with_none(options: list[str], level: int) -> list[str]:
    """Return the options, the last of them replaced at high levels by the one that says that none is correct."""
    return [*options[:-1], NONE_OF_THE_OTHERS] if NONE_OF_THE_OTHERS_BY_LEVEL[level] else options


def or_none(answer: str, options: Sequence[str]) -> str:
    """Return the answer, or the option that says that it is not listed."""
    return answer if answer in options or NONE_OF_THE_OTHERS not in options else NONE_OF_THE_OTHERS


def conclude_with(asked: str, answer: str) -> str:
    """Return a sentence that says what is asked for, also where it is none of the options."""
    return f"{asked} is {'not among the answers, so ' if answer == NONE_OF_THE_OTHERS else ''}{answer}."
