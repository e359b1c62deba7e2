"""Which way does a shape move? (SynRL, arXiv 2603.17693, short-term: direction).

The shape starts anywhere and the frame's edges are joined. Each leg is between half a frame and one and a half frames
long, at level 1 a frame longer, evenly spread. So the shape ends anywhere too. Its speeds are chosen apart from the
direction.

Up to level 1 the way is one leg. Two frames close to each other tell its direction: that is what a direction is. The
first and the last frame tell its axis, and so are right in 0.5; chance is 0.25.

From level 2 on the way has two to four legs, across and along in turn. In the four options every leg goes either way
twice, so no leg decides. Two frames close to each other are right in 0.5, those at the two ends by chance.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent, Phrases, by_start
from temporay.operators.primitives._stated import Value, direction_of
from temporay.operators.primitives.motion._courses import choose_cuts
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import JOINED, OPPOSITE, VECTORS, choose_way, followed_steps, to_the
from temporay.operators.primitives.motion._told_paths import (
    PLACE_PHRASES,
    TENTHS,
    at_events,
    edge_events,
    spread_frames,
)
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

NUM_DIRECTIONS_BY_LEVEL = (4, 4, 8, 8, 8)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
NUM_LEGS_BY_LEVEL = (1, 1, 2, 3, 4)
SHORTEST_BY_LEVEL = (0.5, 1.5, 0.5, 0.5, 0.5)  # leg, in parts of the frame
WIDTH = 1.0  # of what a leg may be longer, likewise: so its end can be anywhere
MOST_IN_GAP = 0.375  # of the frame, in each of the longest gaps between shown frames
LEG_GAPS_BY_LEVEL = tuple((shortest + WIDTH) / MOST_IN_GAP for shortest in SHORTEST_BY_LEVEL)  # of the shortest leg
LEG_SIGNS = {  # whether each leg goes its axis' first way, by option: of every leg two options go either way
    1: ((1,), (-1,)),
    2: ((1, 1), (1, -1), (-1, 1), (-1, -1)),
    3: ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)),
    4: ((1, 1, 1, 1), (1, -1, -1, -1), (-1, 1, -1, 1), (-1, -1, 1, -1)),
}
SURE = 0.2  # parts of the whole way by which the best option is ahead
PATH_WORDINGS = (
    "What is the movement path of the {name}?",
    "The {name} changes its direction. Which way does it go, leg by leg?",
    "In which directions does the {name} move, one after the other?",
    "Which option describes the way the {name} takes?",
    "Watch the {name}. Where does it go first, and where then?",
    "Which path does the {name} follow?",
    "The {name} travels in several legs. Which ones, in their order?",
    "How does the {name} move at first, and how after each turn?",
)


class MotionDirection(DrawnMotion[list[str]]):
    """Question about the direction of a way, or of its legs."""

    task = "motion_direction"
    inherent: ClassVar[Inherent] = {
        "two_frames": (1.0, 1.0, 0.55, 0.55, 0.55),
        "few_frames": (1.0, 1.0, 0.75, 0.6, 0.6),
        "first_and_last_frame": (0.5, 0.5, 0.0, 0.0, 0.0),
        "net_displacement": (0.5, 0.5, 0.4, 0.4, 0.4),
        "bag_of_frames": (0.5, 0.5, 0.3, 0.3, 0.3),
    }
    gaps_by_level = tuple(1.15 * gaps * legs for gaps, legs in zip(LEG_GAPS_BY_LEVEL, NUM_LEGS_BY_LEVEL, strict=True))
    concise = "{paths}. It moves {answer}."
    notes = (JOINED, TENTHS)

    wordings = (
        "In which direction does the {name} move?",
        "Which way is the {name} moving?",
        "The {name} travels through the video. In which direction?",
        "What is the direction of motion of the {name}?",
        "Where is the {name} heading?",
        "Watch the {name}. Which way does it go?",
        "Which option gives the direction in which the {name} travels?",
        "Over the clip, how does the {name} shift its place?",
    )
    phrases: ClassVar[Phrases] = {
        **PLACE_PHRASES,
        "moves": (
            "So the {subject} goes {detail}.",
            "This means that the {subject} moves {detail}.",
            "On this leg the {subject} heads {detail}.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level, canvas, num_frames = setting.rng, setting.level, setting.canvas, setting.num_frames
        names = list(VECTORS)[: NUM_DIRECTIONS_BY_LEVEL[level]]
        num_legs, least = NUM_LEGS_BY_LEVEL[level], SHORTEST_BY_LEVEL[level]
        options = _choose_options(rng, names, num_legs)
        truth = setting.choose_truth(options)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level], cutouts=True)
        tracks, events = [], []
        for actor in actors:
            legs = truth if actor is actors[0] else tuple(choose_one(rng, names) for _ in range(num_legs))
            shortest = int(LEG_GAPS_BY_LEVEL[level] * setting.gap)
            ends = [0, *choose_cuts(rng, num_frames - 1, num_legs, shortest), num_frames - 1]
            steps = [
                # Each axis that a leg goes along counts as a whole frame.
                np.tile(np.sign(VECTORS[leg]) * rng.uniform(least, least + WIDTH) / (end - start), (end - start, 1))
                for leg, (start, end) in zip(legs, pairwise(ends), strict=True)
            ]
            track = choose_way(rng, actor, np.concatenate(steps) * setting.size_xy, canvas)
            tracks.append(track)
            if actor is actors[0]:
                for leg, (start, end) in zip(legs, pairwise(ends), strict=True):
                    events.append(setting.event_in("moves", actor.name, start, end, leg))
                listed = {start + frame for start, end in pairwise(ends) for frame in spread_frames(end - start + 1)}
                events.extend(edge_events(actor.name, track.xy_T2, canvas))
                events.extend(at_events(actor.name, track.xy_T2, canvas, sorted(listed)))
        # the shape asked about is painted last
        return MotionClip(tracks[::-1], events, {"name": actors[0].name, "legs": [list(legs) for legs in options]})

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return self.wordings if len(facts["legs"][0]) == 1 else PATH_WORDINGS

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        return tuple(_option(legs) for legs in facts["legs"])

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        return direction_of(detail)

    def logged(self, events: Sequence[Event], facts: Facts) -> list[str]:
        legs = [event for event in events if event.kind == "moves" and event.subject == facts["name"]]
        return [leg.detail for leg in by_start(legs)]

    def seen(self, witness: Witness, facts: Facts) -> list[str] | None:
        """Add up the steps of the shape's color between frames, around the joined edges.

        For every option this is how far the steps go along its legs, wherever it turns. The right one goes the whole
        way.
        """
        step_xy_T2 = followed_steps(witness.frames_THWC, facts["name"])
        step_xy_T2 /= witness.frames_THWC.shape[2:0:-1]
        along = [_along(step_xy_T2, legs) for legs in facts["legs"]]
        second, best = np.sort(along)[-2:]
        legs: list[str] = facts["legs"][int(np.argmax(along))]
        return legs if best - second > SURE * np.linalg.norm(step_xy_T2, axis=1).sum() / len(legs) else None

    def answer(self, measured: list[str], facts: Facts) -> str:
        return _option(measured)

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        """Tell where the shape is on every leg, then the leg's direction."""
        return sorted(plan.events, key=lambda event: (event.end_ms, event.kind == "moves"))


def _option(legs: Sequence[str]) -> str:
    if len(legs) == 1:
        return legs[0]
    first, *others = map(to_the, legs)
    return ", ".join([f"first {first}", *(f"then {leg}" for leg in others)])


def _choose_options(rng: np.random.Generator, names: list[str], num_legs: int) -> list[tuple[str, ...]]:
    """Choose four ways along two axes that are square to each other."""
    axes = [name for name in names if names.index(name) < names.index(OPPOSITE[name])]
    pair = 2 * int(rng.integers(len(axes) // 2))
    one, other = shuffled(rng, axes[pair : pair + 2])
    if num_legs == 1:
        return shuffled(rng, [(leg,) for axis in (one, other) for leg in (axis, OPPOSITE[axis])])
    along = [one, other] * num_legs
    ways = [
        tuple(axis if sign > 0 else OPPOSITE[axis] for axis, sign in zip(along, signs, strict=False))
        for signs in LEG_SIGNS[num_legs]
    ]
    return shuffled(rng, ways)


def _along(step_xy_T2: npt.NDArray[np.float64], legs: Sequence[str]) -> float:
    """Return the most that steps go along these legs one after the other, over all places to turn."""
    best_L = np.full(len(legs), -np.inf)
    best_L[0] = 0.0
    along_TL = step_xy_T2 @ np.array([VECTORS[leg] for leg in legs]).T
    for along_L in along_TL:
        best_L = np.maximum(best_L, np.concatenate([[-np.inf], best_L[:-1]])) + along_L
    return float(best_L.max())
