"""Does a shape speed up, slow down or keep its speed? (SynRL, arXiv 2603.17693, short-term: acceleration.)

The mean speed is drawn apart from the answer, from one distribution; the released SynRL generator let the first speed
give the answer away. Not all of that can be removed: what speeds up starts below its mean. With means spread evenly on
a log scale over a factor R and a change by a factor r, the best guess from the first speed alone, or from the last one,
is right with (1 + ln r / ln R) / 3: here at most 0.48, and 0.41 at level 4, where chance is 0.33.
The mean alone says nothing, and no single frame shows a speed.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, follow, steps
from temporay.operators.primitives._base import Primitive, Style, Twin, choose_truth
from temporay.operators.primitives._claims import Claim, Phrases
from temporay.operators.primitives.motion._races import choose_run
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    at_events,
    choose_actors,
    choose_num_frames,
    color_of,
    drawn_plan,
    frame_ms,
    read_path,
    tell_path,
)
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

OPTIONS = ("accelerating", "decelerating", "moving at a constant speed")
RATIO_BY_LEVEL = (2.5, 2.3, 2.1, 1.9, 1.6)  # last speed over first one when accelerating
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 2, 3)
TRAVEL_RANGE = (0.2, 1.65)  # of the frame's shorter side in the whole clip
NUM_PLACES = 6  # listed in an explanation: between two of them no shape makes half a lap
CONSTANT_RATIO = 1.1  # below this last over first speed is "constant"
SEEN_RATIOS = (1.15, 1.35)  # as seen: below the first it is constant, between them nothing is sure
MAX_ERROR = 0.12  # standard error of the change of speed, in parts of the mean speed
WORDINGS = (
    "Is the {name} accelerating, decelerating, or moving at a constant speed?",
    "How does the speed of the {name} change?",
    "What happens to the speed of the {name} during the video?",
    "Which best describes the motion of the {name}?",
    "Does the {name} get faster, get slower, or keep its speed?",
    "As the video goes on, what is the {name} doing?",
    "Compare how fast the {name} is at first and at the end. What is it doing?",
    "Over the clip, the {name} is doing which of these?",
)


class Acceleration(Primitive):
    task: ClassVar[str] = "acceleration"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"  # the frames of a constant speed show no other answer in any order
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "moves": (
            "From {start} s to {end} s the speed of the {subject} goes from {d1} to {d2} px/s.",
            "The {subject} starts at {d1} and ends at {d2} px/s, between {start} s and {end} s.",
            "Between {start} s and {end} s the {subject} goes at {d1} px/s first and at {d2} px/s last.",
        ),
    }

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        options = [OPTIONS[i] for i in rng.permutation(len(OPTIONS))]
        truth = options[choose_truth(rng, len(options), address)]
        actors = choose_actors(rng, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level, scenes)
        changes = [truth, *(OPTIONS[int(rng.integers(len(OPTIONS)))] for _ in actors[1:])]
        num_frames = choose_num_frames(address, canvas)
        tracks, events = [], []
        for actor, change in zip(actors, changes, strict=True):
            travel = float(np.exp(rng.uniform(*np.log(TRAVEL_RANGE))))
            mean_step_px = min(canvas.width, canvas.height) * travel / (num_frames - 1)
            step_px_T = _steps(change, RATIO_BY_LEVEL[address.level], mean_step_px, num_frames - 1)
            tracks.append(choose_run(rng, actor, step_px_T, NUM_ANGLES_BY_LEVEL[address.level], canvas))
            speeds = f"{step_px_T[0] * canvas.fps:.1f} {step_px_T[-1] * canvas.fps:.1f}"
            end_ms = frame_ms(num_frames, canvas)
            events.append(Event(kind="moves", subject=actor.name, start_ms=0.0, end_ms=end_ms, detail=speeds))
        listed = [int(f) for f in np.rint(np.linspace(0, num_frames - 1, NUM_PLACES))]
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=(*events, *at_events(actors[0].name, tracks[0].xy_T2, canvas, listed)),
            facts={"name": actors[0].name, "options": options, "wording": int(rng.integers(len(WORDINGS)))},
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], tuple(plan.facts["options"])
        event = next(e for e in plan.events if e.kind == "moves" and e.subject == name)
        first, last = (float(speed) for speed in event.detail.split())
        truth = OPTIONS[2]
        if max(first, last) >= CONSTANT_RATIO * min(first, last):
            truth = OPTIONS[0] if last > first else OPTIONS[1]
        text = WORDINGS[plan.facts["wording"]].format(name=name)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """Where the shape is, then how its speed changes."""
        events = [event for event in plan.events if event.subject == plan.facts["name"]]
        return sorted(events, key=lambda event: event.kind)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        return f"{tell_path(plan, plan.facts['name'])}. It is {question.options[question.answer_index]}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By a parabola through the places of the shape's colour: its last over its first slope."""
        color = color_of(witness.facts["name"])
        seen_T3 = np.full((1, 3), np.nan) if color is None else follow(witness.frames_THWC, color)
        if np.isnan(seen_T3).any():
            return None
        step_xy_T2 = steps(seen_T3, witness.frames_THWC.shape[2], witness.frames_THWC.shape[1])
        total_xy = step_xy_T2.sum(axis=0)
        way_px = float(np.linalg.norm(total_xy))
        gone_T = np.array([0.0, *(step_xy_T2 @ total_xy / way_px).cumsum()])
        (bend, first, _), errors = np.polyfit(np.linspace(0, 1, len(gone_T)), gone_T, 2, cov=True)
        if 2 * np.sqrt(errors[0, 0]) > MAX_ERROR * way_px:
            return None
        ratio = float(np.exp(abs(np.log(max(1e-6, first + 2 * bend) / max(1e-6, first)))))
        if SEEN_RATIOS[0] < ratio < SEEN_RATIOS[1]:
            return None
        change = OPTIONS[2] if ratio < SEEN_RATIOS[0] else OPTIONS[0] if bend > 0 else OPTIONS[1]
        return witness.options.index(change)


def _steps(change: str, ratio: float, mean_step_px: float, num_steps: int) -> npt.NDArray[np.float64]:
    """Step lengths in px, linear in time, whose mean is exactly ``mean_step_px``."""
    if change == OPTIONS[2]:
        return np.full(num_steps, mean_step_px)
    slow, fast = 2 / (1 + ratio), 2 * ratio / (1 + ratio)
    rising: npt.NDArray[np.float64] = mean_step_px * np.linspace(slow, fast, num_steps)
    return rising if change == OPTIONS[0] else rising[::-1]
