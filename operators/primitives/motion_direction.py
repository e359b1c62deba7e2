"""Which way does a shape move? (SynRL, short-term: direction.)

The shape starts anywhere and the frame's edges are joined, so no single frame says where it goes; the clip's length
and the shape's speed are drawn apart from the direction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from operators.claims import Claim, Phrases
from operators.motion import (
    AT_PHRASES,
    at_events,
    draw_actors,
    draw_backdrop,
    draw_num_frames,
    read_path,
    spread_frames,
    tell_path,
    to_track,
    torus_path,
)
from operators.primitives._base import Canvas, Primitive, Style, Twin
from operators.records import Address, Event, Question, Scene, ScenePlan, Track
from operators.seeding import rng
from operators.sources.shapes import COLORS
from operators.witness import Witness, total_steps

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
OPPOSITE = {
    "left": "right",
    "up": "down",
    "up and to the left": "down and to the right",
    "up and to the right": "down and to the left",
}
OPPOSITE |= {there: here for here, there in OPPOSITE.items()}
NUM_DIRECTIONS_BY_LEVEL = (4, 4, 8, 8, 8)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
TRAVEL_RANGE = (0.35, 0.63)  # of the frame's shorter side in the whole clip: a few sampled frames still show the way
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


class MotionDirection(Primitive):
    task: ClassVar[str] = "motion_direction"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reversed"
    phrases: ClassVar[Phrases] = {"at": AT_PHRASES}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        names = list(VECTORS)[: NUM_DIRECTIONS_BY_LEVEL[address.level]]
        options = _two_axes(draw, names)
        truth = options[int(draw.integers(4))]
        actors = draw_actors(draw, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level)
        directions = [truth, *(names[int(draw.integers(len(names)))] for _ in actors[1:])]
        num_frames = draw_num_frames(address, canvas)
        side = min(canvas.width, canvas.height)
        tracks: list[Track] = []
        for actor, direction in zip(actors, directions, strict=True):
            speed_px = side * float(draw.uniform(*TRAVEL_RANGE)) / (num_frames - 1)
            steps = np.tile(np.array(VECTORS[direction]) * speed_px, (num_frames - 1, 1))
            start = draw.uniform((0.0, 0.0), (canvas.width, canvas.height))
            tracks.append(to_track(actor, torus_path(start, steps, canvas), wraps=True))
        if address.twin:  # the same frames backwards
            tracks = [replace(track, xy_T2=track.xy_T2[::-1]) for track in tracks]
            directions = [OPPOSITE[direction] for direction in directions]
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
            backdrop=draw_backdrop(address),
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=(*moves, *at_events(actors[0].name, tracks[0].xy_T2, canvas, spread_frames(num_frames))),
            facts={"name": actors[0].name, "options": options, "wording": int(draw.integers(len(WORDINGS)))},
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], tuple(plan.facts["options"])
        truth = next(e.detail for e in plan.events if e.kind == "moves" and e.subject == name)
        text = WORDINGS[plan.facts["wording"]].format(name=name)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return [event for event in plan.events if event.kind == "at"]

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        return f"{tell_path(plan, plan.facts['name'])}. It moves {question.options[question.answer_index]}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By the steps of the shape's colour between frames, summed around the joined edges."""
        color = COLORS[witness.facts["name"].split()[0]]
        step_xy = total_steps(witness.frames_THWC, color)
        if step_xy is None:
            return None
        along = [float(np.dot(VECTORS[option], step_xy)) for option in witness.options]
        best = int(np.argmax(along))
        return best if along[best] > 0.9 * float(np.linalg.norm(step_xy)) else None


def _two_axes(draw: np.random.Generator, names: list[str]) -> list[str]:
    """Two directions and their opposites, shuffled: no option is the odd one out, and a twin's answer is among them."""
    axes = [name for name in names if names.index(name) < names.index(OPPOSITE[name])]
    chosen = [axes[i] for i in draw.choice(len(axes), 2, replace=False)]
    options = [*chosen, *(OPPOSITE[name] for name in chosen)]
    return [options[i] for i in draw.permutation(4)]
