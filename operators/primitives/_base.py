"""What every temporal primitive provides; its file is its registration.

Order of drawing (DESIGN §3): the option set, then the truth uniformly from it, then a clip in which that truth holds.
Nothing seen without watching (text, option positions, clip length, any one frame) may depend on the truth.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._claims import Claim, Phrases, read_claims, tell
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

Style = Literal["concise", "detailed"]
Twin = Literal["reversed", "reordered", "restaged"]
CONCLUSIONS = ("So the answer is {answer}.", "That makes it {answer}.", "The answer is therefore {answer}.")


@dataclass(frozen=True)
class Primitive(ABC):
    """One kind of temporal question. Stateless: a sample depends on its address, the canvas and the scenes alone."""

    task: ClassVar[str]  # equals the file name
    family: ClassVar[Literal["pseudo_video", "shapes"]]
    order_dependent: ClassVar[bool]  # another order of the same frames changes the answer
    needs_time: ClassVar[bool]  # a single frame leaves the answer at chance

    # How the twin's clip differs: the same frames backwards, the same frames in another order, or, where no order of
    # the same frames has another answer, the same stage, length and question with another course of events.
    twin: ClassVar[Twin]

    # How often one, and how often two frames at either end of the clip may give the answer; the audit holds the
    # primitive to it. 0: no more than chance. 1: promises nothing, the first frame may well say what comes first.
    edge_limits: ClassVar[tuple[float, float]] = (1.0, 1.0)
    phrases: ClassVar[Phrases] = {}  # of detailed chains of thought: at least three of every kind told, with times
    concise_phrases: ClassVar[Phrases] = {}  # of concise ones: the first is used

    def num_distinct_scenes(self, canvas: Canvas) -> int:
        """How many different scenes one sample needs, shown or named; 0 for drawn shapes."""
        return canvas.num_scenes[1] if self.family == "pseudo_video" else 0

    @abstractmethod
    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        """Draws one sample's scene. Uses only generators of ``seeding.rng_at(*address.parts(), purpose)``.

        Raises:
            SampleRejected: this address gives nothing good (captions too alike, no room to move, …).
        """

    @abstractmethod
    def ask(self, plan: ScenePlan) -> Question:
        """The question, its answer computed from ``plan.events``, never from pixels or from what was drawn first.

        Text and options come from ``plan.facts``, which are the same for a sample and its twin.
        """

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        """Chain of thought from the event log alone, which ends in the content of the right option, not its letter."""
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
        return " ".join([*lines, conclusion.format(answer=answer)])

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """The events that a chain of thought tells, in the order in which it tells them."""
        return sorted(plan.events, key=lambda event: event.start_ms)

    def claims(self, text: str) -> list[Claim]:
        """What a chain of thought in this primitive's phrases claims to have happened."""
        return read_claims(text, (self.phrases, self.concise_phrases))

    def recover(self, witness: Witness) -> int | None:
        """The right option as the frames alone show it; None where they do not allow a sure answer."""
        return None


def choose_truth(rng: np.random.Generator, num_options: int, address: Address) -> int:
    """Which option is made true: uniform, and for a twin uniform among the other ones.

    Takes as much from the generator for both, so that whatever is drawn later is the same for a sample and its twin.
    """
    truth = int(rng.integers(num_options))
    step = 1 + int(rng.integers(num_options - 1))
    return (truth + step) % num_options if address.twin else truth
