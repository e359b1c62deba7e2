"""Do the two halves of the picture show the same moment, and if not, which one is ahead? (X-Ego, arXiv 2510.19150).

Both halves follow one shape on one course from different starts, so its place tells nothing. What can be compared is
when it turns. Turns come at one even pace from a uniform phase, so one half alone tells nothing either. The shift is
less than half a pace, so it is always clear which turns belong together.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in, frame_ms
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._panels import halves, panel_track
from temporay.operators.primitives.motion._stage import choose_actors, followed_steps
from temporay.operators.records import Event, Question, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

SAME, LEFT, RIGHT, OTHER = "the same moment", "the left half is ahead", "the right half is ahead", "different moments"
OPTIONS = {"which": (SAME, LEFT, RIGHT), "whether": (SAME, OTHER)}
SHIFT_BY_LEVEL = (0.25, 0.22, 0.19, 0.16, 0.13)  # parts of the clip, and never under MIN_SHIFT frames
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 0, 1, 2)
MIN_SHIFT = 2  # frames
MIN_CLIP = 8  # frames: a turn is then seen in both halves
MAX_PACE = 2.5  # frames from turn to turn, in shifts; at least 2
TRAVEL_RANGE = (1.2, 1.8)  # parts of the half's shorter side in the whole clip
DISTRACTOR_TRAVEL = (0.2, 0.5)
HEADINGS = {"right": (1.0, 0.0), "down": (0.0, 1.0), "left": (-1.0, 0.0), "up": (0.0, -1.0)}  # in quarter turns


class SameMoment(DrawnMotion[float]):
    """Question about whether two views are in step."""

    task = "same_moment"
    order_dependent = True
    twin = "restaged"  # no order of the frames parts two halves that are in step

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "which": (
            "Were the two halves of this video recorded at the same time, or is one of them ahead of the other?",
            "Both halves show the same {name} on the same course. Which half is ahead in time, or is it the same "
            "moment?",
            "Do the left and the right half show the same moment, and if not, which half is ahead?",
            "The two halves are views of one course of events. Is one of them ahead?",
            "Compare when the {name} turns in the two halves. Which half is ahead?",
            "How are the left and the right view of the {name} shifted in time?",
            "Two cameras follow the {name}. Which of the two pictures is ahead in time?",
            "Watch the {name} on the left and on the right. Which side comes first, if any?",
        ),
        "whether": (
            "Were the two halves of this video recorded at the same time?",
            "Both halves show the same {name} on the same course. Do they show the same moment or different moments?",
            "Do the left and the right half show the same moment?",
            "The two halves are views of one course of events. Are they in step?",
            "Compare when the {name} turns in the two halves. What do the halves show?",
            "Are the left and the right view of the {name} shifted in time or not?",
            "Two cameras follow the {name}. Do their pictures belong to the same moment?",
            "Watch the {name} on the left and on the right. What do both sides show?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "turns": (
            "At {start} s, {d1} hundredths into the clip, the {subject} turns {d2}.",
            "The {subject} turns {d2} at {start} s, {d1} hundredths of the clip from its start.",
            "{start} s: a turn {d2} in the {subject}, {d1} hundredths through.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"turns": ("In the {subject} a turn at {d1}: {d2}.",)}

    def min_frames(self, canvas: Canvas, level: int) -> int:
        return MIN_CLIP

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level, num_steps = setting.rng, setting.canvas, setting.level, setting.num_frames - 1
        mode = choose_one(rng, tuple(self.wordings_by_mode))
        options = shuffled(rng, OPTIONS[mode])
        truth = setting.choose_truth(options)
        shift = _shift_frames(SHIFT_BY_LEVEL[level], setting.num_frames)
        either_way = choose_one(rng, (1, -1))
        ahead = {SAME: 0, LEFT: -1, RIGHT: 1, OTHER: either_way}[truth]  # how far the right half is ahead, in shifts
        course = _choose_course(rng, setting.num_frames, shift)
        panels = halves(canvas.width, canvas.height)
        own = panels[0].canvas(canvas)
        side_px = min(own.width, own.height)
        actor, *others = choose_actors(rng, own, 1 + NUM_DISTRACTORS_BY_LEVEL[level], level)
        step_px = side_px * float(rng.uniform(*TRAVEL_RANGE)) / num_steps
        vectors = np.array(list(HEADINGS.values()))
        tracks, events = [], []
        for panel, first in zip(panels, (shift, shift + ahead * shift), strict=True):  # first steps of the course
            seen = course[first : first + num_steps]
            for other in others:
                angle, travel = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(*DISTRACTOR_TRAVEL))
                drift = np.array([np.cos(angle), np.sin(angle)]) * side_px * travel
                evenly = np.tile(drift / num_steps, (num_steps, 1))
                tracks.append(panel_track(other, panel, canvas, rng.uniform(0, 1, 2), evenly))
            tracks.append(panel_track(actor, panel, canvas, rng.uniform(0, 1, 2), step_px * vectors[seen]))
            # which moment of the course the half begins with, in ms
            events.append(setting.event("shows", panel.name, f"{frame_ms(first, canvas):.1f}"))
            events.extend(_turn_events(panel.name, seen, setting.num_frames, canvas))
        return MotionClip(tracks, events, {"name": actor.name, "mode": mode, "options": options, "shift_frames": shift})

    def logged(self, events: Sequence[Event], facts: Facts) -> float:
        """Return by how much the right half is ahead; below 0 it is behind."""
        moment = {event.subject: float(event.detail) for event in events if event.kind == "shows"}
        return moment["right half"] - moment["left half"]

    def seen(self, witness: Witness, facts: Facts) -> float | None:
        """Find the shift of one half's steps at which they are most like the other's."""
        shift = int(facts["shift_frames"])
        height, width = witness.frames_THWC.shape[1:3]
        left, right = (
            followed_steps(panel.crop(witness.frames_THWC), facts["name"]) for panel in halves(width, height)
        )
        if left is None or right is None:
            return None
        misfits = {lead: _misfit(left, right, lead) for lead in (-shift, 0, shift)}
        best, second = sorted(misfits, key=misfits.__getitem__)[:2]
        return best if misfits[best] <= 0.7 * misfits[second] else None

    def answer(self, measured: float, facts: Facts) -> str:
        if measured == 0:
            return SAME
        if OTHER in facts["options"]:
            return OTHER
        return RIGHT if measured > 0 else LEFT

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        return [event for event in plan.events if event.kind == "turns"]


def _shift_frames(share: float, num_frames: int) -> int:
    """Return the share of the clip, or less where a turn could otherwise miss one of the halves."""
    return max(MIN_SHIFT, min(round(share * num_frames), (num_frames - 4) // 3))


def _choose_course(rng: np.random.Generator, num_frames: int, shift: int) -> npt.NDArray[np.int64]:
    """Choose the heading of each step, for a clip and a shift before and after it. Every turn is a quarter turn.

    The pace is such that a turn, with a step before and after it, is in what both halves show (at 8 frames and a shift
    of 2 that is exactly a turn every 4).
    """
    longest = max(2 * shift, min(int(MAX_PACE * shift), num_frames - 4 - shift))
    pace = int(rng.integers(2 * shift, longest + 1))
    num_steps = num_frames - 1 + 2 * shift
    legs_N = (np.arange(num_steps) + int(rng.integers(pace))) // pace
    turns = np.where(rng.integers(0, 2, legs_N[-1] + 1) == 1, 1, -1)
    return np.asarray((int(rng.integers(4)) + np.cumsum(turns))[legs_N] % 4)


def _turn_events(half: str, headings: npt.NDArray[np.int64], num_frames: int, canvas: Canvas) -> list[Event]:
    """Log each turn of a half, with hundredths of the clip."""
    names = list(HEADINGS)
    return [
        event_in(canvas, "turns", half, int(t), int(t) + 1, f"{100 * t // num_frames} {names[headings[t]]}")
        for t in np.flatnonzero(np.diff(headings)) + 1
    ]


def _misfit(left_T2: npt.NDArray[np.float64], right_T2: npt.NDArray[np.float64], lead: int) -> float:
    """Return the mean difference in px between steps on the right and those on the left ``lead`` frames later."""
    left = left_T2[max(0, lead) : len(left_T2) + min(0, lead)]
    right = right_T2[max(0, -lead) : len(right_T2) + min(0, -lead)]
    return float(np.abs(left - right).mean())
