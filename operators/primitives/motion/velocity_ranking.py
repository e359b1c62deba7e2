"""In which order do the shapes stand, from the fastest to the slowest? (SynRL, arXiv 2603.17693: velocity comparison.)

Each speed is a ratio above the next one, never a tie. From level 3 on the options are one ranking in which two pairs of
neighbours are swapped or not, so that each of these pairs has to be compared; a swap maps the options onto themselves,
so none is the one most like the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any, ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Primitive, Style, Twin, choose_truth
from temporay.operators.primitives._claims import Claim, Phrases
from temporay.operators.primitives.motion._races import (
    SPEED_PHRASES,
    choose_race,
    logged_speeds,
    seen_speeds,
    tell_race,
)
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    choose_actors,
    choose_num_frames,
    drawn_plan,
    read_path,
)
from temporay.operators.records import Address, AnswerKind, AnswerValue, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

NUM_SHAPES_BY_LEVEL = (3, 3, 3, 4, 5)
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
MIN_RATIO_BY_LEVEL = (1.8, 1.7, 1.6, 1.45, 1.32)  # of each speed over the next one
RATIO_SPREAD = 1.1
SLOWEST_TRAVEL = (0.15, 0.22)  # of the frame's shorter side in the whole clip
SWAPPED_LEVEL = 3
NUM_OPTIONS = 4
SURE_RATIO = 1.12  # of each speed over the next one, as seen
WORDINGS = (
    "Rank the shapes by speed, from the fastest to the slowest.",
    "Which shape is the fastest, which comes next, and so on down to the slowest?",
    "In what order do the shapes stand when sorted from fastest to slowest?",
    "Compare the velocities of the shapes. Which ranking, fastest first, is right?",
    "Which option lists the shapes by decreasing speed?",
    "Sort the shapes by how fast they move, the quickest first.",
    "Order the moving shapes from highest to lowest speed.",
    "How do the speeds of the shapes compare, beginning with the fastest?",
)


class VelocityRanking(Primitive):
    task: ClassVar[str] = "velocity_ranking"
    answer_kind: ClassVar[AnswerKind] = "order"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"  # speeds compare alike in any order of the frames
    phrases: ClassVar[Phrases] = {"at": AT_PHRASES, "moves": SPEED_PHRASES}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_shapes, ratio = NUM_SHAPES_BY_LEVEL[address.level], MIN_RATIO_BY_LEVEL[address.level]
        rankings = _choose_rankings(rng, num_shapes, swapped=address.level >= SWAPPED_LEVEL)
        ranking = rankings[choose_truth(rng, len(rankings), address)]
        actors = choose_actors(rng, canvas, num_shapes, address.level, scenes)
        ratios = ratio * rng.uniform(1.0, RATIO_SPREAD, num_shapes - 1)
        rising = rng.uniform(*SLOWEST_TRAVEL) * np.cumprod([1.0, *ratios])
        travels = [float(rising[::-1][ranking.index(i)]) for i in range(num_shapes)]
        num_frames = choose_num_frames(address, canvas)
        num_angles = NUM_ANGLES_BY_LEVEL[address.level]
        tracks, events = choose_race(rng, actors, travels, num_angles, num_frames, canvas)
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tracks,
            events=events,
            facts={
                "rankings": [[actors[i].name for i in ranking] for ranking in rankings],
                "wording": int(rng.integers(len(WORDINGS))),
            },
        )

    def values(self, facts: Mapping[str, Any]) -> tuple[AnswerValue, ...]:
        return tuple(tuple(ranking) for ranking in facts["rankings"])

    def ask(self, plan: ScenePlan) -> Question:
        speeds = logged_speeds(plan)
        truth = sorted(speeds, key=lambda name: -speeds[name])
        rankings: list[list[str]] = plan.facts["rankings"]
        return Question(
            text=WORDINGS[plan.facts["wording"]],
            options=tuple(", ".join(ranking) for ranking in rankings),
            answer_index=rankings.index(truth),
        )

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """One shape after the other: where it is, then how fast it is."""
        return list(plan.events)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        return f"{tell_race(plan)}. From fastest to slowest: {question.options[question.answer_index]}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By the steps of each colour between frames."""
        rankings: list[list[str]] = witness.facts["rankings"]
        names = rankings[0]
        speeds = seen_speeds(witness, names)
        if speeds is None:
            return None
        order = np.argsort(speeds)[::-1]
        falling = np.array(speeds)[order]
        ranking = [names[i] for i in order]
        if (falling[:-1] < SURE_RATIO * falling[1:]).any() or ranking not in rankings:
            return None
        return rankings.index(ranking)


def _choose_rankings(rng: np.random.Generator, num_shapes: int, *, swapped: bool) -> list[list[int]]:
    """Different orders of the shapes' numbers: any ones, or one with two disjoint pairs of ranks swapped or not."""
    if not swapped:
        every = list(permutations(range(num_shapes)))
        return [list(every[i]) for i in rng.choice(len(every), NUM_OPTIONS, replace=False)]
    base = rng.permutation(num_shapes)
    first = int(rng.integers(num_shapes - 3))  # neighbours in rank: these are the hardest to tell apart
    second = int(rng.integers(first + 2, num_shapes - 1))
    rankings = []
    for pairs in ((), (first,), (second,), (first, second)):
        ranking = base.copy()
        for rank in pairs:
            ranking[[rank, rank + 1]] = ranking[[rank + 1, rank]]
        rankings.append(ranking.tolist())
    return [rankings[i] for i in rng.permutation(NUM_OPTIONS)]
