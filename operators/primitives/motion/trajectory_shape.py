"""What is the shape of the path? (SynRL, arXiv 2603.17693, short-term: trajectory shape, linear, circular, zigzag).

Every path is as long as every other, has a constant speed and starts anywhere on a frame whose edges are joined. So no
single frame, speed or distance tells its shape. All frames without their order do: the places they show are the path.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._stated import Value
from temporay.operators.primitives.motion._curves import CURVES, choose_curve, most_like_curve
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    at_events,
    choose_place,
    followed_steps,
    spread_frames,
    to_track,
    torus_path,
)
from temporay.operators.records import Event, Question, ScenePlan
from temporay.operators.seeding import choose_one

NUM_CURVES_BY_LEVEL = (3, 3, 4, 5, 6)  # the first of CURVES
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
MAX_OPTIONS = 4
FRAMES_PER_CURVE = 4  # the shortest clip of the canvas divided by this is the number of curves that look different
WAY_RANGE = (1.2, 1.6)  # parts of the frame's shorter side
NUM_LISTED = 8  # positions in an explanation
MAX_LEFT_OVER = 0.05  # share of a seen path's variance, and at most half of what the second best curve leaves


class TrajectoryShape(DrawnMotion[str]):
    """Question about the form of a path."""

    task = "trajectory_shape"
    # Places alone are most of a shape.
    inherent: ClassVar[Inherent] = {"bag_of_frames": (0.78, 0.7, 0.58, 0.55, 0.5), "net_displacement": 0.5}
    order_dependent = False
    twin = "restaged"
    concise = "{paths}. The path is {answer}."

    wordings = (
        "What is the shape of the path of the {name}?",
        "What is the trajectory of the {name}?",
        "Which shape does the {name} trace with its motion?",
        "Along what kind of path does the {name} move?",
        "If the {name} left a trail, what would the trail look like?",
        "Follow the {name}. What figure does its path form?",
        "Which option describes the way the {name} takes?",
        "The {name} moves through the whole video. What does its path look like?",
    )
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "moves": (
            "From {start} s to {end} s the path of the {subject} is {detail}.",
            "The way of the {subject} between {start} s and {end} s has the shape of {detail}.",
            "Joined up, the places of the {subject} from {start} s to {end} s make {detail}.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level, num_frames = setting.rng, setting.canvas, setting.level, setting.num_frames
        # by the shortest clip of the canvas: few frames leave few curves that look different
        most = max(3, canvas.num_frames[0] // FRAMES_PER_CURVE)
        names = CURVES[: min(NUM_CURVES_BY_LEVEL[level], most)]
        options = [names[i] for i in rng.choice(len(names), min(MAX_OPTIONS, len(names)), replace=False)]
        truth = setting.choose_truth(options)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level])
        others = [choose_one(rng, names) for _ in actors[1:]]
        tracks, events = [], []
        for actor, name in zip(actors, (truth, *others), strict=True):
            way_px = setting.side_px * float(rng.uniform(*WAY_RANGE))
            start = choose_place(rng, canvas)
            steps_T2 = way_px * np.diff(choose_curve(rng, name, num_frames), axis=0)
            tracks.append(to_track(actor, torus_path(start, steps_T2, canvas), wraps=True))
            events.append(setting.event("moves", actor.name, f"a {name}"))
        listed = spread_frames(num_frames, min(NUM_LISTED, num_frames))
        events.extend(at_events(actors[0].name, tracks[0].xy_T2, canvas, listed))
        facts = {"name": actors[0].name, "options": [f"a {name}" for name in options]}
        return MotionClip(tracks[::-1], events, facts)  # the one asked about is painted last

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        return {"curve": detail}

    def logged(self, events: Sequence[Event], facts: Facts) -> str:
        return next(e.detail for e in events if e.kind == "moves" and e.subject == facts["name"])

    def seen(self, witness: Witness, facts: Facts) -> str | None:
        """Fit curves to the path of the shape's color, unrolled over the joined edges."""
        steps_T2 = followed_steps(witness.frames_THWC, facts["name"])
        if steps_T2 is None:
            return None
        path_T2 = np.concatenate([np.zeros((1, 2)), np.cumsum(steps_T2, axis=0)])
        best, left, second = most_like_curve(path_T2, [option.removeprefix("a ") for option in witness.options])
        return witness.options[best] if left < MAX_LEFT_OVER and left < second / 2 else None

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell the positions, then what they make."""
        own = [event for event in plan.events if event.subject == plan.facts["name"]]
        return sorted(own, key=lambda event: (event.kind == "moves", event.start_ms))
