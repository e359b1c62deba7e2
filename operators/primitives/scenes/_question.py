"""What the questions about pseudo-videos share: an answer is a function of the order of the scenes.

The order comes from the event log when a question is asked and from the frames alone when its answer is checked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Primitive, Style, TwinKind
from temporay.operators.primitives._claims import Phrases, tell
from temporay.operators.primitives.scenes._recognise import captions_seen
from temporay.operators.primitives.scenes._shots import shown, tell_order
from temporay.operators.records import Event, Question, ScenePlan
from temporay.operators.seeding import rng_at

# 2506.06928, code. Right as often as any other option of a question that has it.
NONE_OF_THE_OTHERS = "none of the other answers is correct"
NONE_OF_THE_OTHERS_BY_LEVEL = (False, False, False, True, True)
NOT_AN_OPTION = -1
SCENE_PHRASES = (
    'From {start} s to {end} s the video shows "{subject}".',
    '"{subject}" is on the screen between {start} s and {end} s.',
    'Scene {d1}, {start} s to {end} s: "{subject}".',
    'At {start} s comes "{subject}", which stays until {end} s.',
)


class PseudoVideo(Primitive):
    """A question whose answer follows from the captions of the shots in their order."""

    family: ClassVar[Literal["pseudo_video", "shapes"]] = "pseudo_video"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[TwinKind] = "reordered"
    phrases: ClassVar[Phrases] = {"scene": SCENE_PHRASES}

    @abstractmethod
    def text(self, facts: Mapping[str, Any]) -> str:
        """The question without its options."""

    @abstractmethod
    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str | None:
        """The right option when the shots' captions are ``order``; None when they allow none."""

    @abstractmethod
    def conclude(self, plan: ScenePlan, answer: str) -> str:
        """The last sentence of a chain of thought, which ends in the answer."""

    def ask(self, plan: ScenePlan) -> Question:
        order = [event.subject for event in shown(plan)]
        options = tuple(plan.facts["options"])
        truth = self.answer(order, plan.facts)
        if truth is None:
            raise ValueError(f"{self.task}: the event log has no answer to its own question: {order}")
        return Question(text=self.text(plan.facts), options=options, answer_index=options.index(truth))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return shown(plan)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        told = self.told(plan, question)
        conclusion = self.conclude(plan, question.options[question.answer_index])
        if style == "concise":
            return f"{tell_order([event.subject for event in told])} {conclusion}"
        phrases = self.phrases["scene"]
        phrase = phrases[int(rng_at(*plan.address.parts(), "phrasing").integers(len(phrases)))]
        return " ".join([*(tell(event, phrase) for event in told), conclusion])

    def recover(self, witness: Witness) -> int | None:
        """By recognising the pictures; ``NOT_AN_OPTION`` where the frames show what no option says."""
        order = captions_seen(witness)
        if order is None:
            return None
        answer = self.answer(order, witness.facts)
        return witness.options.index(answer) if answer in witness.options else NOT_AN_OPTION


def or_none(answer: str, options: Sequence[str]) -> str:
    """The answer, or the option that says that it is not listed."""
    return answer if answer in options or NONE_OF_THE_OTHERS not in options else NONE_OF_THE_OTHERS
