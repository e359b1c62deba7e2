"""Which way does a shape move? (SynRL, arXiv 2603.17693, short-term: direction.)

The shape starts anywhere and the frame's edges are joined, so no single frame says where it goes; the clip's length
and the shape's speed are drawn apart from the direction.

From level 3 on the way has two legs, "first to the left, then up". The options are two legs a and b in both orders and
the opposites of these: each direction comes first once and last once, no option is the odd one out, and the same
frames backwards (the opposite of b, then of a) have one of the others as their answer.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, follow, steps
from temporay.operators.primitives._base import Primitive, Style, Twin
from temporay.operators.primitives._claims import Claim, Phrases
from temporay.operators.primitives.motion._races import DIRECTION_PHRASES
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    OPPOSITE,
    VECTORS,
    at_events,
    choose_actors,
    choose_num_frames,
    color_of,
    drawn_plan,
    frame_ms,
    read_path,
    spread_frames,
    tell_path,
    to_track,
    torus_path,
)
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

NUM_DIRECTIONS_BY_LEVEL = (4, 4, 8, 8, 8)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
TRAVEL_RANGE = (0.35, 0.63)  # of the frame's shorter side in the whole clip: a few sampled frames still show the way
NUM_LEGS_BY_LEVEL = (1, 1, 1, 2, 2)
LEG_TRAVEL_RANGE = (0.25, 0.4)  # of the frame's shorter side
TURN_RANGE = (0.35, 0.65)  # of the clip
WORDINGS = (
    "In which direction does the {name} move?",
    "Which way is the {name} moving?",
    "The {name} travels through the video. In which direction?",
    "What is the direction of motion of the {name}?",
    "Where is the {name} heading?",
    "Watch the {name}. Which way does it go?",
    "Which option gives the direction in which the {name} travels?",
    "Over the clip, how does the {name} shift its place?",
)
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


class MotionDirection(Primitive):
    task: ClassVar[str] = "motion_direction"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reversed"
    edge_limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    phrases: ClassVar[Phrases] = {"at": AT_PHRASES, "moves": DIRECTION_PHRASES}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        names = list(VECTORS)[: NUM_DIRECTIONS_BY_LEVEL[address.level]]
        num_legs = NUM_LEGS_BY_LEVEL[address.level]
        options = _two_axes(rng, names, num_legs)
        truth = options[int(rng.integers(4))]
        actors = choose_actors(rng, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level, scenes)
        others = [tuple(names[int(rng.integers(len(names)))] for _ in range(num_legs)) for _ in actors[1:]]
        num_frames = choose_num_frames(address, canvas)
        tracks: list[Track] = []
        moves: list[Event] = []
        for actor, legs in zip(actors, (truth, *others), strict=True):
            step_xy_T2, turns = _choose_steps(rng, legs, min(canvas.width, canvas.height), num_frames)
            start_xy = rng.uniform((0.0, 0.0), (canvas.width, canvas.height))
            track = to_track(actor, torus_path(start_xy, step_xy_T2, canvas), wraps=True)
            if address.twin:  # the same frames backwards
                track = replace(track, xy_T2=track.xy_T2[::-1])
                legs = tuple(OPPOSITE[leg] for leg in reversed(legs))
                turns = [num_frames - 1 - turn for turn in reversed(turns)]
            tracks.append(track)
            moves.extend(_leg_events(actor.name, legs, [0, *turns, num_frames], canvas))
            if actor is actors[0]:
                listed = _listed_frames(num_frames, turns)
        facts = {"name": actors[0].name, "legs": [list(legs) for legs in options]}
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=(*moves, *at_events(actors[0].name, tracks[0].xy_T2, canvas, listed)),
            facts={**facts, "wording": int(rng.integers(len(WORDINGS)))},
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], plan.facts["legs"]
        legs = sorted((e for e in plan.events if e.kind == "moves" and e.subject == name), key=lambda e: e.start_ms)
        wordings = WORDINGS if len(legs) == 1 else PATH_WORDINGS
        return Question(
            text=wordings[plan.facts["wording"]].format(name=name),
            options=tuple(_option(option) for option in options),
            answer_index=options.index([leg.detail for leg in legs]),
        )

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """Where the shape is; of two legs also the direction of each, after the places on it."""
        legs = [e for e in plan.events if e.kind == "moves" and e.subject == plan.facts["name"]]
        places = [e for e in plan.events if e.kind == "at"]
        return places if len(legs) == 1 else sorted([*places, *legs], key=lambda event: event.end_ms)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        return f"{tell_path(plan, plan.facts['name'])}. It moves {question.options[question.answer_index]}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By the steps of the shape's colour between frames, around the joined edges.

        For every option and every turning point: how far the steps go along its legs. The right one goes the whole way.
        """
        color = color_of(witness.facts["name"])
        seen_T3 = np.full((1, 3), np.nan) if color is None else follow(witness.frames_THWC, color)
        if np.isnan(seen_T3).any():
            return None
        step_xy_T2 = steps(seen_T3, witness.frames_THWC.shape[2], witness.frames_THWC.shape[1])
        gone_xy_T2 = np.concatenate([np.zeros((1, 2)), step_xy_T2.cumsum(axis=0)])
        along = [_along(gone_xy_T2, option) for option in witness.facts["legs"]]
        best = int(np.argmax(along))
        way_px = float(np.linalg.norm(step_xy_T2, axis=1).sum())
        return best if along[best] > 0.9 * way_px else None


def _option(legs: list[str]) -> str:
    if len(legs) == 1:
        return legs[0]
    first, then = (f"to the {leg}" if leg in ("left", "right") else leg for leg in legs)
    return f"first {first}, then {then}"


def _two_axes(rng: np.random.Generator, names: list[str], num_legs: int) -> list[tuple[str, ...]]:
    """Four ways along two axes, shuffled: no option is the odd one out, and a twin's answer is among them."""
    axes = [name for name in names if names.index(name) < names.index(OPPOSITE[name])]
    one, other = (axes[i] for i in rng.choice(len(axes), 2, replace=False))
    ways: list[tuple[str, ...]] = [(one,), (other,), (OPPOSITE[one],), (OPPOSITE[other],)]
    if num_legs == 2:
        if rng.integers(2):
            one = OPPOSITE[one]
        ways = [(one, other), (other, one), (OPPOSITE[other], OPPOSITE[one]), (OPPOSITE[one], OPPOSITE[other])]
    return [ways[i] for i in rng.permutation(4)]


def _choose_steps(
    rng: np.random.Generator, legs: tuple[str, ...], side_px: int, num_frames: int
) -> tuple[npt.NDArray[np.float64], list[int]]:
    """(T-1, 2) px steps along these legs, each at a speed of its own, and the frames at which they turn."""
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


def _leg_events(name: str, legs: tuple[str, ...], bounds: list[int], canvas: Canvas) -> list[Event]:
    times = [frame_ms(frame, canvas) for frame in bounds]
    return [
        Event(kind="moves", subject=name, start_ms=start_ms, end_ms=end_ms, detail=leg)
        for leg, (start_ms, end_ms) in zip(legs, pairwise(times), strict=True)
    ]


def _listed_frames(num_frames: int, turns: list[int]) -> list[int]:
    """Frames whose places are told: evenly spaced ones, or the ends and the middle of every leg."""
    if not turns:
        return spread_frames(num_frames)
    ends = [0, *turns, num_frames - 1]
    return sorted({*ends, *((start + end) // 2 for start, end in pairwise(ends))})


def _along(gone_xy_T2: npt.NDArray[np.float64], legs: list[str]) -> float:
    """Most px that a way goes along these legs one after the other, over all places to turn."""
    if len(legs) == 1:
        return float(np.dot(VECTORS[legs[0]], gone_xy_T2[-1]))
    first, then = (np.array(VECTORS[leg]) for leg in legs)
    return float((gone_xy_T2 @ first + (gone_xy_T2[-1] - gone_xy_T2) @ then).max())
