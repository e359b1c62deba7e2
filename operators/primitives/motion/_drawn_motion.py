"""What the questions about drawn motion share: how a clip is arranged, followed from frame to frame and told."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Choices, Facts, Measured, Phrases, Primitive, Style, TwinKind
from temporay.operators.primitives._claims import Claim, read_claims
from temporay.operators.primitives._plan import MIN_FRAMES, choose_num_frames, drawn_plan, event_in
from temporay.operators.primitives._stated import Value, words_of
from temporay.operators.primitives.motion._stage import Actor, can_be_followed, choose_actors, frames_of_gaps
from temporay.operators.primitives.motion._told_paths import place_of, read_paths, tell_paths
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

ON_THE_WAY = ("at", "leaves")  # kinds of events that are read off the way from one shown frame to the next
EARLIER_MS = 0.01  # before the end of an event, which is exclusive
SIGNS = re.compile(r"[+=] ?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Choices):
    """What one clip is arranged with."""

    num_frames: int

    @property
    def side_px(self) -> int:
        """The frame's shorter side."""
        return min(self.canvas.width, self.canvas.height)

    @property
    def size_xy(self) -> npt.NDArray[np.int64]:
        """The frame's width and height, (2,) px."""
        return np.array([self.canvas.width, self.canvas.height])

    @property
    def gap(self) -> int:
        """The most frames from one frame that a model is shown to the next. What lasts as long is seen."""
        return self.canvas.longest_gap(self.num_frames)

    def choose_actors(self, num_actors: int, *, cutouts: bool = False) -> list[Actor]:
        return choose_actors(self.rng, self.canvas, num_actors, self.level, self.scenes if cutouts else ())

    def event(self, kind: str, subject: str, detail: str = "") -> Event:
        """Return an event that lasts for the whole clip."""
        return self.event_in(kind, subject, 0, self.num_frames, detail)

    def event_in(self, kind: str, subject: str, start: float, end: float, detail: str = "") -> Event:
        """Return an event that lasts from the start of one frame to the start of another."""
        return event_in(self.canvas, kind, subject, start, end, detail)


@dataclass(frozen=True, slots=True)
class MotionClip:
    """What is drawn in one clip, what happens in it, and what the question may say."""

    tracks: Sequence[Track]  # in the order in which they are painted
    events: Sequence[Event]
    facts: Facts  # the same for a sample and its twin; the wording is chosen after them


class DrawnMotion(Primitive[Measured]):
    """A question about shapes that move or change."""

    family = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time = True
    twin: ClassVar[TwinKind] = "restaged"
    concise: ClassVar[str] = ""  # concise reasoning of {paths} and {answer}; without it, of ``concise_phrases``
    concluding: ClassVar[Phrases] = {}  # conclusions that hold times, which are claims too
    notes: ClassVar[Sequence[str]] = ()  # what the question says after its wording: joined edges, units
    notes_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {}  # what it says then, by ``facts["mode"]``
    gaps_by_level: ClassVar[Sequence[float]] = ()  # length of the course, in the longest gaps between shown frames
    fields: ClassVar[Sequence[str]] = ()  # what the words of a detail say; a single one is about the whole detail
    told_as_logged: ClassVar[bool] = False  # else by their times: reasoning on one shape, and then on the next
    bouts: ClassVar[frozenset[str]] = frozenset()  # kinds of events after which a shape rests: seen if it is shown then

    @abstractmethod
    def arrange(self, setting: Setting) -> MotionClip:
        """Choose the options, then the truth, then a clip in which that truth holds."""

    def min_frames(self, canvas: Canvas, level: int) -> int:
        """Return the length of the shortest clip that has room for the course of this level."""
        return frames_of_gaps(canvas, self.gaps_by_level[level]) if self.gaps_by_level else MIN_FRAMES

    def text(self, facts: Facts) -> str:
        notes = (*self.notes, *self.notes_by_mode.get(facts.get("mode", ""), ()))
        return " ".join([super().text(facts), *(note.format(**facts) for note in notes)])

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether all that is told can be followed from each of these frames to the next.

        The shapes that are told about are seen on their way (``can_be_followed``). What lasts is shown at least once.
        After a bout of motion a frame is shown before the next. Places are read off the way between frames.
        """
        told = self.told(plan)
        subjects = {event.subject for event in told}
        if not all(can_be_followed(track, frames, plan) for track in plan.tracks if track.name in subjects):
            return False
        needed_ms = [(e.start_ms, e.end_ms - EARLIER_MS) for e in told if e.kind not in ON_THE_WAY]  # from, to
        for i, bout in enumerate(told):
            if bout.kind in self.bouts:
                later_ms = [e.start_ms for e in told[i + 1 :] if (e.kind, e.subject) == (bout.kind, bout.subject)]
                needed_ms.append((bout.end_ms, later_ms[0] if later_ms else plan.duration_ms))
        shown_ms = plan.shown_ms(frames)
        return all(((start - 1e-6 <= shown_ms) & (shown_ms <= end + 1e-6)).any() for start, end in needed_ms)

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_frames = choose_num_frames(address, canvas, self.min_frames(canvas, address.level))
        setting = Setting(rng=rng, canvas=canvas, address=address, num_frames=num_frames, scenes=scenes)
        clip = self.arrange(setting)
        return drawn_plan(setting, clip.tracks, clip.events, self.worded(clip.facts, setting))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed" or not self.concise:
            return super().explain(plan, question, style)
        answer = question.options[question.answer_index]
        return self.concise.format(paths=self.paths(plan), answer=answer)

    def paths(self, plan: ScenePlan) -> str:
        """Tell in digits where the shapes are, for concise reasoning."""
        return tell_paths(plan.events)

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        if not self.told_as_logged:
            return super().told(plan)
        name = plan.facts.get("name")  # of the shape asked about, if it is one
        return [event for event in plan.events if name in (None, event.subject)]

    def claims(self, text: str, names: Sequence[str] = ()) -> list[Claim]:
        paths = read_paths(text) if "at" in self.phrases else []
        return paths or read_claims(text, (self.phrases, self.concise_phrases, self.concluding), names)

    def what(self, kind: str, detail: str) -> Mapping[str, Value]:
        return place_of(detail) if kind == "at" else self.what_happens(kind, detail)

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return what the detail of an event that is no position says, by field; of a sum, its numbers."""
        if self.fields:
            return dict(zip(self.fields, [detail] if len(self.fields) == 1 else detail.split(), strict=False))
        return words_of(SIGNS.sub("", detail))


def shown_between(plan: ScenePlan, frames: Sequence[int], times_ms: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return how many of these frames are shown from each of these times to the next."""
    return np.asarray(np.histogram(plan.shown_ms(frames) + 1e-6, times_ms)[0])
