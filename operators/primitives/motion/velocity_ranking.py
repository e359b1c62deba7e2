"""In which order do the shapes stand, from the fastest to the slowest? (SynRL, arXiv 2603.17693: velocity comparison).

Each speed is a ratio above the next one, never a tie. From level 3 on the options are one ranking in which two pairs of
neighbors are swapped or not, so each of these pairs has to be compared. A swap maps the options onto themselves, so
none of them is most like the others.
"""

from collections.abc import Sequence
from itertools import permutations
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._races import SPEED_PHRASES, choose_race, logged_speeds, seen_speeds
from temporay.operators.primitives.motion._stage import AT_PHRASES
from temporay.operators.records import Event, Question, ScenePlan
from temporay.operators.seeding import shuffled

NUM_SHAPES_BY_LEVEL = (3, 3, 3, 4, 5)
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
MIN_RATIO_BY_LEVEL = (1.8, 1.7, 1.6, 1.45, 1.32)  # each speed over the next one
RATIO_SPREAD = 1.1
SLOWEST_TRAVEL = (0.15, 0.22)  # parts of the frame's shorter side in the whole clip
SWAPPED_LEVEL = 3
NUM_OPTIONS = 4
SURE_RATIO = 1.12  # each speed over the next one, as the frames show it


class VelocityRanking(DrawnMotion[dict[str, float]]):
    """Question about the order of shapes by speed."""

    task = "velocity_ranking"
    # Speeds are compared.
    inherent: ClassVar[Inherent] = {"two_frames": 1.0, "few_frames": 1.0, "one_number": 1.0, "bag_of_frames": 1.0}
    answer_kind = "order"
    order_dependent = False
    twin = "restaged"  # speeds compare alike in any order of the frames
    concise = "{paths}. From fastest to slowest: {answer}."

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
    phrases: ClassVar[Phrases] = {"at": AT_PHRASES, "moves": SPEED_PHRASES}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        num_shapes = NUM_SHAPES_BY_LEVEL[level]
        rankings = _choose_rankings(rng, num_shapes, swapped=level >= SWAPPED_LEVEL)
        ranking = setting.choose_truth(rankings)
        actors = setting.choose_actors(num_shapes, cutouts=True)
        ratios = MIN_RATIO_BY_LEVEL[level] * rng.uniform(1.0, RATIO_SPREAD, num_shapes - 1)
        rising = rng.uniform(*SLOWEST_TRAVEL) * np.cumprod([1.0, *ratios])
        travels = [float(rising[::-1][ranking.index(i)]) for i in range(num_shapes)]
        tracks, events = choose_race(setting, actors, travels, NUM_ANGLES_BY_LEVEL[level])
        return MotionClip(tracks, events, {"rankings": [[actors[i].name for i in ranking] for ranking in rankings]})

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        return tuple(", ".join(ranking) for ranking in facts["rankings"])

    def logged(self, events: Sequence[Event], facts: Facts) -> dict[str, float]:
        return logged_speeds(events)

    def seen(self, witness: Witness, facts: Facts) -> dict[str, float] | None:
        """Follow each color from frame to frame."""
        speeds = seen_speeds(witness, facts["rankings"][0])
        if speeds is None:
            return None
        falling = np.sort(list(speeds.values()))[::-1]
        return None if (falling[:-1] < SURE_RATIO * falling[1:]).any() else speeds

    def answer(self, measured: dict[str, float], facts: Facts) -> str:
        return ", ".join(sorted(measured, key=lambda name: -measured[name]))

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell one shape after the other: where it is, then how fast it is."""
        return plan.events


def _choose_rankings(rng: np.random.Generator, num_shapes: int, *, swapped: bool) -> list[list[int]]:
    """Choose different orders of the shapes: any, or one order in which two pairs of neighbors are swapped or not."""
    if not swapped:
        every = list(permutations(range(num_shapes)))
        return [list(every[i]) for i in rng.choice(len(every), NUM_OPTIONS, replace=False)]
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
