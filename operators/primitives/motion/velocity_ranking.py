"""In which order do the shapes stand, from the fastest to the slowest? (SynRL, arXiv 2603.17693: velocity comparison).

Lanes, bouts and rests are those of ``speed_perception``: up to level 1 each shape keeps its speed, and two frames tell
the order. From level 2 on speeds change, and the order is that of the whole ways. Each way is a ratio above the next
one, never a tie. Two frames anywhere are then right in about 0.3; chance is 0.25.

From level 3 on the options are one ranking in which two pairs of neighbors are swapped or not, so each of these pairs
has to be compared. A swap maps the options onto themselves, so none of them is most like the others.
"""

from itertools import permutations
from math import ceil
from typing import ClassVar

import numpy as np
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives.motion._courses import gaps_of_bouts
from temporay.operators.primitives.motion._drawn_motion import MotionClip, Setting
from temporay.operators.primitives.motion._lanes import LaneRace, run_in_lanes
from temporay.operators.primitives.motion._stage import JOINED
from temporay.operators.seeding import shuffled

NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 5)
RATIO_BY_LEVEL = (1.8, 1.7, 1.5, 1.35, 1.25)  # each way over the next one, at least
NUM_BOUTS_BY_LEVEL = (1, 1, 2, 3, 4)
SLOWEST_TENTHS_BY_LEVEL = ((2, 3), (2, 3), (10, 12), (13, 14), (16, 17))
SWAPPED_LEVEL = 3
MAX_OPTIONS = 4
OVERALL = "Speeds may change: a shape is faster than another if it covers a longer way in the whole video."


def _ways(slowest: int, ratio: float, num_shapes: int) -> list[int]:
    """Return whole tenths, the longest way first, each at least ``ratio`` times the next."""
    ways = [slowest]
    while len(ways) < num_shapes:
        ways.append(ceil(ways[-1] * ratio))
    return ways[::-1]


class VelocityRanking(LaneRace):
    """Question about the order of shapes by speed."""

    task = "velocity_ranking"
    # Speeds are compared.
    answer_kind = "order"
    inherent: ClassVar[Inherent] = {
        "two_frames": (1.0, 1.0, 0.5, 0.4, 0.4),
        "few_frames": (1.0, 1.0, 0.5, 0.4, 0.4),
        "one_number": 1.0,  # the way, whose mean is the speed on the whole
        "bag_of_frames": 1.0,
    }
    notes = (OVERALL, JOINED)
    gaps_by_level = tuple(
        gaps_of_bouts(_ways(slowest[1], ratio, shapes)[0], bouts)
        for slowest, ratio, shapes, bouts in zip(
            SLOWEST_TENTHS_BY_LEVEL, RATIO_BY_LEVEL, NUM_SHAPES_BY_LEVEL, NUM_BOUTS_BY_LEVEL, strict=True
        )
    )

    wordings = (
        "Rank the shapes by speed, from the fastest to the slowest.",
        "Which shape is the fastest, which comes next, and so on down to the slowest?",
        "In what order do the shapes stand when sorted from fastest to slowest?",
        "Compare the velocities of the shapes. Which ranking, fastest first, is right?",
        "Which option lists the shapes by decreasing speed?",
        "Sort the shapes by how fast they move, the quickest first.",
        "Order the moving shapes from highest to lowest speed.",
        "How do the speeds of the shapes compare, beginning with the fastest?",
    )

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        num_shapes = NUM_SHAPES_BY_LEVEL[level]
        rankings = _choose_rankings(rng, num_shapes, swapped=level >= SWAPPED_LEVEL)
        ranking = setting.choose_truth(rankings)
        actors = setting.choose_actors(num_shapes, cutouts=True)
        low, high = SLOWEST_TENTHS_BY_LEVEL[level]
        ways = _ways(int(rng.integers(low, high + 1)), RATIO_BY_LEVEL[level], num_shapes)
        tenths = [ways[ranking.index(i)] for i in range(num_shapes)]
        options = [", ".join(actors[i].name for i in ranking) for ranking in rankings]
        return run_in_lanes(setting, actors, tenths, NUM_BOUTS_BY_LEVEL[level], options)

    def answer(self, measured: dict[str, float], facts: Facts) -> str:
        return ", ".join(sorted(measured, key=lambda name: -measured[name]))


def _choose_rankings(rng: np.random.Generator, num_shapes: int, *, swapped: bool) -> list[list[int]]:
    """Choose different orders of the shapes: any, or one order in which two pairs of neighbors are swapped or not."""
    if not swapped:
        every = list(permutations(range(num_shapes)))
        return [list(every[i]) for i in rng.choice(len(every), min(MAX_OPTIONS, len(every)), replace=False)]
    base = rng.permutation(num_shapes)
    first = int(rng.integers(num_shapes - 3))  # neighbors in rank: the hardest to tell apart
    second = int(rng.integers(first + 2, num_shapes - 1))
    rankings = []
    for pairs in ((), (first,), (second,), (first, second)):
        ranking = base.copy()
        for rank in pairs:
            ranking[[rank, rank + 1]] = ranking[[rank + 1, rank]]
        rankings.append(ranking.tolist())
    return shuffled(rng, rankings)
