"""Which shape is the fastest? (SynRL, arXiv 2603.17693, short-term: speed perception).

All shapes start anywhere on a frame whose edges are joined, and each has a direction of its own. So one frame tells
nothing. How far a shape gets in the whole clip tells the answer, in any order of the frames.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._races import SPEED_PHRASES, choose_race, logged_speeds, seen_speeds
from temporay.operators.primitives.motion._stage import AT_PHRASES
from temporay.operators.records import Event, Question, ScenePlan

NUM_SHAPES_BY_LEVEL = (2, 2, 3, 3, 4)
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
MIN_RATIO_BY_LEVEL = (2.0, 1.7, 1.6, 1.4, 1.3)  # fastest over second fastest
SLOW_TRAVEL = (0.2, 0.35)  # parts of the frame's shorter side in the whole clip
SURE_RATIO = 1.1  # fastest over second fastest, as the frames show it


class SpeedPerception(DrawnMotion[dict[str, float]]):
    """Question about the fastest of several shapes."""

    task = "speed_perception"
    # A speed is asked for.
    inherent: ClassVar[Inherent] = {"two_frames": 1.0, "few_frames": 1.0, "one_number": 1.0, "bag_of_frames": 1.0}
    order_dependent = False
    twin = "restaged"  # the fastest shape is the fastest in any order of the frames
    concise = "{paths}. The fastest is {answer}."

    wordings = (
        "Which shape moves the fastest?",
        "Which of the shapes has the highest speed?",
        "All shapes move. Which one is the fastest?",
        "Compare the speeds of the shapes. Which one is moving fastest?",
        "Which shape covers the most ground per second?",
        "Which of the moving shapes is quickest?",
        "Watch how fast each shape goes. Which one leads?",
        "Which option names the shape with the greatest speed?",
    )
    phrases: ClassVar[Phrases] = {"at": AT_PHRASES, "moves": SPEED_PHRASES}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        actors = setting.choose_actors(NUM_SHAPES_BY_LEVEL[level], cutouts=True)
        truth = setting.choose_truth(range(len(actors)))
        travels = rng.uniform(*SLOW_TRAVEL, len(actors))
        ratio = MIN_RATIO_BY_LEVEL[level] * float(rng.uniform(1.0, 1.2))
        travels[truth] = ratio * max(np.delete(travels, truth))
        tracks, events = choose_race(setting, actors, travels.tolist(), NUM_ANGLES_BY_LEVEL[level])
        return MotionClip(tracks, events, facts={"names": [actor.name for actor in actors]})

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        return tuple(f"the {name}" for name in facts["names"])

    def logged(self, events: Sequence[Event], facts: Facts) -> dict[str, float]:
        return logged_speeds(events)

    def seen(self, witness: Witness, facts: Facts) -> dict[str, float] | None:
        """Follow each color from frame to frame."""
        speeds = seen_speeds(witness, facts["names"])
        if speeds is None:
            return None
        second, first = sorted(speeds.values())[-2:]
        return speeds if first > SURE_RATIO * second else None

    def answer(self, measured: dict[str, float], facts: Facts) -> str:
        return f"the {max(measured, key=measured.__getitem__)}"

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell one shape after the other: where it is, then how fast it is."""
        return plan.events
