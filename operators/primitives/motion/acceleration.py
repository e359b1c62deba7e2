"""How does the speed of a shape change? (SynRL, arXiv 2603.17693, short-term: acceleration).

Speeds change in steps, at times that are chosen apart from the answer: one after another, a shape goes at a low, a
medium or a high speed. A few frames in a row mostly show one speed that stays. Which one of its clip it is, they do not
tell, because the mean speed is chosen apart from the answer too, evenly on a log scale over a factor R.

Up to level 1 the options are those of SynRL: faster, slower or constant. With r as the highest speed over the lowest
one, the best guess from the first speed alone, or from the last one, is right with (1 + ln r / ln R) / 3. That is at
most 0.48; chance is 0.33. From level 2 on every option has the same speeds, each for as long, so only their order tells
which one it is: the speed rises or falls, or it does so in turn, two to four times. Then one speed is right with
(1 + ln r / ln R) / 4, at most 0.36; chance is 0.25.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from math import ceil
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Value
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._speeds import COURSES, courses_of
from temporay.operators.primitives.motion._stage import JOINED, choose_way, followed_steps, straight_steps
from temporay.operators.records import Event
from temporay.operators.seeding import choose_one, random_cuts, shuffled

NUM_SPEEDS_BY_LEVEL = (6, 6, 6, 6, 8)  # in a clip, one after another
SHORTEST_GAPS = 1.5  # of a time with one speed
WORDS = {1: "a high", 0: "a medium", -1: "a low"}
NAMES = tuple(COURSES)
OPTIONS_BY_LEVEL = (NAMES[:3], NAMES[:3], (*NAMES[:2], *NAMES[3:5]), NAMES[3:7], NAMES[5:])
RATIO_BY_LEVEL = (2.5, 2.3, 2.5, 2.3, 2.0)  # highest speed over lowest one
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 2, 3)
TRAVEL_RANGE = (0.4, 3.2)  # parts of the frame's shorter side in the whole clip
CONSTANT, CHANGING = 0.12, 0.22  # half the change of speed over the mean speed: at most, at least; between is unsure
MOST_LEFT_OVER = 0.5  # error of the best option over that of the next one


class Acceleration(DrawnMotion[str]):
    """Question about how a shape's speed changes."""

    task = "acceleration"
    order_dependent = True
    twin = "restaged"  # the frames of a constant speed show no other answer in any order
    inherent: ClassVar[Inherent] = {
        "two_frames": (0.5, 0.5, 0.4, 0.4, 0.4),  # what speeds up is slower than its mean at first
        "one_number": (0.5, 0.5, 0.4, 0.4, 0.4),
        "few_frames": 0.4,  # some show a step from one speed to the next
    }
    gaps_by_level = (13.0, 13.0, 14.0, 15.0, 18.0)
    notes = (JOINED,)

    wordings = (
        "Is the {name} accelerating, decelerating, or moving at a constant speed?",
        "How does the speed of the {name} change?",
        "What happens to the speed of the {name} during the video?",
        "Which best describes the motion of the {name}?",
        "Does the {name} get faster, get slower, or keep its speed?",
        "As the video goes on, what is the {name} doing?",
        "Compare how fast the {name} is at first, in the middle and at the end. What is it doing?",
        "Over the clip, the {name} is doing which of these?",
    )
    phrases: ClassVar[Phrases] = {
        "speed": (
            "From {start} s to {end} s the {subject} moves at {d1} {d2} speed.",
            "The {subject} has {d1} {d2} speed from {start} s to {end} s.",
            "Between {start} s and {end} s the {subject} is seen at {d1} {d2} speed.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {"speed": ("From {start} s on at {d1} {d2} speed.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level, num_steps = setting.rng, setting.level, setting.num_frames - 1
        num_speeds = NUM_SPEEDS_BY_LEVEL[level]
        options = shuffled(rng, OPTIONS_BY_LEVEL[level])
        truth = setting.choose_truth(options)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level], cutouts=True)
        tracks, events, facts = [], [], {"name": actors[0].name, "options": options}
        for actor in actors:
            courses = courses_of(truth if actor is actors[0] else choose_one(rng, options), num_speeds)
            course = courses[int(len(courses) * rng.uniform())]
            lengths = random_cuts(rng, num_steps, num_speeds, ceil(SHORTEST_GAPS * setting.gap))
            ratio = RATIO_BY_LEVEL[level]
            speed_T = np.repeat(1 + (ratio - 1) / (ratio + 1) * np.array(course), lengths)
            travel = float(np.exp(rng.uniform(*np.log(TRAVEL_RANGE))))
            step_px_T = setting.side_px * travel * speed_T / speed_T.sum()
            angle_deg = 360.0 * int(rng.integers(NUM_ANGLES_BY_LEVEL[level])) / NUM_ANGLES_BY_LEVEL[level]
            tracks.append(choose_way(rng, actor, straight_steps(angle_deg, step_px_T), setting.canvas))
            if actor is actors[0]:
                times = np.cumsum([0, *lengths]).tolist()
                facts["times"] = [round(time / num_steps, 6) for time in times]
                changes = [0, *(n for n in range(1, num_speeds) if course[n] != course[n - 1]), num_speeds]
                for (first, last), speed in zip(pairwise(changes), _told(course), strict=True):
                    events.append(event_in(setting.canvas, "speed", actor.name, times[first], times[last], speed))
        return MotionClip(tracks[::-1], events, facts)  # the one asked about is on top

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        return {"speed": detail}

    def logged(self, events: Sequence[Event], facts: Facts) -> str:
        told = [event.detail for event in events if event.kind == "speed"]
        options: Sequence[str] = facts["options"]
        num_speeds = len(facts["times"]) - 1
        return next(name for name in options if told in map(_told, courses_of(name, num_speeds)))

    def seen(self, witness: Witness, facts: Facts) -> str | None:
        """Fit the way that each option would make to the places of the shape's color."""
        step_xy_T2 = followed_steps(witness.frames_THWC, facts["name"])
        if step_xy_T2 is None:
            return None
        total_xy = step_xy_T2.sum(axis=0)
        gone_T = np.array([0.0, *(step_xy_T2 @ total_xy / np.linalg.norm(total_xy)).cumsum()])
        gone_T /= gone_T[-1]
        num_speeds, times = len(facts["times"]) - 1, facts["times"]
        fits = {n: min(_fit(gone_T, one, times) for one in courses_of(n, num_speeds)) for n in facts["options"]}
        (best, (left, contrast)), (_, (following, _)) = sorted(fits.items(), key=lambda item: item[1][0])[:2]
        if NAMES[2] in fits and max(contrast for _, contrast in fits.values()) < CONSTANT:
            return NAMES[2]
        return best if contrast > CHANGING and left < MOST_LEFT_OVER * following else None


def _told(course: Sequence[int]) -> list[str]:
    """Return each speed of a course in words, once for as long as it stays."""
    return [WORDS[speed] for speed, _ in groupby(course)] if any(course) else ["the same"]


def _fit(gone_T: npt.NDArray[np.float64], course: Sequence[int], times: Sequence[float]) -> tuple[float, float]:
    """Return the error with which this course fits a way, and how much the speed then changes, over the mean speed.

    The last frame that is shown may be the clip's last one, or one step before its end.
    """
    fits = []
    bends = np.cumsum([0.0, *(np.diff(times) * course)])
    for last in (1.0, 1 - 1 / len(gone_T)):
        shown_T = np.linspace(0, last, len(gone_T))
        columns = [np.ones_like(gone_T), shown_T, *([np.interp(shown_T, times, bends)] if any(course) else [])]
        matrix = np.stack(columns, axis=1)
        found, *_ = np.linalg.lstsq(matrix, gone_T, rcond=None)
        contrast = float(found[2] / found[1]) if any(course) else 0.0
        fits.append((float(np.square(matrix @ found - gone_T).sum()) if contrast >= 0 else np.inf, contrast))
    return min(fits)
