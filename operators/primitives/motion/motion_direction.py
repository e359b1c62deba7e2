"""Which way does a shape move? (SynRL, arXiv 2603.17693, short-term: direction).

The shape starts anywhere and the frame's edges are joined, so no single frame tells where it goes. The clip's length
and the shape's speed are chosen apart from the direction.

From level 3 on the way has two legs, "first to the left, then up". The options are two legs a and b in both orders, and
the opposites of these. Each direction comes first once and last once, so no option is the odd one out. The same frames
backwards (the opposite of b, then of a) have one of the other options as their answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Value, direction_of
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._races import DIRECTION_PHRASES
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    OPPOSITE,
    VECTORS,
    at_events,
    choose_way,
    followed_steps,
    spread_frames,
)
from temporay.operators.records import Event, Question, ScenePlan, Track
from temporay.operators.seeding import choose_one, shuffled

NUM_DIRECTIONS_BY_LEVEL = (4, 4, 8, 8, 8)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
TRAVEL_RANGE = (
    0.35,
    0.63,
)  # parts of the frame's shorter side in the whole clip: a few sampled frames still show the way
NUM_LEGS_BY_LEVEL = (1, 1, 1, 2, 2)
LEG_TRAVEL_RANGE = (0.25, 0.4)  # parts of the frame's shorter side
TURN_RANGE = (0.35, 0.65)  # parts of the clip
PATH_WORDINGS = (
    "What is the movement path of the {name}?",
    "The {name} turns once. Which way does it go before and after?",
    "In which two directions does the {name} move, one after the other?",
    "Which option describes the way the {name} takes?",
    "Watch the {name}. Where does it go first, and where then?",
    "Which path does the {name} follow?",
    "The {name} travels in two legs. Which ones, in their order?",
    "How does the {name} move at first, and how after its turn?",
)


class MotionDirection(DrawnMotion[list[str]]):
    """Question about the direction of a way, or of its two legs."""

    task = "motion_direction"
    # One leg is a direction; a bag leaves its sense open.
    inherent: ClassVar[Inherent] = {
        "two_frames": (1.0, 1.0, 0.0, 0.0, 0.0),
        "few_frames": (1.0, 1.0, 0.0, 0.0, 0.0),
        "bag_of_frames": 0.55,
    }
    order_dependent = True
    twin = "reversed"
    concise = "{paths}. It moves {answer}."

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
    phrases: ClassVar[Phrases] = {"at": AT_PHRASES, "moves": DIRECTION_PHRASES}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level, num_frames = setting.rng, setting.level, setting.num_frames
        names = list(VECTORS)[: NUM_DIRECTIONS_BY_LEVEL[level]]
        num_legs = NUM_LEGS_BY_LEVEL[level]
        options = _two_axes(rng, names, num_legs)
        truth = choose_one(rng, options)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level], cutouts=True)
        others = [tuple(choose_one(rng, names) for _ in range(num_legs)) for _ in actors[1:]]
        tracks: list[Track] = []
        events: list[Event] = []
        listed: list[int] = []
        for actor, legs in zip(actors, (truth, *others), strict=True):
            step_xy_T2, turns = _choose_steps(rng, legs, setting.side_px, num_frames)
            track = choose_way(rng, actor, step_xy_T2, setting.canvas)
            if setting.address.twin:  # the same frames backwards
                track = replace(track, xy_T2=track.xy_T2[::-1])
                legs = tuple(OPPOSITE[leg] for leg in reversed(legs))
                turns = [num_frames - 1 - turn for turn in reversed(turns)]
            tracks.append(track)
            for leg, (start, end) in zip(legs, pairwise([0, *turns, num_frames]), strict=True):
                events.append(event_in(setting.canvas, "moves", actor.name, start, end, leg))
            listed = listed or _listed_frames(num_frames, turns)
        name = actors[0].name
        events.extend(at_events(name, tracks[0].xy_T2, setting.canvas, listed))
        # the shape asked about is painted last
        return MotionClip(tracks[::-1], events, {"name": name, "legs": [list(legs) for legs in options]})

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return self.wordings if len(facts["legs"][0]) == 1 else PATH_WORDINGS

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        return tuple(_option(legs) for legs in facts["legs"])

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        return direction_of(detail)

    def logged(self, events: Sequence[Event], facts: Facts) -> list[str]:
        legs = [event for event in events if event.kind == "moves" and event.subject == facts["name"]]
        return [leg.detail for leg in sorted(legs, key=lambda event: event.start_ms)]

    def seen(self, witness: Witness, facts: Facts) -> list[str] | None:
        """Add up the steps of the shape's color between frames, around the joined edges.

        For every option and every turning point, this is how far the steps go along its legs. The right one goes the
        whole way.
        """
        step_xy_T2 = followed_steps(witness.frames_THWC, facts["name"])
        if step_xy_T2 is None:
            return None
        gone_xy_T2 = np.concatenate([np.zeros((1, 2)), step_xy_T2.cumsum(axis=0)])
        along = [_along(gone_xy_T2, legs) for legs in facts["legs"]]
        legs: list[str] = facts["legs"][int(np.argmax(along))]
        return legs if max(along) > 0.9 * np.linalg.norm(step_xy_T2, axis=1).sum() else None

    def answer(self, measured: list[str], facts: Facts) -> str:
        return _option(measured)

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell where the shape is; of two legs also the direction of each, after the places on it."""
        legs = [e for e in plan.events if e.kind == "moves" and e.subject == plan.facts["name"]]
        places = [e for e in plan.events if e.kind == "at"]
        return places if len(legs) == 1 else sorted([*places, *legs], key=lambda event: event.end_ms)


def _option(legs: list[str]) -> str:
    if len(legs) == 1:
        return legs[0]
    first, then = (f"to the {leg}" if leg in ("left", "right") else leg for leg in legs)
    return f"first {first}, then {then}"


def _two_axes(rng: np.random.Generator, names: list[str], num_legs: int) -> list[tuple[str, ...]]:
    """Choose four ways along two axes, so that no option is the odd one out and a twin's answer is among them."""
    axes = [name for name in names if names.index(name) < names.index(OPPOSITE[name])]
    one, other = (axes[i] for i in rng.choice(len(axes), 2, replace=False))
    ways: list[tuple[str, ...]] = [(one,), (other,), (OPPOSITE[one],), (OPPOSITE[other],)]
    if num_legs == 2:
        if rng.integers(2):
            one = OPPOSITE[one]
        ways = [(one, other), (other, one), (OPPOSITE[other], OPPOSITE[one]), (OPPOSITE[one], OPPOSITE[other])]
    return shuffled(rng, ways)


def _choose_steps(
    rng: np.random.Generator, legs: tuple[str, ...], side_px: int, num_frames: int
) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Choose (T-1, 2) px steps along these legs, each at its own speed, and the frames at which they turn."""
    num_steps = num_frames - 1
    if len(legs) == 1:
        step_px = side_px * float(rng.uniform(*TRAVEL_RANGE)) / num_steps
        return np.tile(np.array(VECTORS[legs[0]]) * step_px, (num_steps, 1)), []
    turn = round(num_steps * float(rng.uniform(*TURN_RANGE)))
    parts = [
        np.tile(np.array(VECTORS[leg]) * side_px * float(rng.uniform(*LEG_TRAVEL_RANGE)) / count, (count, 1))
        for leg, count in zip(legs, (turn, num_steps - turn), strict=True)
    ]
    return np.concatenate(parts), [turn]


def _listed_frames(num_frames: int, turns: list[int]) -> list[int]:
    """Return the frames whose places are told: evenly spaced ones, or the ends and the middle of every leg."""
    if not turns:
        return spread_frames(num_frames)
    ends = [0, *turns, num_frames - 1]
    return sorted({*ends, *((start + end) // 2 for start, end in pairwise(ends))})


def _along(gone_xy_T2: npt.NDArray[np.float64], legs: list[str]) -> float:
    """Return the most px that a way goes along these legs one after the other, over all places to turn."""
    if len(legs) == 1:
        return float(np.dot(VECTORS[legs[0]], gone_xy_T2[-1]))
    first, then = (np.array(VECTORS[leg]) for leg in legs)
    return float((gone_xy_T2 @ first + (gone_xy_T2[-1] - gone_xy_T2) @ then).max())
