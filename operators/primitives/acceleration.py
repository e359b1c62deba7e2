"""Does a shape speed up, slow down or keep its speed? (SynRL, arXiv 2603.17693, short-term: acceleration.)

The mean speed is drawn apart from the answer, from one distribution; the released SynRL generator let the first speed
give the answer away. Not all of that can be removed: what speeds up starts below its mean. With means spread evenly on
a log scale over a factor R and a change by a factor r, the best guess from the first speed alone is right with
(1 + ln r / ln R) / 3, here 0.56 at level 0 and 0.43 at level 4. No single frame shows a speed.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from operators.motion import (
    at_events,
    draw_actors,
    draw_backdrop,
    draw_num_frames,
    frame_ms,
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

OPTIONS = ("accelerating", "decelerating", "moving at a constant speed")
RATIO_BY_LEVEL = (3.0, 2.5, 2.2, 1.9, 1.6)  # last speed over first one when accelerating
NUM_ANGLES_BY_LEVEL = (4, 4, 8, 8, 16)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 2, 3)
TRAVEL_RANGE = (0.22, 1.1)  # of the frame's shorter side in the whole clip: a third of it is never half a lap
CONSTANT_RATIO = 1.1  # below this last over first speed is "constant"
WORDINGS = (
    "Is the {name} accelerating, decelerating, or moving at a constant speed?",
    "How does the speed of the {name} change?",
    "What happens to the speed of the {name} during the video?",
    "Which best describes the motion of the {name}?",
)


class Acceleration(Primitive):
    task: ClassVar[str] = "acceleration"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        options = [OPTIONS[i] for i in draw.permutation(len(OPTIONS))]
        truth = options[draw_truth(draw, len(options), address)]
        actors = draw_actors(draw, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level)
        changes = [truth, *(OPTIONS[int(draw.integers(len(OPTIONS)))] for _ in actors[1:])]
        num_frames = draw_num_frames(address, canvas)
        num_angles = NUM_ANGLES_BY_LEVEL[address.level]
        tracks, events = [], []
        for actor, change in zip(actors, changes, strict=True):
            travel = float(np.exp(draw.uniform(*np.log(TRAVEL_RANGE))))
            mean_step_px = min(canvas.width, canvas.height) * travel / (num_frames - 1)
            step_px_T = _steps(change, RATIO_BY_LEVEL[address.level], mean_step_px, num_frames - 1)
            angle_deg = 360.0 * int(draw.integers(num_angles)) / num_angles
            start = draw.uniform((0.0, 0.0), (canvas.width, canvas.height))
            path = torus_path(start, straight_steps(angle_deg, step_px_T), canvas)
            tracks.append(to_track(actor, path, wraps=True))
            speeds = f"{step_px_T[0] * canvas.fps:.3f} to {step_px_T[-1] * canvas.fps:.3f} px/s"
            end_ms = frame_ms(num_frames, canvas)
            events.append(Event(kind="moves", subject=actor.name, start_ms=0.0, end_ms=end_ms, detail=speeds))
        events.extend(at_events(actors[0].name, tracks[0].xy_T2, canvas, spread_frames(num_frames)))
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=num_frames,
            backdrop=draw_backdrop(address),
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=tuple(events),
            facts={"name": actors[0].name, "options": options, "wording": int(draw.integers(len(WORDINGS)))},
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], tuple(plan.facts["options"])
        first, last = _speeds(plan, name)
        if max(first, last) < CONSTANT_RATIO * min(first, last):
            truth = "moving at a constant speed"
        else:
            truth = "accelerating" if last > first else "decelerating"
        text = WORDINGS[plan.facts["wording"]].format(name=name)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        name, answer = plan.facts["name"], question.options[question.answer_index]
        if style == "concise":
            return f"{tell_path(plan, name)}. It is {answer}."
        first, last = _speeds(plan, name)
        speeds = f"Its speed is {first:.0f} pixels a second at first and {last:.0f} at the end."
        return f"{tell_timed_path(plan, name)} {speeds} It is {answer}."


def _steps(change: str, ratio: float, mean_step_px: float, num_steps: int) -> np.ndarray:
    """Step lengths in px, linear in time, whose mean is exactly ``mean_step_px``."""
    if change == "moving at a constant speed":
        return np.full(num_steps, mean_step_px)
    slow, fast = 2 / (1 + ratio), 2 * ratio / (1 + ratio)
    rising = mean_step_px * np.linspace(slow, fast, num_steps)
    return rising if change == "accelerating" else rising[::-1]


def _speeds(plan: ScenePlan, name: str) -> tuple[float, float]:
    """First and last speed of a shape in px/s, from the log."""
    event = next(e for e in plan.events if e.kind == "moves" and e.subject == name)
    first, _, last, _ = event.detail.split()
    return float(first), float(last)
