"""What is the shape of the path? (SynRL, arXiv 2603.17693, short-term: trajectory shape, linear, circular, zigzag).

Every figure is as long as every other, has a constant speed and starts anywhere on a frame whose edges are joined. So
no single frame, speed or distance tells its shape.

At level 0 all frames without their order do: the places they show are the path. At level 1 it is also asked which way
round the figure is gone. From level 2 on several figures follow each other, two to four of them, and the options are
orders: of two figures the first or the last is another one, of more two things are one way or another, and no figure
shows both. What a part of the clip shows is then right in 0.5; chance is 0.25.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives.motion._curves import CURVES, choose_curve, curve_error, is_clockwise
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting, shown_between
from temporay.operators.primitives.motion._stage import JOINED, choose_way, followed_steps
from temporay.operators.primitives.motion._told_paths import (
    PLACE_PHRASES,
    TENTHS,
    at_events,
    edge_events,
    spread_frames,
)
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

CONVEX = ("circle", "square", "triangle")  # they are gone round one way or the other
CURVES_BY_LEVEL = (CURVES[:3], CONVEX, CONVEX, (*CONVEX, "figure eight"), CURVES)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
SENSE_LEVEL = 1
NUM_FIGURES_BY_LEVEL = (1, 1, 2, 3, 4)
SENSES = {"clockwise": 1, "counter-clockwise": -1}
FIGURE_GAPS = 9.0  # so many frames are shown of a figure
FEWEST_SHOWN = 6  # of a figure: fewer leave figures that look alike
WAY_RANGE = (1.2, 1.6)  # of a figure, in parts of the frame's shorter side
NUM_LISTED = 8  # positions of a figure in an explanation
MAX_LEFT_OVER = 0.05  # share of a seen path's variance, and at most half of what the second best figure leaves


class TrajectoryShape(DrawnMotion[str]):
    """Question about the form of a path."""

    task = "trajectory_shape"
    fields = ("curve",)
    order_dependent = False  # at level 0
    inherent: ClassVar[Inherent] = {
        "first_and_last_frame": (0.9, 0.4, 0.4, 0.4, 0.4),  # a line and a zigzag end elsewhere
        "net_displacement": (1.0, 0.0, 0.0, 0.0, 0.0),
        "num_events": (0.65, 0.0, 0.0, 0.0, 0.0),  # how often it leaves the frame
        "few_frames": (0.7, 0.65, 0.4, 0.4, 0.4),
        "two_frames": (0.65, 0.35, 0.35, 0.35, 0.35),
        "bag_of_frames": (1.0, 0.55, 0.6, 0.6, 0.6),
    }
    gaps_by_level = tuple(FIGURE_GAPS * figures for figures in NUM_FIGURES_BY_LEVEL)
    concise = "{paths}. The path is {answer}."
    notes = (JOINED, TENTHS)

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
        **PLACE_PHRASES,
        "moves": (
            "This path of the {subject} is {detail}.",
            "So the way of the {subject} has the shape of {detail}.",
            "Joined up, these places of the {subject} make {detail}.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level, num_frames = setting.rng, setting.canvas, setting.level, setting.num_frames
        options = _choose_options(rng, level)
        truth = setting.choose_truth(options)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level])
        others = [choose_one(rng, options) for _ in actors[1:]]
        tracks, events = [], []
        for actor, option in zip(actors, (truth, *others), strict=True):
            figures = _figures(option)
            ends = spread_frames(num_frames, len(figures) + 1)
            way_px = setting.side_px * float(rng.uniform(*WAY_RANGE))
            parts = list(zip(figures, pairwise(ends), strict=True))
            steps_T2 = [
                way_px * np.diff(choose_curve(rng, figure, end - start + 1, _sense(option)), axis=0)
                for figure, (start, end) in parts
            ]
            tracks.append(choose_way(rng, actor, np.concatenate(steps_T2), canvas))
            if actor is not actors[0]:
                continue
            for figure, (start, end) in parts:
                detail = _a(figure) if len(figures) > 1 else option
                events.append(setting.event_in("moves", actor.name, start, end, detail))
                listed = [start + frame for frame in spread_frames(end - start + 1, min(NUM_LISTED, end - start))]
                events.extend(at_events(actor.name, tracks[0].xy_T2, canvas, listed[start > 0 :]))
            events.extend(edge_events(actor.name, tracks[0].xy_T2, canvas))
        facts = {"name": actors[0].name, "options": options}
        return MotionClip(tracks[::-1], events, facts)  # the one asked about is painted last

    def logged(self, events: Sequence[Event], facts: Facts) -> str:
        figures = [e.detail for e in events if e.kind == "moves" and e.subject == facts["name"]]
        return figures[0] if len(figures) == 1 else _in_order(figures)

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether the shape can be followed, and enough frames of each of its figures are shown."""
        ms = [0.0, *(event.end_ms for event in plan.events if event.kind == "moves")]
        enough = shown_between(plan, frames, ms) >= FEWEST_SHOWN
        return bool(enough.all()) and super().survives(plan, frames)

    def seen(self, witness: Witness, facts: Facts) -> str | None:
        """Fit figures to the path of the shape's color, unrolled over the joined edges.

        The last frame that is shown may be the clip's last one, or one step before its end.
        """
        steps_T2 = followed_steps(witness.frames_THWC, facts["name"])
        path_T2 = np.concatenate([np.zeros((1, 2)), np.cumsum(steps_T2, axis=0)])
        sense = 1 if is_clockwise(path_T2) else -1
        options = [option for option in facts["options"] if _sense(option) in (0, sense)]
        num_figures, errors = len(_figures(options[0])), dict.fromkeys(options, 1.0)
        for last in (1.0, 1 - 1 / len(path_T2)):
            gone_T = np.linspace(0, last * num_figures, len(path_T2))
            for option in options:
                left = 0.0
                for i, figure in enumerate(_figures(option)):
                    own_T = (i - 1e-9 <= gone_T) & (gone_T <= i + 1)
                    left = max(left, curve_error(path_T2[own_T], figure, gone_T[own_T] - i))
                errors[option] = min(errors[option], left)
        best, second = sorted(errors, key=errors.__getitem__)[:2]
        return best if errors[best] < min(MAX_LEFT_OVER, errors[second] / 2) else None

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        """Tell the positions of each figure, then what they make."""
        return sorted(plan.events, key=lambda event: (event.end_ms, event.kind == "moves"))


def _choose_options(rng: np.random.Generator, level: int) -> list[str]:
    """Choose figures; or two of them, either way round; or orders in which several follow each other."""
    names, num_figures = shuffled(rng, CURVES_BY_LEVEL[level]), NUM_FIGURES_BY_LEVEL[level]
    if num_figures > 1:
        return shuffled(rng, [_in_order(map(_a, figures)) for figures in _orders(names, num_figures)])
    if level < SENSE_LEVEL:
        return [_a(name) for name in names]
    return shuffled(rng, [f"{_a(name)}, {sense}" for name in names[:2] for sense in SENSES])


def _orders(names: Sequence[str], num_figures: int) -> list[Sequence[str]]:
    """Return four orders of figures: of two, one with another before or after it; of more, two swaps done or not.

    Of three figures, the second swap is with a figure that is not shown.
    """
    one, other, *rest = names
    if num_figures == 2:
        return [order for second in (other, rest[0]) for order in ((one, second), (second, one))]
    pairs = product(((one, other), (other, one)), ((rest[0], rest[1]), (rest[1], rest[0])))
    return [(*first, *last)[:num_figures] for first, last in pairs]


def _a(figure: str) -> str:
    return f"a {figure}"


def _in_order(figures: Iterable[str]) -> str:
    return "first " + ", then ".join(figures)


def _figures(option: str) -> list[str]:
    """Return the figures that an option names, in its order."""
    return sorted((name for name in CURVES if name in option), key=option.index)


def _sense(option: str) -> int:
    """Return which way round an option says: 1 is clockwise; 0 if it does not say."""
    return SENSES.get(option.rpartition(", ")[2], 0)
