"""Is the clip played forwards or backwards? (Arrow of time; AoTBench, ArrowRL arXiv 2506.03340).

Something irreversible happens again and again, from any phase. So no single frame tells the answer, not even the first
or the last, and the twin is the same frames backwards. Shapes that move evenly tell nothing. The question says what is
shown, and the reasoning which way round it is natural. At level 0 two moments of one run tell, which is inherent. From
level 1 on a ball or a weight goes to and fro, ever more often, and only several of its turns tell.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Inherent, Phrases, Style
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._processes import (
    BACKWARDS,
    ProcessKind,
    are_turns_shown,
    arrow,
    backwards,
    measured_in,
    measured_of,
    show,
)
from temporay.operators.primitives.motion._stage import Actor, to_track
from temporay.operators.records import Event, Question, ScenePlan, Track
from temporay.operators.seeding import choose_one, shuffled

OPTIONS = ("forwards", "backwards")
KINDS_BY_LEVEL: tuple[tuple[ProcessKind, ...], ...] = (
    ("drop", "burst"),
    ("ball", "swing"),
    ("ball", "swing"),
    ("ball", "swing"),
    ("ball", "swing"),
)
NUM_TURNS_BY_LEVEL = (0, 3, 4, 6, 9)  # bounces of a ball in one run
LEAST_FRAMES_BY_LEVEL = (6, 24, 32, 48, 72)  # in which the shortest of them can be seen
NUM_SOURCES_BY_LEVEL = (1, 1, 1, 2, 2)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 1, 3)
MIN_ARROW = 0.05  # less is no sure answer
SHOWN: dict[ProcessKind, str] = {
    "drop": "The video shows drops of ink on wet paper.",
    "burst": "The video shows the pieces of something that burst.",
    "ball": "The video shows a ball on a hard floor.",
    "swing": "The video shows a weight on a thread too thin to be seen.",
}
RULES: dict[ProcessKind, str] = {  # which way round is the natural one
    "drop": "Drops spread by themselves and never gather.",
    "burst": "What bursts flies apart and never comes together by itself.",
    "ball": "A bouncing ball loses height with every bounce.",
    "swing": "A weight that swings freely swings less and less far.",
}


class TimeArrow(DrawnMotion[bool]):
    """Question about the direction of time."""

    task = "time_arrow"
    # At level 0 two moments of a run tell.
    inherent: ClassVar[Inherent] = {"two_frames": (1.0, 0.0, 0.0, 0.0, 0.0), "few_frames": (1.0, 0.0, 0.0, 0.0, 0.0)}
    twin = "reversed"
    gaps_by_level = (10.0, 12.0, 15.0, 22.0, 33.0)

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
        "swing": (
            "From {start} s to {end} s the {subject} swings {detail} each time.",
            "Between {start} s and {end} s the {subject} swings {detail} with every swing.",
            "{start} s to {end} s: the {subject} gets {detail} from swing to swing.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "drop": ("The {subject} gets {detail}.",),
        "burst": ("The {subject} fly {detail}.",),
        "ball": ("The {subject} bounces {detail}.",),
        "swing": ("The {subject} swings {detail}.",),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level, num_frames = setting.rng, setting.canvas, setting.level, setting.num_frames
        options = shuffled(rng, OPTIONS)
        truth = setting.choose_truth(options)
        kind = choose_one(rng, KINDS_BY_LEVEL[level])
        num_sources = NUM_SOURCES_BY_LEVEL[level]
        actors = setting.choose_actors(num_sources + NUM_DISTRACTORS_BY_LEVEL[level])
        num_turns = NUM_TURNS_BY_LEVEL[level]
        shown = [show(kind, rng, actor, canvas, num_frames, num_turns) for actor in actors[:num_sources]]
        drifting = [_even_track(setting, actor) for actor in actors[num_sources:]]
        if truth == "backwards":
            shown = [backwards(one, canvas, num_frames) for one in shown]
            drifting = [replace(track, xy_T2=track.xy_T2[::-1]) for track in drifting]
        return MotionClip(
            tracks=[*drifting, *(track for one in shown for track in one.tracks)],
            events=[event for one in shown for event in one.events],
            facts={"kind": kind, "colors": [actor.color_name for actor in actors[:num_sources]], "options": options},
        )

    def min_frames(self, canvas: Canvas, level: int) -> int:
        return max(super().min_frames(canvas, level), LEAST_FRAMES_BY_LEVEL[level])

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        return f"{RULES[plan.facts['kind']]} {super().explain(plan, question, style)}"

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether all turns are shown, and what is measured in these frames clearly runs the right way."""
        kind, arrows = plan.facts["kind"], []
        for source in {event.subject for event in plan.events}:
            tracks = [track for track in plan.tracks if track.name.startswith(source)]
            measured_T = measured_of(kind, tracks, plan.height)
            if not are_turns_shown(kind, measured_T, frames):
                return False
            arrows.append(arrow(kind, measured_T[list(frames)]))
        return float(np.mean(arrows)) * (1 if self.logged(plan.events, plan.facts) else -1) >= 1.5 * MIN_ARROW

    def text(self, facts: Facts) -> str:
        return f"{SHOWN[facts['kind']]} {super().text(facts)}"

    def logged(self, events: Sequence[Event], facts: Facts) -> bool:
        """Return whether time runs forwards."""
        return all(event.detail in BACKWARDS for event in events)

    def seen(self, witness: Witness, facts: Facts) -> bool | None:
        """Find whether what is measured by the colors runs forwards or backwards."""
        kind, colors = facts["kind"], [COLORS[name] for name in facts["colors"]]
        mean = float(np.mean([arrow(kind, measured_in(kind, witness.frames_THWC, color)) for color in colors]))
        return None if abs(mean) < MIN_ARROW else mean > 0

    def answer(self, measured: bool, facts: Facts) -> str:
        return OPTIONS[0] if measured else OPTIONS[1]

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        return sorted(plan.events, key=lambda event: (event.start_ms, event.subject))


def _even_track(setting: Setting, actor: Actor) -> Track:
    """Let a shape go evenly from one place to another."""
    start, end = setting.rng.uniform(actor.radius_px, setting.size_xy - actor.radius_px, (2, 2))
    return to_track(actor, np.linspace(start, end, setting.num_frames), wraps=False)
