"""Is the clip played forwards or backwards? (Arrow of time; AoTBench, ArrowRL arXiv 2506.03340.)

Something irreversible goes on, over and over from any phase: no single frame, not even the first or the last, tells
the answer, and the twin is the same frames backwards. Shapes that drift evenly say nothing either way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Primitive, Twin, choose_truth
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._processes import (
    ARROWS,
    BACKWARDS,
    MIN_BALL_FRAMES,
    STAGES,
    ProcessKind,
    backwards,
)
from temporay.operators.primitives.motion._stage import (
    choose_actors,
    choose_num_frames,
    color_of,
    drawn_plan,
    straight_steps,
    to_track,
    torus_path,
)
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

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
DRIFT = (0.2, 0.5)  # of the frame's shorter side in the whole clip
MIN_ARROW = 0.2  # of the change seen, less is no sure answer
RULES: dict[ProcessKind, str] = {  # which way round is the natural one
    "drop": "Drops spread by themselves and never gather.",
    "burst": "What bursts flies apart and never comes together by itself.",
    "ball": "A bouncing ball loses height with every bounce.",
}
WORDINGS = (
    "Is this video played forwards or backwards?",
    "Does time run forwards or backwards in this video?",
    "In which direction does time run here?",
    "Was this video reversed? In which direction is it played?",
    "Is what happens shown in its natural order? Say how the video is played.",
    "How is this clip played?",
    "Which way does the arrow of time point in this clip?",
    "Judge by what happens: in which direction does the clip run?",
)


class TimeArrow(Primitive):
    task: ClassVar[str] = "time_arrow"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reversed"
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

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        options = [OPTIONS[i] for i in rng.permutation(len(OPTIONS))]
        truth = options[choose_truth(rng, len(options), address)]
        kinds = _possible(KINDS_BY_LEVEL[address.level], canvas)
        kind = kinds[int(rng.integers(len(kinds)))]
        num_sources = NUM_SOURCES_BY_LEVEL[address.level]
        num_actors = num_sources + NUM_DISTRACTORS_BY_LEVEL[address.level]
        actors = choose_actors(rng, canvas, num_actors, address.level)
        num_frames = choose_num_frames(address, canvas)
        processes = [STAGES[kind](rng, actor, canvas, num_frames) for actor in actors[:num_sources]]
        drifting = []
        for actor in actors[num_sources:]:
            step_px = min(canvas.width, canvas.height) * float(rng.uniform(*DRIFT)) / (num_frames - 1)
            steps_T2 = straight_steps(float(rng.uniform(0, 360)), np.full(num_frames - 1, step_px))
            path_T2 = torus_path(rng.uniform((0.0, 0.0), (canvas.width, canvas.height)), steps_T2, canvas)
            drifting.append(to_track(actor, path_T2, wraps=True))
        if truth == "backwards":
            processes = [backwards(process, canvas, num_frames) for process in processes]
            drifting = [replace(track, xy_T2=track.xy_T2[::-1]) for track in drifting]
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=(*drifting, *(track for process in processes for track in process.tracks)),
            events=tuple(event for process in processes for event in process.events),
            facts={
                "kind": kind,
                "names": [actor.name for actor in actors[:num_sources]],
                "options": options,
                "wording": int(rng.integers(len(WORDINGS))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        forwards = all(event.detail in BACKWARDS for event in plan.events)
        options = tuple(plan.facts["options"])
        answer = OPTIONS[0] if forwards else OPTIONS[1]
        text = f"{RULES[plan.facts['kind']]} {WORDINGS[plan.facts['wording']]}"
        return Question(text=text, options=options, answer_index=options.index(answer))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return sorted(plan.events, key=lambda event: (event.start_ms, event.subject))

    def recover(self, witness: Witness) -> int | None:
        """By whether colours grow, spread or lose height more often than they do the opposite."""
        colors = [color_of(name) for name in witness.facts["names"]]
        arrow_of = ARROWS[witness.facts["kind"]]
        arrows = [arrow_of(witness.frames_THWC, color) for color in colors if color is not None]
        mean = float(np.mean(arrows)) if arrows else 0.0
        if abs(mean) < MIN_ARROW:
            return None
        return witness.options.index(OPTIONS[0] if mean > 0 else OPTIONS[1])


def _possible(kinds: tuple[ProcessKind, ...], canvas: Canvas) -> list[ProcessKind]:
    """Without the ball where the canvas's shortest clip has too few frames for its bounces."""
    return [kind for kind in kinds if kind != "ball" or canvas.num_frames[0] >= MIN_BALL_FRAMES]
