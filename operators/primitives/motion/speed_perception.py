"""Which shape is the fastest? (SynRL, arXiv 2603.17693, short-term: speed perception).

Every shape has a lane with joined ends and starts anywhere on it, so one frame tells nothing. Up to level 1 each keeps
its speed. Then two frames with less than half a lap between them tell the answer: that is what a speed is.

From level 2 on every shape moves in bouts at different speeds, with rests between them. One bout goes back, so places
at the end do not tell the way. The fastest on the whole is the one that covers the longest way. All draw their speeds
from one distribution, and all move at the start and rest at the end. So two frames there say nothing. In between, the
one that gets the furthest is more often on the move.
"""

from math import ceil
from typing import ClassVar

from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives.motion._courses import gaps_of_bouts
from temporay.operators.primitives.motion._drawn_motion import MotionClip, Setting
from temporay.operators.primitives.motion._lanes import LaneRace, run_in_lanes
from temporay.operators.primitives.motion._stage import JOINED

NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 4)
MIN_RATIO_BY_LEVEL = (2.0, 1.7, 1.5, 1.4, 1.3)  # way of the fastest over that of the next
NUM_BOUTS_BY_LEVEL = (1, 1, 2, 3, 4)
SLOW_TENTHS_BY_LEVEL = ((3, 6), (3, 6), (10, 14), (13, 16), (16, 20))  # ways of the others
OVERALL = "Speeds may change: the fastest is the shape that covers the longest way in the whole video."


class SpeedPerception(LaneRace):
    """Question about the fastest of several shapes."""

    task = "speed_perception"
    # A speed is asked for.
    inherent: ClassVar[Inherent] = {
        "two_frames": (1.0, 1.0, 0.5, 0.5, 0.45),
        "few_frames": (1.0, 1.0, 0.5, 0.5, 0.45),
        "one_number": 1.0,  # the way, whose mean is the speed on the whole
        "bag_of_frames": 1.0,
    }
    notes = (OVERALL, JOINED)
    gaps_by_level = tuple(
        gaps_of_bouts(ceil(slow[1] * ratio * 1.1) + 1, bouts)
        for slow, ratio, bouts in zip(SLOW_TENTHS_BY_LEVEL, MIN_RATIO_BY_LEVEL, NUM_BOUTS_BY_LEVEL, strict=True)
    )

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

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        actors = setting.choose_actors(NUM_SHAPES_BY_LEVEL[level], cutouts=True)
        truth = setting.choose_truth(range(len(actors)))
        low, high = SLOW_TENTHS_BY_LEVEL[level]
        tenths = [low + int((high + 1 - low) * share) for share in rng.uniform(0, 1, len(actors))]
        others = [way for i, way in enumerate(tenths) if i != truth]
        tenths[truth] = ceil(MIN_RATIO_BY_LEVEL[level] * float(rng.uniform(1.0, 1.1)) * max(others))
        options = [f"the {actor.name}" for actor in actors]
        return run_in_lanes(setting, actors, tenths, NUM_BOUTS_BY_LEVEL[level], options)

    def answer(self, measured: dict[str, float], facts: Facts) -> str:
        return f"the {max(measured, key=measured.__getitem__)}"
