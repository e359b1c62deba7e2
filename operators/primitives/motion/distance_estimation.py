"""How far does a shape travel, in widths or heights of the frame? (SynRL, arXiv 2603.17693: distance estimation.)

The shape goes straight along the frame's width or height; what leaves at one edge enters at the opposite one, so the
way has to be added up. It starts anywhere, so one frame says nothing. The options are equal steps apart and the way is
exactly one of them. Up to level 2 the speed is steady; from level 3 on the shape rests once and goes on at another
speed, so that a speed times the clip's length is not the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, total_steps
from temporay.operators.primitives._base import Primitive, Style, Twin, choose_truth
from temporay.operators.primitives._claims import Claim, Phrases
from temporay.operators.primitives.motion._races import choose_run
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    at_events,
    choose_actors,
    choose_num_frames,
    color_of,
    drawn_plan,
    frame_ms,
    read_path,
    tell_path,
    to_track,
    torus_path,
)
from temporay.operators.records import Address, AnswerKind, AnswerValue, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

OPTION_STEP_BY_LEVEL = (0.5, 0.4, 0.4, 0.3, 0.25)  # of the frame, between neighbouring options
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
MAX_OPTIONS = 4
MAX_WAY = 2.0  # of the frame
MAX_STEP = 0.3  # of the frame, on the average of the moving time in the canvas's shortest clip
RESTING_LEVEL = 3
REST_RANGE = (0.1, 0.2)  # of the clip
FIRST_TIME_RANGE = (0.35, 0.65)  # of the moving time: when the rest begins
FIRST_SPEED_RANGE = (0.8, 1.25)  # of the mean: the speed before the rest; behind it at most 1.4
NUM_PLACES = 9  # listed in an explanation: between two of them the shape makes less than half a frame
SURE_SHARE = 0.3  # of a step between options: what is seen may be off the nearest one by this much
UNITS = ("widths", "heights")
WORDINGS = (
    "How far does the {name} travel, in {unit} of the frame?",
    "Estimate the distance that the {name} covers, measured in {unit} of the frame.",
    "The {name} leaves at one edge and comes back at the other. How many {unit} of the frame does it travel?",
    "How many {unit} of the frame is the way of the {name} long?",
    "What distance does the {name} cover in the whole video, in {unit} of the frame?",
    "Add up the way of the {name}. How long is it, in {unit} of the frame?",
    "By how many {unit} of the frame does the {name} move on in all?",
    "Which option gives the length of the way of the {name}, in {unit} of the frame?",
)


class DistanceEstimation(Primitive):
    task: ClassVar[str] = "distance_estimation"
    answer_kind: ClassVar[AnswerKind] = "number"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"  # the places passed tell the way in any order of the frames
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "travels": (
            "From {start} s to {end} s the {subject} covers {d1} {d2} of the frame.",
            "The way of the {subject} between {start} s and {end} s is {d1} {d2} of the frame long.",
            "Moving from {start} s to {end} s, the {subject} gets {d1} {d2} of the frame further.",
        ),
    }

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        ways = _choose_options(rng, OPTION_STEP_BY_LEVEL[address.level], canvas)
        truth = ways[choose_truth(rng, len(ways), address)]
        actors = choose_actors(rng, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level, scenes)
        name, num_frames = actors[0].name, choose_num_frames(address, canvas)
        axis = int(rng.integers(2))
        bouts = _choose_bouts(rng, num_frames, rests=address.level >= RESTING_LEVEL)
        step_xy_T2 = np.zeros((num_frames - 1, 2))
        events = []
        for start, end, share in bouts:
            step_xy_T2[start:end, axis] = share * truth * (canvas.width, canvas.height)[axis] / (end - start)
            start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
            detail = f"{share * truth:.2f} {UNITS[axis]}"
            events.append(Event(kind="travels", subject=name, start_ms=start_ms, end_ms=end_ms, detail=detail))
        step_xy_T2 *= -1 if rng.integers(2) else 1
        tracks = [
            to_track(
                actors[0],
                torus_path(rng.uniform((0.0, 0.0), (canvas.width, canvas.height)), step_xy_T2, canvas),
                wraps=True,
            )
        ]
        for actor in actors[1:]:
            step_px = min(canvas.width, canvas.height) * float(rng.uniform(0.2, 1.0)) / (num_frames - 1)
            tracks.append(choose_run(rng, actor, np.full(num_frames - 1, step_px), 4, canvas))
        listed = sorted({*np.rint(np.linspace(0, num_frames - 1, NUM_PLACES)).astype(int).tolist()})
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=(*events, *at_events(name, tracks[0].xy_T2, canvas, listed)),
            facts={"name": name, "ways": ways, "unit": UNITS[axis], "wording": int(rng.integers(len(WORDINGS)))},
        )

    def values(self, facts: Mapping[str, Any]) -> tuple[AnswerValue, ...]:
        return tuple((way, facts["unit"]) for way in facts["ways"])

    def ask(self, plan: ScenePlan) -> Question:
        facts = plan.facts
        way = sum(float(event.detail.split()[0]) for event in plan.events if event.kind == "travels")
        return Question(
            text=WORDINGS[facts["wording"]].format(name=facts["name"], unit=facts["unit"]),
            options=tuple(f"{option:g} {facts['unit']}" for option in facts["ways"]),
            answer_index=int(np.argmin(np.abs(np.array(facts["ways"]) - way))),
        )

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """Where the shape is, and after every bout of moving how far it got."""
        return sorted(plan.events, key=lambda event: event.end_ms)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        answer = question.options[question.answer_index]
        return f"{tell_path(plan, plan.facts['name'])}. The way is {answer}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By the steps of the shape's colour between frames, around the joined edges."""
        color = color_of(witness.facts["name"])
        total_xy = None if color is None else total_steps(witness.frames_THWC, color)
        if total_xy is None:
            return None
        axis = UNITS.index(witness.facts["unit"])
        ways = np.array(witness.facts["ways"])
        off = np.abs(ways - abs(total_xy[axis]) / witness.frames_THWC.shape[2 - axis])
        step = float(np.diff(np.sort(ways)).min())
        return int(off.argmin()) if off.min() < SURE_SHARE * step else None


def _choose_options(rng: np.random.Generator, step: float, canvas: Canvas) -> list[float]:
    """Neighbouring multiples of ``step``, shuffled; what the canvas's shortest clip cannot show is left out."""
    moving_steps = int((1 - REST_RANGE[1]) * (canvas.num_frames[0] - 1))
    highest = max(2, int(min(MAX_WAY, MAX_STEP * moving_steps) / step + 1e-9))
    num_options = min(MAX_OPTIONS, highest)
    first = 1 + int(rng.integers(highest - num_options + 1))
    return [round(step * (first + int(i)), 2) for i in rng.permutation(num_options)]


def _choose_bouts(rng: np.random.Generator, num_frames: int, *, rests: bool) -> list[tuple[int, int, float]]:
    """When the shape moves: first step, step behind the last, and the share of the way gone between them."""
    num_steps = num_frames - 1
    if not rests:
        return [(0, num_steps, 1.0)]
    rest = max(1, round(num_steps * float(rng.uniform(*REST_RANGE))))
    stop = round((num_steps - rest) * float(rng.uniform(*FIRST_TIME_RANGE)))
    share = stop / (num_steps - rest) * float(rng.uniform(*FIRST_SPEED_RANGE))
    return [(0, stop, share), (stop + rest, num_steps, 1 - share)]
