"""Lanes across the frame, one for each shape, so that none ever hides another. The ends of a lane are joined."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives.motion._courses import choose_bouts, gone_along, told_sum
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import Actor, followed_steps, to_track
from temporay.operators.records import Event, Track

LANE_FILL = 0.45  # radius over the lane's width, at most
WAYS = (("left", "right"), ("up", "down"))  # along the width and along the height
UNITS = ("width", "height")
SURE_TENTHS = 0.35  # a seen way must be as near to whole tenths


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """Parallel lanes along the frame's width (0) or its height (1)."""

    canvas: Canvas
    axis: int
    count: int

    def track(self, actor: Actor, lane: int, place_T: npt.NDArray[np.float64]) -> Track:
        """Put an actor, made small enough for its lane, at these places along it, in parts of the lane's length."""
        size = (self.canvas.width, self.canvas.height)
        xy_T2: npt.NDArray[np.float64] = np.empty((len(place_T), 2))
        xy_T2[:, self.axis] = np.mod(place_T, 1.0) * size[self.axis]
        xy_T2[:, 1 - self.axis] = (lane + 0.5) / self.count * size[1 - self.axis]
        radius_px = min(actor.radius_px, LANE_FILL * size[1 - self.axis] / self.count)
        return to_track(replace(actor, radius_px=radius_px), xy_T2, wraps=True)


def steps_along(witness: Witness, name: str, facts: Facts) -> npt.NDArray[np.float64]:
    """Return the (T-1,) steps of a shape's color along ``facts["unit"]`` of the frame, in parts of it."""
    axis = UNITS.index(facts["unit"])
    return np.asarray(followed_steps(witness.frames_THWC, name)[:, axis] / witness.frames_THWC.shape[2 - axis])


class LaneRace(DrawnMotion[dict[str, float]]):
    """A question about shapes in lanes, whose ways are their speeds on the whole: tenths of the frame by name.

    Speeds compare alike in any order of the frames.
    """

    order_dependent = False
    told_as_logged = True
    bouts = frozenset({"gets"})
    phrases: ClassVar[Phrases] = {
        "gets": (
            "The {subject} gets {d1} tenths of the frame further.",
            "In one go the {subject} covers {d1} tenths.",
            "The {subject} moves on by {d1} tenths.",
        ),
        "sum": (
            "In tenths, the {subject} covers in all {detail}.",
            "In tenths, the whole way of the {subject} is {detail}.",
            "Added up, the tenths of the {subject} are {detail}.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {"sum": ("The {subject} covers {detail}.",)}

    def logged(self, events: Sequence[Event], facts: Facts) -> dict[str, float]:
        return {event.subject: float(event.detail.split()[-1]) for event in events if event.kind == "sum"}

    def seen(self, witness: Witness, facts: Facts) -> dict[str, float] | None:
        """Add up the steps of every color around the joined edges, in both directions; None unless whole tenths."""
        ways = {name: 10 * float(np.abs(steps_along(witness, name, facts)).sum()) for name in facts["names"]}
        if any(abs(way - round(way)) > SURE_TENTHS for way in ways.values()):
            return None
        return {name: float(round(way)) for name, way in ways.items()}


def run_in_lanes(
    setting: Setting, actors: Sequence[Actor], tenths: Sequence[int], num_bouts: int, options: Sequence[str]
) -> MotionClip:
    """Let every shape cover its way, each in its lane and in bouts of its own.

    The facts name the shapes and the unit. The log has every bout and the sum of each shape's bouts.
    """
    rng, canvas = setting.rng, setting.canvas
    lanes = Lanes(canvas=canvas, axis=int(rng.integers(2)), count=len(actors))
    tracks: list[Track] = []
    events: list[Event] = []
    for actor, lane, way in zip(actors, rng.permutation(len(actors)), tenths, strict=True):
        bouts = choose_bouts(rng, way, num_bouts, setting.num_frames - 1, setting.gap, back=num_bouts > 1)
        sign = -1 if rng.integers(2) else 1
        place_T = float(rng.uniform()) + sign * gone_along(bouts, setting.num_frames)
        tracks.append(lanes.track(actor, int(lane), place_T))
        events += [event_in(canvas, "gets", actor.name, b.start, b.end, str(b.tenths)) for b in bouts]
        events.append(setting.event("sum", actor.name, told_sum([bout.tenths for bout in bouts])))
    facts = {"names": [actor.name for actor in actors], "unit": UNITS[lanes.axis], "options": options}
    return MotionClip([tracks[i] for i in rng.permutation(len(tracks))], events, facts)
