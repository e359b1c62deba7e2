"""Which way does a shape move? (SynRL, short-term: direction.)

The shape starts anywhere and the frame's edges are joined, so no single frame says where it goes; the clip's length
and the shape's speed are drawn apart from the direction.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from operators.motion import (
    at_events,
    draw_actors,
    draw_background,
    draw_num_frames,
    spread_frames,
    tell_path,
    tell_timed_path,
    to_track,
    torus_path,
)
from operators.primitives._base import Canvas, Primitive, Style
from operators.records import Address, Event, Question, Scene, ScenePlan
from operators.seeding import rng

VECTORS = {  # unit vectors in image coordinates: y grows downwards
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
    "up and to the left": (-0.7071, -0.7071),
    "up and to the right": (0.7071, -0.7071),
    "down and to the left": (-0.7071, 0.7071),
    "down and to the right": (0.7071, 0.7071),
}
NUM_DIRECTIONS_BY_LEVEL = (4, 4, 8, 8, 8)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
TRAVEL_RANGE = (0.35, 0.63)  # of the frame's shorter side in the whole clip: a few sampled frames still show the way
WORDINGS = (
    "In which direction does the {name} move?",
    "Which way is the {name} moving?",
    "The {name} travels through the video. In which direction?",
    "What is the direction of motion of the {name}?",
)


class MotionDirection(Primitive):
    task: ClassVar[str] = "motion_direction"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        names = list(VECTORS)[: NUM_DIRECTIONS_BY_LEVEL[address.level]]
        options = [names[i] for i in draw.choice(len(names), 4, replace=False)]
        truth = options[int(draw.integers(4))]
        actors = draw_actors(draw, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level])
        directions = [truth, *(names[int(draw.integers(len(names)))] for _ in actors[1:])]
        num_frames = draw_num_frames(address, canvas)
        side = min(canvas.width, canvas.height)
        tracks = []
        for actor, direction in zip(actors, directions, strict=True):
            speed_px = side * float(draw.uniform(*TRAVEL_RANGE)) / (num_frames - 1)
            steps = np.tile(np.array(VECTORS[direction]) * speed_px, (num_frames - 1, 1))
            start = draw.uniform((0.0, 0.0), (canvas.width, canvas.height))
            tracks.append(to_track(actor, torus_path(start, steps, canvas), wraps=True))
        end_ms = 1000.0 * num_frames / canvas.fps
        moves = tuple(
            Event(kind="moves", subject=actor.name, start_ms=0.0, end_ms=end_ms, detail=direction)
            for actor, direction in zip(actors, directions, strict=True)
        )
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=num_frames,
            background=draw_background(address),
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=(*moves, *at_events(actors[0].name, tracks[0].xy_T2, canvas, spread_frames(num_frames))),
            facts={"name": actors[0].name, "options": options, "wording": int(draw.integers(len(WORDINGS)))},
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], tuple(plan.facts["options"])
        truth = next(e.detail for e in plan.events if e.kind == "moves" and e.subject == name)
        text = WORDINGS[plan.facts["wording"]].format(name=name)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        name, answer = plan.facts["name"], question.options[question.answer_index]
        if style == "concise":
            return f"{tell_path(plan, name)}. It moves {answer}."
        return (
            f"{tell_timed_path(plan, name)} What leaves at one edge comes back at the opposite one. It moves {answer}."
        )
