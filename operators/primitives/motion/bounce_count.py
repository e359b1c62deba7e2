"""How often does a ball bounce off the frame's edges? (SynRL, arXiv 2603.17693, short-term: collision-event count).

All clips of a level have as many swings of the ball, out from the middle and back. In some it bounces off an edge. In
the others it turns round before the edge, goes back a little, comes near again, and returns. That way is the way to the
edge, folded. So both kinds of swing have the same length and in each moment the same speed, and the ball is as often in
the outer quarters of the frame. The duration of a swing is chosen apart. In the first frame, in the middle one of most
clips and in the last the ball is near the middle. Three frames around the turn of one swing show what that one is: then
the best guess among four counts is right in about 0.35. The ball slows down to a bounce, so that a few frames a second
show it.

The frames without their order tell more, because near an edge the ball is only at its bounces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.shapes import outline
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives.motion._courses import choose_spans
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._edges import visits
from temporay.operators.primitives.motion._stage import EDGES, Actor, followed, to_track
from temporay.operators.records import Event, ScenePlan

NUM_SWINGS_BY_LEVEL = (4, 6, 8, 8, 10)  # even: then the middle frame is more often between two swings than in one
COUNTS_BY_LEVEL = ((1, 3), (1, 4), (1, 5), (2, 6), (3, 7))
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 2)
MAX_OPTIONS = 4
SLANTED_LEVEL = 3  # from here on swings go to all four edges and drift to the side
SWING_GAPS = 3.2  # of the shortest swing: then it is shown within an eighth of its way from its turn
FOLD = 0.75  # of the way to the edge: where a swing without a bounce turns at most
MIDDLE = (0.49, 0.51)  # where a swing begins, in parts of the room
CLEAR = (0.2, 0.8)  # where its line is across, clear of the edges along it
SEEN_LIMITS = (0.068, 0.078)  # the same in frames: counts that differ at the two leave a doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """One way of the ball out and back."""

    start: int
    end: int
    axis: int
    side: int  # 1: first to the right or down
    bounces: bool

    def excursion(self, middle: float) -> npt.NDArray[np.float64]:
        """Return where the ball is on its line from ``start`` to ``end``, less the middle, in parts of the room."""
        reach = (1 - middle if self.side else middle) * (1 if self.side else -1)
        way_T = np.sin(np.linspace(0, np.pi, self.end - self.start + 1))
        # Turned at a place of some frame, the steps of the frames are as long as on the way to the edge.
        turns = way_T[(way_T > FOLD / 2) & (way_T <= FOLD)]
        fold = float(turns.max()) if len(turns) else FOLD
        return np.asarray(reach * (way_T if self.bounces else fold - np.abs(way_T - fold)))


class BounceCount(DrawnMotion[int]):
    """Question about the number of bounces."""

    task = "bounce_count"
    free_form = True
    answer_kind = "number"
    numbered = frozenset({"bounce", "turns"})
    told_as_logged = True
    inherent: ClassVar[Inherent] = {
        "bag_of_frames": (0.65, 0.65, 0.5, 0.45, 0.45),
        "few_frames": 0.4,
        "two_frames": 0.37,
    }
    gaps_by_level = tuple(1.12 * SWING_GAPS * swings + 1 for swings in NUM_SWINGS_BY_LEVEL)

    wordings = (
        "How many times does the {name} bounce off the edges of the frame?",
        "How often does the {name} hit an edge of the frame?",
        "Count the bounces of the {name} off the edges. How many are there?",
        "How many times does the {name} reach an edge and bounce?",
        "How many collisions does the {name} have with the edges?",
        "The {name} bounces off the edges. How many times in all?",
        "How often is the {name} thrown back by an edge?",
        "What is the number of times the {name} touches an edge and turns round?",
    )
    notes = ("A turn before an edge does not count.",)
    phrases: ClassVar[Phrases] = {
        "bounce": (
            "Bounce {d1}: the {subject} hits the {d2} edge.",
            "The {subject} reaches an edge, bounce {d1}, this time the {d2} one.",
            "Bounce {d1} of the {subject} is off the {d2} edge.",
        ),
        "turns": (
            "Short turn {d1}: the {subject} turns back before the {d2} edge, still {d3}.",
            "Short of the {d2} edge the {subject} turns, short turn {d1}, and the count stays at {d3}.",
            "The {d2} edge is not reached by the {subject} in short turn {d1}, so the count is still {d3}.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {"bounce": ("Bounce {d1}, {d2}.",), "turns": ("Short turn {d1}, {d2}: {d3}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        low, high = COUNTS_BY_LEVEL[level]
        counts = [low + int(i) for i in rng.choice(high - low + 1, min(MAX_OPTIONS, high - low + 1), replace=False)]
        truth = setting.choose_truth(counts)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level], cutouts=True)
        tracks, events = [], []
        for actor in actors:
            count = truth if actor is actors[0] else counts[int(len(counts) * rng.uniform())]
            swings = _choose_swings(setting, count)
            xy_T2 = _swinging(setting, actor, swings)
            tracks.append(to_track(actor, xy_T2, wraps=False))
            events.extend(_told(setting, actor.name, swings))
        # the ball asked about is painted last
        return MotionClip(tracks[::-1], events, {"name": actors[0].name, "options": [str(n) for n in counts]})

    def logged(self, events: Sequence[Event], facts: Facts) -> int:
        return sum(event.kind == "bounce" and event.subject == facts["name"] for event in events)

    def seen(self, witness: Witness, facts: Facts) -> int | None:
        """Count how often what has the ball's color comes near an edge, as if a circle of its radius were seen."""
        seen_T3 = followed(witness.frames_THWC, facts["name"])
        area, middle_xy = _mass(facts["name"].partition(" ")[2])
        radius_px = float(np.sqrt(np.median(seen_T3[:, 2]) / area))
        size, xy_T2 = np.array(witness.frames_THWC.shape[2:0:-1]), seen_T3[:, :2] - radius_px * middle_xy
        few, many = (visits(xy_T2, radius_px, size, limit) for limit in SEEN_LIMITS)
        return few if few == many else None

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether the ball is shown near an edge at every bounce, and away from it in between."""
        track = next(track for track in plan.tracks if track.name == plan.facts["name"])
        size = np.array([plan.width, plan.height])
        return visits(track.xy_T2[list(frames)], track.radius_px, size) == self.logged(plan.events, plan.facts)


def _choose_swings(setting: Setting, count: int) -> list[Swing]:
    """Choose which swings bounce, when each is, and where it goes."""
    rng, num_swings = setting.rng, NUM_SWINGS_BY_LEVEL[setting.level]
    bouncing = set(rng.permutation(num_swings)[:count].tolist())
    shortest = int(np.ceil(SWING_GAPS * setting.gap))
    spans = choose_spans(rng, setting.num_frames - 1 - setting.gap, num_swings, shortest)
    axes = rng.integers(0, 2, num_swings)
    if setting.level < SLANTED_LEVEL:
        axes[:] = axes[0]
    return [
        Swing(start=start, end=end, axis=int(axis), side=int(side), bounces=i in bouncing)
        for i, ((start, end), axis, side) in enumerate(zip(spans, axes, rng.integers(0, 2, num_swings), strict=True))
    ]


def _swinging(setting: Setting, actor: Actor, swings: Sequence[Swing]) -> npt.NDArray[np.float64]:
    """Return where the ball is, (T, 2) px; between swings it rests."""
    rng, slanted = setting.rng, setting.level >= SLANTED_LEVEL
    place_T2 = np.tile(rng.uniform(*MIDDLE, 2), (setting.num_frames, 1))
    across = 1 - swings[0].axis
    if not slanted:
        place_T2[:, across] = rng.uniform(*CLEAR)
    for swing, drifted in zip(swings, rng.uniform(*MIDDLE, len(swings)), strict=True):
        during, side = slice(swing.start, swing.end + 1), 1 - swing.axis
        middle = place_T2[swing.start].copy()
        place_T2[during, swing.axis] += swing.excursion(float(middle[swing.axis]))
        if slanted:
            place_T2[during, side] = np.linspace(middle[side], drifted, swing.end - swing.start + 1)
            place_T2[swing.end :, side] = drifted
    return np.asarray(actor.radius_px + place_T2 * (setting.size_xy - 2 * actor.radius_px))


def _told(setting: Setting, name: str, swings: Sequence[Swing]) -> list[Event]:
    """Log every swing: a bounce at its turn, or the edge that is not reached. Each kind is counted."""
    events, count = list[Event](), 0
    for number, swing in enumerate(swings, start=1):
        edge, turn = EDGES[swing.axis][swing.side], (swing.start + swing.end) / 2
        count += swing.bounces
        kind, detail = ("bounce", f"{count} {edge}") if swing.bounces else ("turns", f"{number - count} {edge} {count}")
        events.append(setting.event_in(kind, name, turn, turn + 1, detail))
    return events


def _mass(shape: str) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the area of a shape of radius 1, and the middle of this area, x and y."""
    if shape == "circle":
        return np.pi, np.zeros(2)
    found = cv2.moments(outline(shape, 1.0).astype(np.float32))
    return found["m00"], np.array([found["m10"], found["m01"]]) / found["m00"]
