"""Is the clip played forwards or backwards? (Arrow of time; AoTBench, ArrowRL arXiv 2506.03340).

Something irreversible happens again and again, from any phase. So no single frame tells the answer, not even the first
or the last, and the twin is the same frames backwards. Shapes that drift evenly tell nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._processes import (
    ARROWS,
    BACKWARDS,
    MIN_BALL_FRAMES,
    PROCESSES,
    ProcessKind,
    backwards,
)
from temporay.operators.primitives.motion._stage import choose_way, color_of, straight_steps
from temporay.operators.records import Event, Question, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

OPTIONS = ("forwards", "backwards")
KINDS_BY_LEVEL: tuple[tuple[ProcessKind, ...], ...] = (
    ("drop",),
    ("drop", "burst"),
    ("drop", "burst", "ball"),
    ("drop", "burst", "ball"),
    ("drop", "burst", "ball"),
)
NUM_SOURCES_BY_LEVEL = (1, 1, 1, 2, 2)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 1, 2)
DRIFT = (0.2, 0.5)  # parts of the frame's shorter side in the whole clip
MIN_ARROW = 0.2  # share of the change seen; less is no sure answer
RULES: dict[ProcessKind, str] = {  # which way round is the natural one
    "drop": "Drops spread by themselves and never gather.",
    "burst": "What bursts flies apart and never comes together by itself.",
    "ball": "A bouncing ball loses height with every bounce.",
}


class TimeArrow(DrawnMotion[bool]):
    """Question about the direction of time."""

    task = "time_arrow"
    order_dependent = True
    twin = "reversed"

    wordings = (
        "Is this video played forwards or backwards?",
        "Does time run forwards or backwards in this video?",
        "In which direction does time run here?",
        "Was this video reversed? In which direction is it played?",
        "Is what happens shown in its natural order? Say how the video is played.",
        "How is this clip played?",
        "Which way does the arrow of time point in this clip?",
        "Judge by what happens: in which direction does the clip run?",
    )
    phrases: ClassVar[Phrases] = {
        "drop": (
            "From {start} s to {end} s the {subject} gets {detail}.",
            "Between {start} s and {end} s the {subject} is getting {detail}.",
            "{start} s to {end} s: the {subject} becomes ever {detail}.",
        ),
        "burst": (
            "From {start} s to {end} s the {subject} fly {detail}.",
            "Between {start} s and {end} s the {subject} are flying {detail}.",
            "{start} s to {end} s: the {subject} move {detail}.",
        ),
        "ball": (
            "From {start} s to {end} s the {subject} bounces {detail} each time.",
            "Between {start} s and {end} s each bounce of the {subject} is {detail} than the one before.",
            "{start} s to {end} s: the {subject} reaches {detail} tops from bounce to bounce.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "drop": ("The {subject} gets {detail}.",),
        "burst": ("The {subject} fly {detail}.",),
        "ball": ("The {subject} bounces {detail}.",),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level, num_frames = setting.rng, setting.canvas, setting.level, setting.num_frames
        options = shuffled(rng, OPTIONS)
        truth = setting.choose_truth(options)
        kind = choose_one(rng, _possible(KINDS_BY_LEVEL[level], canvas))
        num_sources = NUM_SOURCES_BY_LEVEL[level]
        actors = setting.choose_actors(num_sources + NUM_DISTRACTORS_BY_LEVEL[level])
        shown = [PROCESSES[kind](rng, actor, canvas, num_frames) for actor in actors[:num_sources]]
        drifting = []
        for actor in actors[num_sources:]:
            step_px = setting.side_px * float(rng.uniform(*DRIFT)) / (num_frames - 1)
            steps_T2 = straight_steps(float(rng.uniform(0, 360)), np.full(num_frames - 1, step_px))
            drifting.append(choose_way(rng, actor, steps_T2, canvas))
        if truth == "backwards":
            shown = [backwards(one, canvas, num_frames) for one in shown]
            drifting = [replace(track, xy_T2=track.xy_T2[::-1]) for track in drifting]
        return MotionClip(
            tracks=[*drifting, *(track for one in shown for track in one.tracks)],
            events=[event for one in shown for event in one.events],
            facts={"kind": kind, "names": [actor.name for actor in actors[:num_sources]], "options": options},
        )

    def text(self, facts: Facts) -> str:
        return f"{RULES[facts['kind']]} {super().text(facts)}"

    def logged(self, events: Sequence[Event], facts: Facts) -> bool:
        """Return whether time runs forwards."""
        return all(event.detail in BACKWARDS for event in events)

    def seen(self, witness: Witness, facts: Facts) -> bool | None:
        """Find whether colors grow, spread or lose height more often than they do the opposite."""
        colors = [color_of(name) for name in facts["names"]]
        arrow_of = ARROWS[facts["kind"]]
        arrows = [arrow_of(witness.frames_THWC, color) for color in colors if color is not None]
        mean = float(np.mean(arrows)) if arrows else 0.0
        return None if abs(mean) < MIN_ARROW else mean > 0

    def answer(self, measured: bool, facts: Facts) -> str:
        return OPTIONS[0] if measured else OPTIONS[1]

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        return sorted(plan.events, key=lambda event: (event.start_ms, event.subject))


def _possible(kinds: tuple[ProcessKind, ...], canvas: Canvas) -> list[ProcessKind]:
    """Leave out the ball where the canvas's shortest clip has too few frames for its bounces."""
    return [kind for kind in kinds if kind != "ball" or canvas.num_frames[0] >= MIN_BALL_FRAMES]
