"""Which shape is the fastest? (SynRL, arXiv 2603.17693, short-term: speed perception.)

All shapes start anywhere on a frame whose edges are joined, each in a direction of its own, so one frame says nothing;
how far a shape gets in the whole clip says all, in whatever order the frames come.
"""

from __future__ import annotations

from typing import ClassVar, Literal

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
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

NUM_SHAPES_BY_LEVEL = (2, 2, 3, 3, 4)
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
MIN_RATIO_BY_LEVEL = (2.0, 1.7, 1.6, 1.4, 1.3)  # fastest over second fastest
SLOW_TRAVEL = (0.2, 0.35)  # of the frame's shorter side in the whole clip
SURE_RATIO = 1.1  # fastest over second fastest, as seen
WORDINGS = (
    "Which shape moves the fastest?",
    "Which of the shapes has the highest speed?",
    "All shapes move. Which one is the fastest?",
    "Compare the speeds of the shapes. Which one is moving fastest?",
    "Which shape covers the most ground per second?",
    "Which of the moving shapes is quickest?",
    "Watch how fast each shape goes. Which one leads?",
    "Which option names the shape with the greatest speed?",
)


class SpeedPerception(Primitive):
    task: ClassVar[str] = "speed_perception"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"  # the fastest shape is the fastest in any order of the frames
    phrases: ClassVar[Phrases] = {"at": AT_PHRASES, "moves": SPEED_PHRASES}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        actors = choose_actors(rng, canvas, NUM_SHAPES_BY_LEVEL[address.level], address.level, scenes)
        truth = choose_truth(rng, len(actors), address)
        travels = rng.uniform(*SLOW_TRAVEL, len(actors))
        ratio = MIN_RATIO_BY_LEVEL[address.level] * float(rng.uniform(1.0, 1.2))
        travels[truth] = ratio * max(np.delete(travels, truth))
        num_frames = choose_num_frames(address, canvas)
        num_angles = NUM_ANGLES_BY_LEVEL[address.level]
        tracks, events = choose_race(rng, actors, list(travels), num_angles, num_frames, canvas)
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tracks,
            events=events,
            facts={"names": [actor.name for actor in actors], "wording": int(rng.integers(len(WORDINGS)))},
        )

    def ask(self, plan: ScenePlan) -> Question:
        speeds = logged_speeds(plan)
        fastest = max(speeds, key=lambda name: speeds[name])
        options = tuple(f"the {name}" for name in plan.facts["names"])
        text = WORDINGS[plan.facts["wording"]]
        return Question(text=text, options=options, answer_index=options.index(f"the {fastest}"))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """One shape after the other: where it is, then how fast it is."""
        return list(plan.events)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        return f"{tell_race(plan)}. The fastest is {question.options[question.answer_index]}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By the steps of each colour between frames."""
        speeds = seen_speeds(witness, witness.facts["names"])
        if speeds is None:
            return None
        second, first = np.sort(speeds)[-2:]
        return int(np.argmax(speeds)) if first > SURE_RATIO * second else None
