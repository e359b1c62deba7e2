"""How far does a shape travel, in widths or heights of the frame? (SynRL, arXiv 2603.17693: distance estimation).

The shape goes straight along the frame's width or height. What leaves at one edge enters at the opposite one, so the
way has to be added up. It starts anywhere, so one frame tells nothing. The options are equal steps apart, and the way
is exactly one of them. Up to level 2 the speed is steady. From level 3 on the shape rests once and continues at another
speed, so a speed times the clip's length is not the way.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Value, words_of
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._races import choose_run
from temporay.operators.primitives.motion._stage import AT_PHRASES, at_events, choose_way, followed_steps, spread_frames
from temporay.operators.records import AnswerValue, Event, Question, ScenePlan

OPTION_STEP_BY_LEVEL = (0.5, 0.4, 0.4, 0.3, 0.25)  # parts of the frame between neighboring options
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
MAX_OPTIONS = 4
MAX_WAY = 2.0  # parts of the frame
MAX_STEP = 0.3  # parts of the frame, on the average of the moving time in the canvas's shortest clip
RESTING_LEVEL = 3
REST_RANGE = (0.1, 0.2)  # parts of the clip
FIRST_TIME_RANGE = (0.35, 0.65)  # parts of the moving time: when the rest begins
FIRST_SPEED_RANGE = (0.8, 1.25)  # speed before the rest over the mean speed; after the rest it is at most 1.4
NUM_PLACES = 9  # listed in an explanation: between two of them the shape makes less than half a frame
SURE_SHARE = 0.3  # how far a seen way may be from the nearest option, in steps between options
UNITS = ("widths", "heights")


class DistanceEstimation(DrawnMotion[float]):
    """Question about the length of a way."""

    task = "distance_estimation"
    answer_kind = "number"
    order_dependent = False
    twin = "restaged"  # the places passed tell the way in any order of the frames
    concise = "{paths}. The way is {answer}."

    wordings = (
        "How far does the {name} travel, in {unit} of the frame?",
        "Estimate the distance that the {name} covers, measured in {unit} of the frame.",
        "The {name} leaves at one edge and comes back at the other. How many {unit} of the frame does it travel?",
        "How many {unit} of the frame is the way of the {name} long?",
        "What distance does the {name} cover in the whole video, in {unit} of the frame?",
        "Add up the way of the {name}. How long is it, in {unit} of the frame?",
        "By how many {unit} of the frame does the {name} move on in all?",
        "Which option gives the length of the way of the {name}, in {unit} of the frame?",
    )
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "travels": (
            "From {start} s to {end} s the {subject} covers {d1} {d2} of the frame.",
            "The way of the {subject} between {start} s and {end} s is {d1} {d2} of the frame long.",
            "Moving from {start} s to {end} s, the {subject} gets {d1} {d2} of the frame further.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, num_steps = setting.rng, setting.canvas, setting.num_frames - 1
        ways = _choose_options(rng, OPTION_STEP_BY_LEVEL[setting.level], canvas)
        truth = setting.choose_truth(ways)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[setting.level], cutouts=True)
        name, axis = actors[0].name, int(rng.integers(2))
        step_xy_T2 = np.zeros((num_steps, 2))
        events = []
        for start, end, share in _choose_bouts(rng, setting.num_frames, rests=setting.level >= RESTING_LEVEL):
            step_xy_T2[start:end, axis] = share * truth * (canvas.width, canvas.height)[axis] / (end - start)
            events.append(event_in(canvas, "travels", name, start, end, f"{share * truth:.2f} {UNITS[axis]}"))
        step_xy_T2 *= -1 if rng.integers(2) else 1
        tracks = [choose_way(rng, actors[0], step_xy_T2, canvas)]
        for actor in actors[1:]:
            step_px = setting.side_px * float(rng.uniform(0.2, 1.0)) / num_steps
            tracks.append(choose_run(rng, actor, np.full(num_steps, step_px), 4, canvas))
        listed = sorted(set(spread_frames(setting.num_frames, NUM_PLACES)))
        events.extend(at_events(name, tracks[0].xy_T2, canvas, listed))
        # the one asked about is painted last
        return MotionClip(tracks[::-1], events, {"name": name, "ways": ways, "unit": UNITS[axis]})

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        return tuple(f"{way:g} {facts['unit']}" for way in facts["ways"])

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return tuple((way, facts["unit"]) for way in facts["ways"])

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return the way; its unit belongs to its name, because the question gives it."""
        way, _, unit = detail.partition(" ")
        return {f"way in {unit}": words_of(way).get("1", "")}

    def logged(self, events: Sequence[Event], facts: Facts) -> float:
        return sum(float(event.detail.split()[0]) for event in events if event.kind == "travels")

    def seen(self, witness: Witness, facts: Facts) -> float | None:
        """Add up the steps of the shape's color between frames, around the joined edges."""
        step_xy_T2 = followed_steps(witness.frames_THWC, facts["name"])
        if step_xy_T2 is None:
            return None
        axis = UNITS.index(facts["unit"])
        way = float(abs(step_xy_T2.sum(axis=0)[axis]) / witness.frames_THWC.shape[2 - axis])
        step = float(np.diff(np.sort(facts["ways"])).min())
        return way if np.abs(np.array(facts["ways"]) - way).min() < SURE_SHARE * step else None

    def answer(self, measured: float, facts: Facts) -> str:
        nearest = min(facts["ways"], key=lambda way: abs(way - measured))
        return f"{nearest:g} {facts['unit']}"

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell where the shape is, and after every bout of moving how far it got."""
        return sorted(plan.events, key=lambda event: event.end_ms)


def _choose_options(rng: np.random.Generator, step: float, canvas: Canvas) -> list[float]:
    """Choose neighboring multiples of ``step``, no longer than the canvas's shortest clip can show."""
    moving_steps = int((1 - REST_RANGE[1]) * (canvas.num_frames[0] - 1))
    highest = max(2, int(min(MAX_WAY, MAX_STEP * moving_steps) / step + 1e-9))
    num_options = min(MAX_OPTIONS, highest)
    first = 1 + int(rng.integers(highest - num_options + 1))
    return [round(step * (first + int(i)), 2) for i in rng.permutation(num_options)]


def _choose_bouts(rng: np.random.Generator, num_frames: int, *, rests: bool) -> list[tuple[int, int, float]]:
    """Choose when the shape moves: its first step, the step after its last, and its share of the way."""
    num_steps = num_frames - 1
    if not rests:
        return [(0, num_steps, 1.0)]
    rest = max(1, round(num_steps * float(rng.uniform(*REST_RANGE))))
    stop = round((num_steps - rest) * float(rng.uniform(*FIRST_TIME_RANGE)))
    share = stop / (num_steps - rest) * float(rng.uniform(*FIRST_SPEED_RANGE))
    return [(0, stop, share), (stop + rest, num_steps, 1 - share)]
