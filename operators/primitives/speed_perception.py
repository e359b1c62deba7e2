"""Which shape is the fastest? (SynRL, arXiv 2603.17693, short-term: speed perception and velocity comparison.)

All shapes start anywhere on a frame whose edges are joined, each in a direction of its own, so one frame says nothing;
how far a shape gets in the whole clip says all, in whatever order the frames come.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from operators.motion import (
    at_events,
    draw_actors,
    draw_backdrop,
    draw_num_frames,
    spread_frames,
    straight_steps,
    tell_path,
    tell_timed_path,
    to_track,
    torus_path,
)
from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Event, Question, Scene, ScenePlan
from operators.seeding import rng

NUM_SHAPES_BY_LEVEL = (2, 2, 3, 3, 4)
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
MIN_RATIO_BY_LEVEL = (2.0, 1.7, 1.6, 1.4, 1.3)  # fastest over second fastest
SLOW_TRAVEL = (0.2, 0.35)  # of the frame's shorter side in the whole clip
WORDINGS = (
    "Which shape moves the fastest?",
    "Which of the shapes has the highest speed?",
    "All shapes move. Which one is the fastest?",
    "Compare the speeds of the shapes. Which one is moving fastest?",
)


class SpeedPerception(Primitive):
    task: ClassVar[str] = "speed_perception"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        actors = draw_actors(draw, canvas, NUM_SHAPES_BY_LEVEL[address.level], address.level)
        truth = draw_truth(draw, len(actors), address)
        travels = draw.uniform(*SLOW_TRAVEL, len(actors))
        ratio = MIN_RATIO_BY_LEVEL[address.level] * float(draw.uniform(1.0, 1.2))
        travels[truth] = ratio * max(np.delete(travels, truth))
        num_frames = draw_num_frames(address, canvas)
        duration_s, num_angles = num_frames / canvas.fps, NUM_ANGLES_BY_LEVEL[address.level]
        tracks, events = [], []
        for actor, travel in zip(actors, travels, strict=True):
            step_px = min(canvas.width, canvas.height) * travel / (num_frames - 1)
            angle_deg = 360.0 * int(draw.integers(num_angles)) / num_angles
            start = draw.uniform((0.0, 0.0), (canvas.width, canvas.height))
            steps = straight_steps(angle_deg, np.full(num_frames - 1, step_px))
            track = to_track(actor, torus_path(start, steps, canvas), wraps=True)
            tracks.append(track)
            speed = f"{step_px * canvas.fps:.3f} px/s"
            events.append(Event(kind="moves", subject=actor.name, start_ms=0.0, end_ms=1000 * duration_s, detail=speed))
            events.extend(at_events(actor.name, track.xy_T2, canvas, spread_frames(num_frames)))
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=num_frames,
            backdrop=draw_backdrop(address),
            tracks=tuple(tracks[i] for i in draw.permutation(len(tracks))),
            events=tuple(events),
            facts={"wording": int(draw.integers(len(WORDINGS)))},
        )

    def ask(self, plan: ScenePlan) -> Question:
        speeds = {e.subject: float(e.detail.split()[0]) for e in plan.events if e.kind == "moves"}
        fastest = max(speeds, key=lambda name: speeds[name])
        options = tuple(f"the {name}" for name in speeds)
        return Question(
            text=WORDINGS[plan.facts["wording"]], options=options, answer_index=options.index(f"the {fastest}")
        )

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        answer = question.options[question.answer_index]
        moves = [event for event in plan.events if event.kind == "moves"]
        if style == "concise":
            paths = ", ".join(f"{event.subject} {tell_path(plan, event.subject)}" for event in moves)
            return f"{paths}. The fastest is {answer}."
        told = " ".join(
            f"{tell_timed_path(plan, event.subject)} Its speed is {float(event.detail.split()[0]):.0f} pixels a second."
            for event in moves
        )
        return f"{told} The fastest is {answer}."
