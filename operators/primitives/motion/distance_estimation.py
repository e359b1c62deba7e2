"""How far does a shape travel, in widths or heights of the frame? (SynRL, arXiv 2603.17693: distance estimation).

The shape goes along the frame's width or height in bouts at different speeds, with rests between. What leaves at one
edge enters at the opposite one, so the way has to be added up. One of the bouts goes back, so far that where the shape
is at the end says nothing about the way. The options are equal steps apart, and the way is exactly one of them.

Speeds, and the clip's length, are chosen apart from the way. Two frames at the start or at the end say nothing. In
between, a shape with a longer way is more often on the move: two frames anywhere are right in at most 0.35. Chance is
0.25. All steps added up are the way itself.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives._stated import Value, direction_of, words_of
from temporay.operators.primitives.motion._courses import choose_bouts, gaps_of_bouts, gone_along, told_sum
from temporay.operators.primitives.motion._drawn_motion import SIGNS, DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._lanes import UNITS, WAYS, LaneRace, steps_along
from temporay.operators.primitives.motion._stage import JOINED, choose_way, straight_steps
from temporay.operators.records import AnswerValue, Event

OPTION_TENTHS_BY_LEVEL = (4, 4, 4, 2, 2)  # between neighboring options; an odd number would show at the end
FIRST_TENTHS_BY_LEVEL = ((10, 10), (10, 13), (11, 15), (15, 20), (17, 24))  # range of the shortest option
NUM_BOUTS_BY_LEVEL = (2, 2, 3, 4, 4)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
NUM_OPTIONS = 4
SURE_SHARE = 0.3  # how far a seen way may be from the nearest option, in steps between options


class DistanceEstimation(DrawnMotion[float]):
    """Question about the length of a way."""

    task = "distance_estimation"
    answer_kind = "number"
    order_dependent = False
    twin = "restaged"  # the places passed tell the way in any order of the frames
    inherent: ClassVar[Inherent] = {
        "path_length": 1.0,  # the way itself
        "mean_speed": (1.0, 0.95, 0.95, 0.75, 0.7),
        "net_displacement": (0.65, 0.65, 0.65, 0.5, 0.5),
        "bag_of_frames": (0.9, 0.85, 0.85, 0.65, 0.6),
        "two_frames": 0.35,
        "few_frames": 0.36,
    }
    notes = (JOINED,)
    told_as_logged = True
    bouts = frozenset({"gets"})
    gaps_by_level = tuple(
        gaps_of_bouts(first[1] + (NUM_OPTIONS - 1) * step, bouts)
        for first, step, bouts in zip(FIRST_TENTHS_BY_LEVEL, OPTION_TENTHS_BY_LEVEL, NUM_BOUTS_BY_LEVEL, strict=True)
    )

    wordings = (
        "How far does the {name} travel in all, to and fro, in {unit}s of the frame?",
        "Estimate the distance that the {name} covers, there and back, measured in {unit}s of the frame.",
        "The {name} goes both ways. How many {unit}s of the frame does it travel in all?",
        "How many {unit}s of the frame is the whole way of the {name}, with all that it goes back?",
        "What distance does the {name} cover in the whole video, in both directions, in {unit}s of the frame?",
        "Add up the way of the {name}, forward and back. How long is it, in {unit}s of the frame?",
        "Counting every stretch, whichever way it goes, how many {unit}s of the frame does the {name} travel?",
        "Which option gives the length of all that the {name} travels, to and fro, in {unit}s of the frame?",
    )
    phrases: ClassVar[Phrases] = {
        "gets": (
            "The {subject} gets {d1} tenths of the frame further, {d2}.",
            "The {subject} covers {d1} tenths of the frame, going {d2}.",
            "Then the {subject} moves by {d1} tenths of the frame, {d2}.",
        ),
        "sum": LaneRace.phrases["sum"],
    }
    concise_phrases: ClassVar[Phrases] = {"gets": ("{d1} tenths {d2}.",), "sum": ("In tenths {detail}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        step, (low, high) = OPTION_TENTHS_BY_LEVEL[level], FIRST_TENTHS_BY_LEVEL[level]
        first = int(rng.integers(low, high + 1))
        ways = [first + step * int(i) for i in rng.permutation(NUM_OPTIONS)]
        truth = setting.choose_truth(ways)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level], cutouts=True)
        axis = int(rng.integers(2))
        tracks, events = [], []
        for actor in actors:
            way = truth if actor is actors[0] else first + step * int(NUM_OPTIONS * rng.uniform())
            num_bouts, sign = NUM_BOUTS_BY_LEVEL[level], -1 if rng.integers(2) else 1
            bouts = choose_bouts(rng, way, num_bouts, setting.num_frames - 1, setting.gap, back=True)
            step_px_T = sign * np.diff(gone_along(bouts, setting.num_frames)) * (canvas.width, canvas.height)[axis]
            tracks.append(choose_way(rng, actor, straight_steps(90.0 * axis, step_px_T), canvas))
            if actor is actors[0]:
                for bout in bouts:
                    detail = f"{bout.tenths} {WAYS[axis][(sign > 0) != bout.back]}"
                    events.append(setting.event_in("gets", actor.name, bout.start, bout.end, detail))
                events.append(setting.event("sum", actor.name, told_sum([bout.tenths for bout in bouts])))
        # the one asked about is painted last
        return MotionClip(tracks[::-1], events, {"name": actors[0].name, "tenths": ways, "unit": UNITS[axis]})

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        return tuple(f"{tenths / 10:.1f} {facts['unit']}s" for tenths in facts["tenths"])

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return tuple((tenths / 10, f"{facts['unit']}s") for tenths in facts["tenths"])

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        tenths, _, way = detail.partition(" ")
        return {"tenths": tenths, **direction_of(way)} if kind == "gets" else words_of(SIGNS.sub("", detail))

    def logged(self, events: Sequence[Event], facts: Facts) -> float:
        """Return the tenths of all bouts."""
        return sum(float(event.detail.split()[0]) for event in events if event.kind == "gets")

    def seen(self, witness: Witness, facts: Facts) -> float | None:
        """Add up the steps of the shape's color between frames, around the joined edges and in both directions."""
        way = 10 * float(np.abs(steps_along(witness, facts["name"], facts)).sum())
        step = float(np.diff(np.sort(facts["tenths"])).min())
        return way if np.abs(np.array(facts["tenths"]) - way).min() < SURE_SHARE * step else None

    def answer(self, measured: float, facts: Facts) -> str:
        nearest = min(facts["tenths"], key=lambda way: abs(way - measured))
        return f"{nearest / 10:.1f} {facts['unit']}s"
