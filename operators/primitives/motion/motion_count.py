"""How many of the shapes move? (SynRL, arXiv 2603.17693, short-term: motion count).

Every shape has a lane across the frame and starts anywhere on it. Those that move leave the frame at one end and enter
at the other. So in any one frame every shape is anywhere on its lane, whether it moves or not, and none is ever hidden.
From level 2 on all shapes tremble, also those that stay in place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._stated import Value, direction_of
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._races import DIRECTION_PHRASES
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    Actor,
    at_events,
    followed_steps,
    tell_path,
    to_track,
)
from temporay.operators.records import Event, Question, ScenePlan, Track

NUM_SHAPES_BY_LEVEL = (3, 3, 4, 5, 6)
TREMBLE_BY_LEVEL = (0.0, 0.0, 0.01, 0.015, 0.02)  # parts of the lane's length, to each side
TRAVEL_RANGE = (0.3, 0.6)  # parts of the lane's length in the whole clip
LANE_FILL = 0.45  # radius over the lane's width, at most
MAX_OPTIONS = 4
WAYS = (("left", "right"), ("up", "down"))  # along the width and along the height
TREMBLING = "Trembling on the spot does not count."


class MotionCount(DrawnMotion[int]):
    """Question about the number of moving shapes."""

    task = "motion_count"
    free_form = True
    # What moves is seen at two places.
    inherent: ClassVar[Inherent] = {"one_number": 0.96, "two_frames": (0.7, 0.7, 0.4, 0.4, 0.4), "bag_of_frames": 1.0}
    answer_kind = "number"
    order_dependent = False
    twin = "restaged"  # what moves is seen in any order of the frames
    concise = "{paths}. The number of moving shapes is {answer}."

    wordings = (
        "How many objects move in the video?",
        "How many of the shapes are moving?",
        "Count the shapes that move. How many are there?",
        "Some of the shapes move and others may not. How many move?",
        "What is the number of moving shapes?",
        "How many shapes change their place during the video?",
        "Give the number of shapes in motion.",
        "Of all the shapes, how many travel across the frame?",
    )
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "moves": DIRECTION_PHRASES,
        "stays": (
            "The {subject} stays where it is from {start} s to {end} s.",
            "Nothing moves the {subject} in the time from {start} s to {end} s.",
            "All the time from {start} s to {end} s the {subject} keeps its place.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, num_frames = setting.rng, setting.num_frames
        num_shapes, tremble = NUM_SHAPES_BY_LEVEL[setting.level], TREMBLE_BY_LEVEL[setting.level]
        counts = [1 + int(i) for i in rng.choice(num_shapes, min(MAX_OPTIONS, num_shapes), replace=False)]
        truth = setting.choose_truth(counts)
        actors = setting.choose_actors(num_shapes)
        movers = set(rng.permutation(num_shapes)[:truth].tolist())
        axis = int(rng.integers(2))
        tracks: list[Track] = []
        events: list[Event] = []
        for lane, actor in enumerate(actors):
            way = float(rng.uniform(*TRAVEL_RANGE)) * (-1 if rng.integers(2) else 1)
            gone_T = np.linspace(0, way if lane in movers else 0.0, num_frames)
            gone_T += tremble * rng.uniform(-1, 1, num_frames)
            place_T = np.mod(rng.uniform() + gone_T, 1.0)
            track = _on_lane(actor, place_T, axis, (lane + 0.5) / num_shapes, num_shapes, setting.canvas)
            tracks.append(track)
            events.extend(at_events(actor.name, track.xy_T2, setting.canvas, (0, num_frames - 1)))
            kind, detail = ("moves", WAYS[axis][way > 0]) if lane in movers else ("stays", "")
            events.append(setting.event(kind, actor.name, detail))
        options, names = [str(n) for n in counts], [actor.name for actor in actors]
        return MotionClip(tracks, events, {"names": names, "options": options, "trembling": tremble > 0})

    def text(self, facts: Facts) -> str:
        return f"{super().text(facts)} {TREMBLING}" if facts["trembling"] else super().text(facts)

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        return direction_of(detail)

    def logged(self, events: Sequence[Event], facts: Facts) -> int:
        return sum(event.kind == "moves" for event in events)

    def seen(self, witness: Witness, facts: Facts) -> int | None:
        """Count the colors that get away, around the joined edges."""
        size, count = np.array(witness.frames_THWC.shape[2:0:-1]), 0
        for name in facts["names"]:
            step_xy_T2 = followed_steps(witness.frames_THWC, name)
            if step_xy_T2 is None:
                return None
            count += bool(np.abs(step_xy_T2.sum(axis=0) / size).max() > TRAVEL_RANGE[0] / 2)
        return count

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell one shape after the other: where it is first and last, then whether it moves."""
        return plan.events

    def paths(self, plan: ScenePlan) -> str:
        whole = [event for event in plan.events if event.kind != "at"]
        return ", ".join(f"{e.subject} {tell_path(plan.events, e.subject)} {e.kind}" for e in whole)


def _on_lane(
    actor: Actor, place_T: npt.NDArray[np.float64], axis: int, across: float, num_lanes: int, canvas: Canvas
) -> Track:
    """Put an actor, small enough for its lane, at these places along it (parts of its length)."""
    size = (canvas.width, canvas.height)
    xy_T2: npt.NDArray[np.float64] = np.empty((len(place_T), 2))
    xy_T2[:, axis] = place_T * size[axis]
    xy_T2[:, 1 - axis] = across * size[1 - axis]
    radius_px = min(actor.radius_px, LANE_FILL * size[1 - axis] / num_lanes)
    return to_track(replace(actor, radius_px=radius_px), xy_T2, wraps=True)
