"""What the questions about drawn motion share: a clip is arranged, logged, asked about, explained and seen.

    options and truth -> arrange -> tracks, events, facts -> logged(events) -> answer -> option
                                    decoded frames        -> seen(witness)  -> answer -> option

``logged`` and ``seen`` measure the same thing, and one rule, ``answer``, turns it into an option. So the question and
its check on the pixels cannot disagree about the rule.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Primitive, Style, choose_truth, choose_wording
from temporay.operators.primitives._claims import Claim, Phrases, read_claims
from temporay.operators.primitives._plan import MIN_FRAMES, choose_num_frames, drawn_plan, event_in
from temporay.operators.primitives._stated import Value, words_of
from temporay.operators.primitives.motion._stage import Actor, can_be_followed, choose_actors, frames_of_gaps
from temporay.operators.primitives.motion._told_paths import place_of, read_paths, tell_paths
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

ON_THE_WAY = ("at", "leaves")  # kinds of events that are read off the way from one shown frame to the next
EARLIER_MS = 0.01  # before the end of an event, which is exclusive
SIGNS = re.compile(r"[+=] ?")
Measured = TypeVar("Measured")  # what the log and the pixels say: a speed, an order, a number …
Option = TypeVar("Option")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one clip is arranged with."""

    rng: np.random.Generator  # all choices that a sample and its twin share, in the order of the code
    canvas: Canvas
    address: Address
    num_frames: int
    scenes: tuple[Scene, ...]  # photographs whose objects may take the place of shapes

    @property
    def level(self) -> int:
        return self.address.level

    @property
    def side_px(self) -> int:
        """The frame's shorter side."""
        return min(self.canvas.width, self.canvas.height)

    @property
    def gap(self) -> int:
        """The most frames from one frame that a model is shown to the next. What lasts as long is seen."""
        return self.canvas.longest_gap(self.num_frames)

    def choose_truth(self, options: Sequence[Option]) -> Option:
        """Choose the option that is made true; a twin gets another one."""
        return options[choose_truth(self.rng, len(options), self.address)]

    def choose_actors(self, num_actors: int, *, cutouts: bool = False) -> list[Actor]:
        return choose_actors(self.rng, self.canvas, num_actors, self.level, self.scenes if cutouts else ())

    def event(self, kind: str, subject: str, detail: str = "") -> Event:
        """Return an event that lasts for the whole clip."""
        return event_in(self.canvas, kind, subject, 0, self.num_frames, detail)


@dataclass(frozen=True, slots=True)
class MotionClip:
    """What is drawn in one clip, what happens in it, and what the question may say."""

    tracks: Sequence[Track]  # in the order in which they are painted
    events: Sequence[Event]
    facts: Facts  # the same for a sample and its twin; the wording is chosen after them


class DrawnMotion(Primitive, Generic[Measured]):
    """A question about shapes that move or change."""

    family = "shapes"
    needs_time = True
    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {}  # if ``facts["mode"]`` says which question is asked
    concise: ClassVar[str] = ""  # concise reasoning of {paths} and {answer}; without it, of ``concise_phrases``
    concluding: ClassVar[Phrases] = {}  # conclusions that hold times, which are claims too
    unlisted: ClassVar[int | None] = None  # what ``recover`` returns if a sure answer is no option
    notes: ClassVar[Sequence[str]] = ()  # what the question says after its wording: joined edges, units
    gaps_by_level: ClassVar[Sequence[float]] = ()  # length of the course, in the longest gaps between shown frames
    moments: ClassVar[frozenset[str]] = frozenset()  # kinds of events that are changes: seen if both sides are shown
    bouts: ClassVar[frozenset[str]] = frozenset()  # kinds of events after which a shape rests: seen if it is shown then

    @abstractmethod
    def arrange(self, setting: Setting) -> MotionClip:
        """Choose the options, then the truth, then a clip in which that truth holds."""

    @abstractmethod
    def logged(self, events: Sequence[Event], facts: Facts) -> Measured:
        """Measure by the event log."""

    @abstractmethod
    def seen(self, witness: Witness, facts: Facts) -> Measured | None:
        """Measure the same by the frames alone; None if they are not clear."""

    def answer(self, measured: Measured, facts: Facts) -> str:
        """Return the answer to what was measured; without a rule, what was measured is the answer."""
        return str(measured)

    def min_frames(self, canvas: Canvas, level: int) -> int:
        """Return the length of the shortest clip that has room for the course of this level."""
        return frames_of_gaps(canvas, self.gaps_by_level[level]) if self.gaps_by_level else MIN_FRAMES

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return self.wordings_by_mode[facts["mode"]] if self.wordings_by_mode else self.wordings

    def text(self, facts: Facts) -> str:
        return " ".join([super().text(facts), *self.notes])

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether all that is told can be followed from each of these frames to the next.

        The shapes that are told about are seen on their way (``can_be_followed``). What lasts is shown at least once.
        Between two changes of a kind there is a frame that is shown, and so there is after a bout of motion and before
        the next. Places are read off the way between frames.
        """
        told = self.told(plan, self.ask(plan))
        subjects = {event.subject for event in told}
        if not all(can_be_followed(track, frames, plan) for track in plan.tracks if track.name in subjects):
            return False
        shown_ms = 1000.0 * np.array(frames) / plan.fps
        needed_ms: list[tuple[float, float]] = []  # from, to: a frame must be shown in each of these
        by_kind: dict[tuple[str, str], list[Event]] = {}
        for event in told:
            by_kind.setdefault((event.kind, event.subject), []).append(event)
        for (kind, _), events in by_kind.items():
            following_ms = [*(event.start_ms for event in events[1:]), plan.duration_ms]
            if kind in self.moments:
                needed_ms.append((0.0, events[0].start_ms - EARLIER_MS))
                needed_ms += [(e.start_ms, end - EARLIER_MS) for e, end in zip(events, following_ms, strict=True)]
            elif kind in self.bouts:
                needed_ms += [(e.end_ms, start) for e, start in zip(events, following_ms, strict=True)]
            if kind not in self.moments and kind not in ON_THE_WAY:
                needed_ms += [(e.start_ms, e.end_ms - EARLIER_MS) for e in events]
        return all(((start - 1e-6 <= shown_ms) & (shown_ms <= end + 1e-6)).any() for start, end in needed_ms)

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_frames = choose_num_frames(address, canvas, self.min_frames(canvas, address.level))
        setting = Setting(rng=rng, canvas=canvas, address=address, num_frames=num_frames, scenes=scenes)
        arranged = self.arrange(setting)
        facts = arranged.facts
        if "wording" not in facts:
            facts = {**facts, "wording": choose_wording(rng, self.wordings_of(facts))}
        num_frames = len(arranged.tracks[0].xy_T2)
        return drawn_plan(address, canvas, num_frames, tracks=arranged.tracks, events=arranged.events, facts=facts)

    def ask(self, plan: ScenePlan) -> Question:
        return self.question(plan, self.answer(self.logged(plan.events, plan.facts), plan.facts))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed" or not self.concise:
            return super().explain(plan, question, style)
        answer = question.options[question.answer_index]
        return self.concise.format(paths=self.paths(plan), answer=answer)

    def paths(self, plan: ScenePlan) -> str:
        """Tell in digits where the shapes are, for concise reasoning."""
        return tell_paths(plan.events)

    def claims(self, text: str, names: Sequence[str] = ()) -> list[Claim]:
        paths = read_paths(text) if "at" in self.phrases else []
        return paths or read_claims(text, (self.phrases, self.concise_phrases, self.concluding), names)

    def what(self, kind: str, detail: str) -> Mapping[str, Value]:
        return place_of(detail) if kind == "at" else self.what_happens(kind, detail)

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return what the detail of an event that is no position says, by field; of a sum, its numbers."""
        return words_of(SIGNS.sub("", detail))

    def recover(self, witness: Witness) -> int | None:
        measured = self.seen(witness, witness.facts)
        if measured is None:
            return None
        answer = self.answer(measured, witness.facts)
        return witness.options.index(answer) if answer in witness.options else self.unlisted
