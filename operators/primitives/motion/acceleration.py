"""Does a shape speed up, slow down or keep its speed? (SynRL, arXiv 2603.17693, short-term: acceleration).

The mean speed is chosen apart from the answer, from one distribution. The released SynRL generator let the first speed
tell the answer. Part of that remains: what speeds up starts below its mean. Say means are spread evenly on a log scale
over a factor R, and speeds change by a factor r. Then the best guess from the first speed alone, or from the last one,
is right with (1 + ln r / ln R) / 3. That is at most 0.48 here, and 0.41 at level 4; chance is 0.33. The mean alone
tells nothing, and no single frame shows a speed.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._races import choose_run
from temporay.operators.primitives.motion._stage import AT_PHRASES, at_events, followed_steps, spread_frames
from temporay.operators.records import Event, Question, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

OPTIONS = ("accelerating", "decelerating", "moving at a constant speed")
RATIO_BY_LEVEL = (2.5, 2.3, 2.1, 1.9, 1.6)  # last speed over first one when accelerating
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 2, 3)
TRAVEL_RANGE = (0.2, 1.65)  # parts of the frame's shorter side in the whole clip
NUM_PLACES = 6  # listed in an explanation: between two of them no shape makes half a lap
CONSTANT_RATIO = 1.2  # ratio of the two speeds below which the speed is constant
UNSURE_RATIOS = (1.15, 1.35)  # what is seen between these is no sure answer
MAX_ERROR = 0.12  # standard error of the change of speed, in parts of the mean speed


class Acceleration(DrawnMotion[float]):
    """Question about how a shape's speed changes."""

    task = "acceleration"
    # What speeds up is slower than its mean at first.
    inherent: ClassVar[Inherent] = {"two_frames": 0.52, "few_frames": 0.55, "one_number": 0.62}
    order_dependent = True
    twin = "restaged"  # the frames of a constant speed show no other answer in any order
    concise = "{paths}. It is {answer}."

    wordings = (
        "Is the {name} accelerating, decelerating, or moving at a constant speed?",
        "How does the speed of the {name} change?",
        "What happens to the speed of the {name} during the video?",
        "Which best describes the motion of the {name}?",
        "Does the {name} get faster, get slower, or keep its speed?",
        "As the video goes on, what is the {name} doing?",
        "Compare how fast the {name} is at first and at the end. What is it doing?",
        "Over the clip, the {name} is doing which of these?",
    )
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "moves": (
            "From {start} s to {end} s the speed of the {subject} goes from {d1} to {d2} px/s.",
            "The {subject} starts at {d1} and ends at {d2} px/s, between {start} s and {end} s.",
            "Between {start} s and {end} s the {subject} goes at {d1} px/s first and at {d2} px/s last.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level, num_steps = setting.rng, setting.level, setting.num_frames - 1
        options = shuffled(rng, OPTIONS)
        truth = setting.choose_truth(options)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level], cutouts=True)
        changes = [truth, *(choose_one(rng, OPTIONS) for _ in actors[1:])]
        tracks, events = [], []
        for actor, change in zip(actors, changes, strict=True):
            travel = float(np.exp(rng.uniform(*np.log(TRAVEL_RANGE))))
            step_px_T = _steps(change, RATIO_BY_LEVEL[level], setting.side_px * travel / num_steps, num_steps)
            tracks.append(choose_run(rng, actor, step_px_T, NUM_ANGLES_BY_LEVEL[level], setting.canvas))
            first, last = step_px_T[[0, -1]] * setting.canvas.fps
            events.append(setting.event("moves", actor.name, f"{first:.1f} {last:.1f}"))
        name, listed = actors[0].name, spread_frames(setting.num_frames, NUM_PLACES)
        events.extend(at_events(name, tracks[0].xy_T2, setting.canvas, listed))
        return MotionClip(tracks[::-1], events, {"name": name, "options": options})  # the one asked about is on top

    def logged(self, events: Sequence[Event], facts: Facts) -> float:
        """Return the last speed over the first one."""
        event = next(e for e in events if e.kind == "moves" and e.subject == facts["name"])
        first, last = (float(speed) for speed in event.detail.split())
        return last / first

    def seen(self, witness: Witness, facts: Facts) -> float | None:
        """Fit a parabola through the places of the shape's color: its last slope over its first one."""
        step_xy_T2 = followed_steps(witness.frames_THWC, facts["name"])
        if step_xy_T2 is None:
            return None
        total_xy = step_xy_T2.sum(axis=0)
        way_px = float(np.linalg.norm(total_xy))
        gone_T = np.array([0.0, *(step_xy_T2 @ total_xy / way_px).cumsum()])
        (bend, first, _), errors = np.polyfit(np.linspace(0, 1, len(gone_T)), gone_T, 2, cov=True)
        if 2 * np.sqrt(errors[0, 0]) > MAX_ERROR * way_px:
            return None
        ratio = float(max(1e-6, first + 2 * bend) / max(1e-6, first))
        return None if UNSURE_RATIOS[0] < max(ratio, 1 / ratio) < UNSURE_RATIOS[1] else ratio

    def answer(self, measured: float, facts: Facts) -> str:
        if max(measured, 1 / measured) < CONSTANT_RATIO:
            return OPTIONS[2]
        return OPTIONS[0] if measured > 1 else OPTIONS[1]

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell where the shape is, then how its speed changes."""
        events = [event for event in plan.events if event.subject == plan.facts["name"]]
        return sorted(events, key=lambda event: event.kind)


def _steps(change: str, ratio: float, mean_step_px: float, num_steps: int) -> npt.NDArray[np.float64]:
    """Return step lengths in px, linear in time, whose mean is exactly ``mean_step_px``."""
    if change == OPTIONS[2]:
        return np.full(num_steps, mean_step_px)
    slow, fast = 2 / (1 + ratio), 2 * ratio / (1 + ratio)
    rising: npt.NDArray[np.float64] = mean_step_px * np.linspace(slow, fast, num_steps)
    return rising if change == OPTIONS[0] else rising[::-1]
