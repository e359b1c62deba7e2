"""How many of the shapes move? (SynRL, arXiv 2603.17693, short-term: motion count.)

Every shape has a lane of its own across the frame and starts anywhere on it; those that move leave the frame at one end
and enter at the other. So in any one frame every shape is anywhere on its lane, whether it moves or not, and none is
ever hidden. From level 2 on all shapes tremble, those that stay on the spot too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, total_steps
from temporay.operators.primitives._base import Primitive, Style, Twin, choose_truth
from temporay.operators.primitives._claims import Claim, Phrases
from temporay.operators.primitives.motion._races import DIRECTION_PHRASES
from temporay.operators.primitives.motion._stage import (
    AT_PHRASES,
    Actor,
    at_events,
    choose_actors,
    choose_num_frames,
    color_of,
    drawn_plan,
    frame_ms,
    read_path,
    tell_path,
    to_track,
)
from temporay.operators.records import Address, AnswerKind, Event, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

NUM_SHAPES_BY_LEVEL = (3, 3, 4, 5, 6)
TREMBLE_BY_LEVEL = (0.0, 0.0, 0.01, 0.015, 0.02)  # of the lane's length, to each side
TRAVEL_RANGE = (0.3, 0.6)  # of the lane's length in the whole clip
LANE_FILL = 0.45  # radius over the lane's width, at most
MAX_OPTIONS = 4
WAYS = (("left", "right"), ("up", "down"))  # along the width and along the height
WORDINGS = (
    "How many objects move in the video?",
    "How many of the shapes are moving?",
    "Count the shapes that move. How many are there?",
    "Some of the shapes move and others may not. How many move?",
    "What is the number of moving shapes?",
    "How many shapes change their place during the video?",
    "Which option gives the number of shapes in motion?",
    "Of all the shapes, how many travel across the frame?",
)
TREMBLING = "Trembling on the spot does not count."


class MotionCount(Primitive):
    task: ClassVar[str] = "motion_count"
    answer_kind: ClassVar[AnswerKind] = "number"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"  # what moves is seen to in any order of the frames
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "moves": DIRECTION_PHRASES,
        "stays": (
            "The {subject} stays where it is from {start} s to {end} s.",
            "Nothing moves the {subject} in the time from {start} s to {end} s.",
            "All the time from {start} s to {end} s the {subject} keeps its place.",
        ),
    }

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_shapes = NUM_SHAPES_BY_LEVEL[address.level]
        counts = [1 + int(i) for i in rng.choice(num_shapes, min(MAX_OPTIONS, num_shapes), replace=False)]
        truth = counts[choose_truth(rng, len(counts), address)]
        actors = choose_actors(rng, canvas, num_shapes, address.level)
        movers = set(rng.permutation(num_shapes)[:truth].tolist())
        num_frames = choose_num_frames(address, canvas)
        axis = int(rng.integers(2))
        tracks: list[Track] = []
        events: list[Event] = []
        for lane, actor in enumerate(actors):
            way = float(rng.uniform(*TRAVEL_RANGE)) * (-1 if rng.integers(2) else 1)
            gone_T = np.linspace(0, way if lane in movers else 0.0, num_frames)
            gone_T += TREMBLE_BY_LEVEL[address.level] * rng.uniform(-1, 1, num_frames)
            place_T = np.mod(rng.uniform() + gone_T, 1.0)
            track = _on_lane(actor, place_T, axis, (lane + 0.5) / num_shapes, num_shapes, canvas)
            tracks.append(track)
            events.extend(at_events(actor.name, track.xy_T2, canvas, (0, num_frames - 1)))
            kind, detail = ("moves", WAYS[axis][way > 0]) if lane in movers else ("stays", "")
            end_ms = frame_ms(num_frames, canvas)
            events.append(Event(kind=kind, subject=actor.name, start_ms=0.0, end_ms=end_ms, detail=detail))
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks),
            events=tuple(events),
            facts={
                "names": [actor.name for actor in actors],
                "options": [str(n) for n in counts],
                "trembling": TREMBLE_BY_LEVEL[address.level] > 0,
                "wording": int(rng.integers(len(WORDINGS))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        options = tuple(plan.facts["options"])
        truth = str(sum(event.kind == "moves" for event in plan.events))
        text = WORDINGS[plan.facts["wording"]]
        if plan.facts["trembling"]:
            text = f"{text} {TREMBLING}"
        return Question(text=text, options=options, answer_index=options.index(truth))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """One shape after the other: where it is first and last, then whether it moves."""
        return list(plan.events)

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        if style == "detailed":
            return super().explain(plan, question, style)
        told = ", ".join(
            f"{event.subject} {tell_path(plan, event.subject)} {event.kind}"
            for event in plan.events
            if event.kind != "at"
        )
        return f"{told}. The number of moving shapes is {question.options[question.answer_index]}."

    def claims(self, text: str) -> list[Claim]:
        return read_path(text) or super().claims(text)

    def recover(self, witness: Witness) -> int | None:
        """By how far each colour gets, around the joined edges."""
        colors = [color_of(name) for name in witness.facts["names"]]
        ways = [None if color is None else total_steps(witness.frames_THWC, color) for color in colors]
        size = np.array(witness.frames_THWC.shape[2:0:-1])
        shares = [float(np.abs(way / size).max()) for way in ways if way is not None]
        count = str(sum(share > TRAVEL_RANGE[0] / 2 for share in shares))
        return witness.options.index(count) if len(shares) == len(ways) and count in witness.options else None


def _on_lane(
    actor: Actor, place_T: npt.NDArray[np.float64], axis: int, across: float, num_lanes: int, canvas: Canvas
) -> Track:
    """The actor, made small enough for its lane, at these places along it (parts of its length)."""
    size = (canvas.width, canvas.height)
    xy_T2: npt.NDArray[np.float64] = np.empty((len(place_T), 2))
    xy_T2[:, axis] = place_T * size[axis]
    xy_T2[:, 1 - axis] = across * size[1 - axis]
    radius_px = min(actor.radius_px, LANE_FILL * size[1 - axis] / num_lanes)
    return to_track(replace(actor, radius_px=radius_px), xy_T2, wraps=True)
