"""How does the speed of a shape change? (SynRL, arXiv 2603.17693, short-term: acceleration).

The mean speed is chosen apart from the answer, evenly on a log scale over a factor R. Speeds change by a factor r. Up
to level 1 the options are those of SynRL: faster, slower or constant. Then the best guess from the first speed alone,
or from the last one, is right with (1 + ln r / ln R) / 3. That is at most 0.48; chance is 0.33. Whether there is more
than one speed tells more: 0.67.

From level 2 on every option has the same speeds, each for the same time, so only their order tells which one it is: the
speed rises or falls, or it does so in turn, two or three times. The first speed alone, or the last one, is right with
(1 + ln r / ln R) / 4, at most 0.36; chance is 0.25. Two speeds at the two ends tell a rise from a fall, but no more.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Value
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import JOINED, choose_way, followed_steps, straight_steps
from temporay.operators.records import Event
from temporay.operators.seeding import choose_one, shuffled

PHASES = {  # of each option: 1 where the speed rises, -1 where it falls, each for the same time
    "accelerating": (1,),
    "decelerating": (-1,),
    "moving at a constant speed": (0,),
    "speeding up, then slowing down": (1, -1),
    "slowing down, then speeding up": (-1, 1),
    "speeding up, slowing down, then speeding up again": (1, -1, 1),
    "slowing down, speeding up, then slowing down again": (-1, 1, -1),
}
NAMES = tuple(PHASES)
OPTIONS_BY_LEVEL = (NAMES[:3], NAMES[:3], (*NAMES[:2], *NAMES[3:5]), NAMES[3:], NAMES[3:])
RATIO_BY_LEVEL = (2.5, 2.3, 2.5, 2.3, 2.0)  # highest speed over lowest one
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 2, 3)
TRAVEL_RANGE = (0.3, 2.4)  # parts of the frame's shorter side in the whole clip
TOLD_SHARE = 0.08  # of the clip, before a time and after it: how long the speed at this time is told
CONSTANT, CHANGING = 0.12, 0.22  # half the change of speed over the mean speed: at most, at least; between is unsure
MOST_LEFT_OVER = 0.5  # error of the best option over that of the next one


class Acceleration(DrawnMotion[str]):
    """Question about how a shape's speed changes."""

    task = "acceleration"
    # What speeds up is slower than its mean at first.
    order_dependent = True
    twin = "restaged"  # the frames of a constant speed show no other answer in any order
    inherent: ClassVar[Inherent] = {
        "two_frames": (0.52, 0.52, 0.4, 0.4, 0.4),
        "one_number": (0.7, 0.7, 0.4, 0.4, 0.4),  # the highest speed over the mean one
        "few_frames": (0.67, 0.67, 0.88, 0.88, 0.88),  # three exact places tell whether the speed rises or falls there
        "num_events": (0.7, 0.7, 0.3, 0.3, 0.3),
    }
    gaps_by_level = (9.0, 9.0, 11.0, 13.0, 15.0)
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
            "Now the {subject} moves at {d1} {d2} speed.",
            "Next the {subject} has {d1} {d2} speed.",
            "The {subject} is seen at {d1} {d2} speed.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {"speed": ("At {d1} {d2} speed.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level, num_steps = setting.rng, setting.level, setting.num_frames - 1
        options = shuffled(rng, OPTIONS_BY_LEVEL[level])
        truth = setting.choose_truth(options)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level], cutouts=True)
        tracks = []
        for actor in actors:
            change = truth if actor is actors[0] else choose_one(rng, options)
            travel = float(np.exp(rng.uniform(*np.log(TRAVEL_RANGE))))
            ratio = RATIO_BY_LEVEL[level]
            speed_T = 1 + (ratio - 1) / (ratio + 1) * _wave(PHASES[change], np.linspace(0, 1, num_steps))
            step_px_T = setting.side_px * travel * speed_T / speed_T.sum()
            angle_deg = 360.0 * int(rng.integers(NUM_ANGLES_BY_LEVEL[level])) / NUM_ANGLES_BY_LEVEL[level]
            tracks.append(choose_way(rng, actor, straight_steps(angle_deg, step_px_T), setting.canvas))
        name, events = actors[0].name, []
        for time, speed in zip(_times(options), _told_speeds(truth, options), strict=True):
            start, end = max(0.0, time - TOLD_SHARE) * num_steps, min(1.0, time + TOLD_SHARE) * num_steps
            events.append(event_in(setting.canvas, "speed", name, start, end, speed))
        return MotionClip(tracks[::-1], events, {"name": name, "options": options})  # the one asked about is on top

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        return {"speed": detail}

    def logged(self, events: Sequence[Event], facts: Facts) -> str:
        told = [event.detail for event in events if event.kind == "speed"]
        options: Sequence[str] = facts["options"]
        return next(name for name in options if _told_speeds(name, options) == told)

    def seen(self, witness: Witness, facts: Facts) -> str | None:
        """Fit the way that each option would make to the places of the shape's color."""
        step_xy_T2 = followed_steps(witness.frames_THWC, facts["name"])
        if step_xy_T2 is None:
            return None
        total_xy = step_xy_T2.sum(axis=0)
        gone_T = np.array([0.0, *(step_xy_T2 @ total_xy / np.linalg.norm(total_xy)).cumsum()])
        fits = {name: _fit(gone_T / gone_T[-1], PHASES[name]) for name in facts["options"]}
        (best, (left, contrast)), (_, (following, _)) = sorted(fits.items(), key=lambda item: item[1][0])[:2]
        if NAMES[2] in fits and max(contrast for _, contrast in fits.values()) < CONSTANT:
            return NAMES[2]
        return best if contrast > CHANGING and left < MOST_LEFT_OVER * following else None


def _nodes(phases: Sequence[int]) -> list[int]:
    """Return whether the speed is high (1) or low (-1) at the beginning and after every phase."""
    return [-phases[0], *phases]


def _times(options: Sequence[str]) -> list[float]:
    """Return when speeds are told, from 0 to 1: where a phase of any option ends, so that the times tell no answer."""
    return sorted({i / len(PHASES[name]) for name in options for i in range(len(PHASES[name]) + 1)})


def _told_speeds(name: str, options: Sequence[str]) -> list[str]:
    """Return the speed of this course at each of the times, in words."""
    if not any(PHASES[name]):
        return ["the same"] * len(_times(options))
    words = {1: "a high", 0: "a medium", -1: "a low"}
    return [
        words[round(float(speed) - 0.2 * np.sign(speed))] for speed in _wave(PHASES[name], np.array(_times(options)))
    ]


def _wave(phases: Sequence[int], time_T: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the speed at times from 0 to 1: between -1 and 1, going straight up or down in each phase."""
    return np.asarray(np.interp(time_T, np.linspace(0, 1, len(phases) + 1), _nodes(phases)))


def _fit(gone_T: npt.NDArray[np.float64], phases: Sequence[int]) -> tuple[float, float]:
    """Return the error with which this course fits a way, and how much the speed then changes, over the mean speed.

    The last frame that is shown may be the clip's last one, or one step before its end.
    """
    fits = []
    for last in (1.0, 1 - 1 / len(gone_T)):
        fine = np.linspace(0, last, 20 * (len(gone_T) - 1) + 1)
        bend_T = np.concatenate([[0.0], (_wave(phases, fine)[1:] + _wave(phases, fine)[:-1]).cumsum() / 2])[::20]
        bend_T *= fine[1]
        columns = np.stack([np.ones_like(gone_T), fine[::20], bend_T], axis=1)
        if not any(phases):
            columns = columns[:, :2]
        found, *_ = np.linalg.lstsq(columns, gone_T, rcond=None)
        contrast = float(found[2] / found[1]) if any(phases) else 0.0
        fits.append((float(np.square(columns @ found - gone_T).sum()) if contrast >= 0 else np.inf, contrast))
    return min(fits)
