"""Do the two halves of the picture show the same moment, and if not, which one is ahead? (X-Ego, arXiv 2510.19150.)

Both halves follow one shape on one course from places of their own, so its place says nothing; what can be compared is
when it turns. Turns come at one even pace from a phase drawn evenly over it, so a half alone tells nothing either, and
the shift is less than half a pace, so which turns belong together is never in doubt.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import Witness, follow, steps
from temporay.operators.primitives._base import Primitive, Twin, choose_truth
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._panels import halves, panel_track
from temporay.operators.primitives.motion._stage import choose_actors, choose_num_frames, color_of, drawn_plan, frame_ms
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

SAME, LEFT, RIGHT, OTHER = "the same moment", "the left half is ahead", "the right half is ahead", "different moments"
OPTIONS = {"which": (SAME, LEFT, RIGHT), "whether": (SAME, OTHER)}
SHIFT_BY_LEVEL = (0.25, 0.22, 0.19, 0.16, 0.13)  # of the clip, and never under MIN_SHIFT frames
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 0, 1, 2)
MIN_SHIFT = 2  # frames
MIN_CLIP = 8  # frames: a turn is then seen in both halves
MAX_PACE = 2.5  # frames from turn to turn, in shifts; at least 2
TRAVEL_RANGE = (1.2, 1.8)  # of the half's shorter side in the whole clip
DISTRACTOR_TRAVEL = (0.2, 0.5)
HEADINGS = {"right": (1.0, 0.0), "down": (0.0, 1.0), "left": (-1.0, 0.0), "up": (0.0, -1.0)}  # by quarter turns
WORDINGS = {
    "which": (
        "Were the two halves of this video recorded at the same time, or is one of them ahead of the other?",
        "Both halves show the same {name} on the same course. Which half is ahead in time, or is it the same moment?",
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


class SameMoment(Primitive):
    task: ClassVar[str] = "same_moment"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"  # no order of the frames parts two halves that are in step
    phrases: ClassVar[Phrases] = {
        "turns": (
            "At {start} s, {d1} hundredths into the clip, the {subject} turns {d2}.",
            "The {subject} turns {d2} at {start} s, {d1} hundredths of the clip from its start.",
            "{start} s: a turn {d2} in the {subject}, {d1} hundredths through.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"turns": ("In the {subject} a turn at {d1}: {d2}.",)}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        _check_canvas(canvas)
        rng = rng_at(*address.parts(), "plan")
        mode = ("which", "whether")[int(rng.integers(2))]
        options = [OPTIONS[mode][i] for i in rng.permutation(len(OPTIONS[mode]))]
        truth = options[choose_truth(rng, len(options), address)]
        num_frames = choose_num_frames(address, canvas)
        shift = _shift_frames(SHIFT_BY_LEVEL[address.level], num_frames)
        either_way = (1, -1)[int(rng.integers(2))]
        ahead = {SAME: 0, LEFT: -1, RIGHT: 1, OTHER: either_way}[truth]  # of the right half, in shifts
        course = _choose_course(rng, num_frames, shift)
        first_steps = (shift, shift + ahead * shift)  # of the course, where the halves begin
        panels = halves(canvas.width, canvas.height)
        own = panels[0].canvas(canvas)
        actor, *others = choose_actors(rng, own, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level)
        step_px = min(own.width, own.height) * float(rng.uniform(*TRAVEL_RANGE)) / (num_frames - 1)
        vectors = np.array(list(HEADINGS.values()))
        tracks, events = [], []
        for panel, first in zip(panels, first_steps, strict=True):
            seen = course[first : first + num_frames - 1]
            for other in others:
                angle, travel = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(*DISTRACTOR_TRAVEL))
                drift = np.array([np.cos(angle), np.sin(angle)]) * min(own.width, own.height) * travel
                evenly = np.tile(drift / (num_frames - 1), (num_frames - 1, 1))
                tracks.append(panel_track(other, panel, canvas, rng.uniform(0, 1, 2), evenly))
            tracks.append(panel_track(actor, panel, canvas, rng.uniform(0, 1, 2), step_px * vectors[seen]))
            events.extend(_log(panel.name, seen, first, num_frames, canvas))
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks),
            events=tuple(events),
            facts={
                "name": actor.name,
                "mode": mode,
                "options": options,
                "shift_frames": shift,
                "wording": int(rng.integers(len(WORDINGS[mode]))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        moment = {event.subject: float(event.detail) for event in plan.events if event.kind == "shows"}
        lead = moment["right half"] - moment["left half"]
        options = tuple(plan.facts["options"])
        text = WORDINGS[plan.facts["mode"]][plan.facts["wording"]].format(name=plan.facts["name"])
        return Question(text=text, options=options, answer_index=options.index(_answer(lead, options)))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return [event for event in plan.events if event.kind == "turns"]

    def recover(self, witness: Witness) -> int | None:
        """By the shift of one half's steps at which they are most like the other's."""
        color, shift = color_of(witness.facts["name"]), int(witness.facts["shift_frames"])
        height, width = witness.frames_THWC.shape[1:3]
        left, right = (
            _steps_in(panel.crop(witness.frames_THWC), color) if color is not None else None
            for panel in halves(width, height)
        )
        if left is None or right is None:
            return None
        misfits = {lead: _misfit(left, right, lead) for lead in (-shift, 0, shift)}
        best, second = sorted(misfits, key=lambda lead: misfits[lead])[:2]
        if misfits[best] > 0.7 * misfits[second]:
            return None
        return witness.options.index(_answer(best, witness.options))


def _answer(lead: float, options: tuple[str, ...]) -> str:
    """What is true when the right half is ahead by so much (negative: behind)."""
    if lead == 0:
        return SAME
    if OTHER in options:
        return OTHER
    return RIGHT if lead > 0 else LEFT


def _check_canvas(canvas: Canvas) -> None:
    if canvas.num_frames[0] < MIN_CLIP:
        raise UserError(
            f"canvas.num_frames={canvas.num_frames} allows clips of {canvas.num_frames[0]} frames, but same_moment "
            f"needs {MIN_CLIP}; raise its first number to {MIN_CLIP} or more"
        )


def _shift_frames(share: float, num_frames: int) -> int:
    """The share of the clip, less where a turn could otherwise miss one of the halves."""
    return max(MIN_SHIFT, min(round(share * num_frames), (num_frames - 4) // 3))


def _choose_course(rng: np.random.Generator, num_frames: int, shift: int) -> npt.NDArray[np.int64]:
    """Heading of each step, for a clip and a shift before and after it; every turn is a quarter, to either side.

    The pace is such that a turn, with a step before and after it, is in what both halves show (at 8 frames and a shift
    of 2 that is exactly a turn every 4).
    """
    longest = max(2 * shift, min(int(MAX_PACE * shift), num_frames - 4 - shift))
    pace = int(rng.integers(2 * shift, longest + 1))
    num_steps = num_frames - 1 + 2 * shift
    legs_N = (np.arange(num_steps) + int(rng.integers(pace))) // pace
    turns = np.where(rng.integers(0, 2, legs_N[-1] + 1) == 1, 1, -1)
    headings_N: npt.NDArray[np.int64] = (int(rng.integers(4)) + np.cumsum(turns))[legs_N] % 4
    return headings_N


def _log(half: str, headings: npt.NDArray[np.int64], first: int, num_frames: int, canvas: Canvas) -> list[Event]:
    """Which moment of the course a half begins with, in ms, and each of its turns, with hundredths of the clip."""
    end_ms = frame_ms(num_frames, canvas)
    moment = f"{frame_ms(first, canvas):.1f}"
    events = [Event(kind="shows", subject=half, start_ms=0.0, end_ms=end_ms, detail=moment)]
    names = list(HEADINGS)
    for t in np.flatnonzero(np.diff(headings)) + 1:
        start_ms, detail = frame_ms(int(t), canvas), f"{100 * t // num_frames} {names[headings[t]]}"
        events.append(
            Event(kind="turns", subject=half, start_ms=start_ms, end_ms=frame_ms(int(t) + 1, canvas), detail=detail)
        )
    return events


def _steps_in(frames_THWC: npt.NDArray[np.uint8], color: tuple[int, int, int]) -> npt.NDArray[np.float64] | None:
    seen_T3 = follow(frames_THWC, color)
    if np.isnan(seen_T3).any():
        return None
    return steps(seen_T3, frames_THWC.shape[2], frames_THWC.shape[1])


def _misfit(left_T2: npt.NDArray[np.float64], right_T2: npt.NDArray[np.float64], lead: int) -> float:
    """Mean difference in px between the right half's steps and those of the left half ``lead`` frames later."""
    left = left_T2[max(0, lead) : len(left_T2) + min(0, lead)]
    right = right_T2[max(0, -lead) : len(right_T2) + min(0, -lead)]
    return float(np.abs(left - right).mean())
