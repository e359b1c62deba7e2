"""What is the shape of the path? (SynRL, arXiv 2603.17693, short-term: trajectory shape, linear, circular, zigzag.)

Every path is as long as every other, gone at constant speed, begun anywhere on a frame whose edges are joined: no
single frame, no speed and no distance tells its shape. (All frames in a bag do: where the shape has been is the path.)
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, follow, steps
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Primitive, Style, Twin, choose_truth
from temporay.operators.primitives._claims import Claim, Phrases
from temporay.operators.primitives.motion._curves import CURVES, choose_curve, likest_curve
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    at_events,
    choose_actors,
    choose_num_frames,
    drawn_plan,
    frame_ms,
    read_path,
    tell_path,
    to_track,
    torus_path,
)
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

NUM_CURVES_BY_LEVEL = (3, 3, 4, 5, 6)  # the first of CURVES
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
MAX_OPTIONS = 4
FRAMES_PER_CURVE = 4  # the shortest clip of the canvas has room for so many curves that still look different
WAY_RANGE = (1.2, 1.6)  # of the frame's shorter side
NUM_LISTED = 8  # positions in an explanation
MAX_LEFT_OVER = 0.05  # of a seen path's variance, and at most half of what the second best curve leaves
WORDINGS = (
    "What is the shape of the path of the {name}?",
    "What is the trajectory of the {name}?",
    "Which shape does the {name} trace with its motion?",
    "Along what kind of path does the {name} move?",
    "If the {name} left a trail, what would the trail look like?",
    "Follow the {name}. What figure does its path form?",
    "Which option describes the way the {name} takes?",
    "The {name} moves through the whole video. What does its path look like?",
)


class TrajectoryShape(Primitive):
    task: ClassVar[str] = "trajectory_shape"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "moves": (
            "From {start} s to {end} s the path of the {subject} is {detail}.",
            "The way of the {subject} between {start} s and {end} s has the shape of {detail}.",
            "Joined up, the places of the {subject} from {start} s to {end} s make {detail}.",
        ),
    }

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        # by the shortest clip of the canvas: few frames leave few curves that look different
        most = max(3, canvas.num_frames[0] // FRAMES_PER_CURVE)
        names = CURVES[: min(NUM_CURVES_BY_LEVEL[address.level], most)]
        options = [names[i] for i in rng.choice(len(names), min(MAX_OPTIONS, len(names)), replace=False)]
        truth = options[choose_truth(rng, len(options), address)]
        actors = choose_actors(rng, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level)
        others = [names[int(rng.integers(len(names)))] for _ in actors[1:]]
        num_frames = choose_num_frames(address, canvas)
        tracks, events = [], []
        for actor, name in zip(actors, (truth, *others), strict=True):
            way_px = min(canvas.width, canvas.height) * float(rng.uniform(*WAY_RANGE))
            start = rng.uniform((0.0, 0.0), (canvas.width, canvas.height))
            steps_T2 = way_px * np.diff(choose_curve(rng, name, num_frames), axis=0)
            tracks.append(to_track(actor, torus_path(start, steps_T2, canvas), wraps=True))
            end_ms = frame_ms(num_frames, canvas)
            events.append(Event(kind="moves", subject=actor.name, start_ms=0.0, end_ms=end_ms, detail=f"a {name}"))
        listed = [int(f) for f in np.rint(np.linspace(0, num_frames - 1, min(NUM_LISTED, num_frames)))]
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=(*events, *at_events(actors[0].name, tracks[0].xy_T2, canvas, listed)),
            facts={
                "name": actors[0].name,
                "options": [f"a {name}" for name in options],
                "wording": int(rng.integers(len(WORDINGS))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], tuple(plan.facts["options"])
        truth = next(e.detail for e in plan.events if e.kind == "moves" and e.subject == name)
        text = WORDINGS[plan.facts["wording"]].format(name=name)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """The positions, then what they make."""
        name = plan.facts["name"]
        own = [event for event in plan.events if event.subject == name]
        return sorted(own, key=lambda event: (event.kind == "moves", event.start_ms))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        return f"{tell_path(plan, plan.facts['name'])}. The path is {question.options[question.answer_index]}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By the curve that fits the path of the shape's colour, unrolled over the joined edges."""
        frames_THWC = witness.frames_THWC
        seen_T3 = follow(frames_THWC, COLORS[witness.facts["name"].split()[0]])
        if np.isnan(seen_T3).any():
            return None
        steps_T2 = steps(seen_T3, frames_THWC.shape[2], frames_THWC.shape[1])
        path_T2 = np.concatenate([np.zeros((1, 2)), np.cumsum(steps_T2, axis=0)])
        best, left, second = likest_curve(path_T2, [option.removeprefix("a ") for option in witness.options])
        return best if left < MAX_LEFT_OVER and left < second / 2 else None
