"""How often does a ball bounce off the frame's edges? (SynRL, arXiv 2603.17693, short-term: collision-event count).

The released SynRL generator made clips longer the more bounces there were. Here the length is chosen apart, and ``n``
bounces are ``n`` rooms of way, from edge to edge, whatever the length. A ball that starts ``start_gap`` before its
first bounce ends ``1 - start_gap`` after its last one. So its first and its last place are spread alike for every
count. In the first half of the clip it goes ``n / 2`` rooms and up to half a room more or less, evenly spread. So in
the middle frame it is anywhere in the room with equal chance. In the frames between, the best guess among four counts
from the place of the ball on its line is right in at most 0.31. In a random frame it is 0.26; chance is 0.25.

The ball starts slowly, is fastest in the middle and ends slowly, so the first and the last bounce are seen too.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, turning_points
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import frame_ms
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import AT_PHRASES, Actor, at_events, followed, to_track
from temporay.operators.records import Event, Question, ScenePlan, Track

MAX_COUNT_BY_LEVEL = (3, 3, 4, 5, 7)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 2)
MAX_OPTIONS = 4
FRAMES_PER_ROOM = 4  # at least, on average: a faster ball would cross the room between two frames
MIN_GAP = 0.12  # parts of the room: a bounce at once or at the very end would not be seen
EASING = 1.5  # way over time to this power, in each half of the clip
SEEN_TURN = 0.025  # parts of the frame's side: what goes back less has not turned


class BounceCount(DrawnMotion[int]):
    """Question about the number of bounces."""

    task = "bounce_count"
    free_form = True
    # Each bounce is an event.
    inherent: ClassVar[Inherent] = {"num_events": 1.0}
    answer_kind = "number"
    order_dependent = True
    twin = "restaged"
    concise = "{paths}. The number of bounces is {answer}."

    wordings = (
        "How many times does the {name} bounce off the edges of the frame?",
        "How often does the {name} hit an edge of the frame?",
        "Count the bounces of the {name}. How many are there?",
        "How many times does the {name} bounce?",
        "How many collisions does the {name} have with the edges?",
        "The {name} bounces off the edges. How many times in all?",
        "How often is the {name} thrown back by an edge?",
        "What is the number of times the {name} touches an edge and turns round?",
    )
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "bounce": (
            "The {subject} hits the {d1} edge at {start} s.",
            "The {subject} bounces off the {d1} edge at {start} s.",
            "A bounce of the {subject} off the {d1} edge comes at {start} s.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas = setting.rng, setting.canvas
        # by the shortest clip of the canvas, not by this one's length, which must not tell the count
        most = max(2, min(MAX_COUNT_BY_LEVEL[setting.level], (canvas.num_frames[0] - 1) // FRAMES_PER_ROOM))
        counts = [1 + int(i) for i in rng.choice(most, min(MAX_OPTIONS, most), replace=False)]
        truth = setting.choose_truth(counts)
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[setting.level], cutouts=True)
        tracks, events = [], []
        for actor in actors:
            count = truth if actor is actors[0] else 1 + int(rng.integers(most))
            track, bounces, frames = _bouncing(rng, actor, count, setting.num_frames, canvas)
            tracks.append(track)
            events.extend(bounces)
            if actor is actors[0]:
                events.extend(at_events(actor.name, track.xy_T2, canvas, frames))
        # the ball asked about is painted last
        return MotionClip(tracks[::-1], events, {"name": actors[0].name, "options": [str(n) for n in counts]})

    def logged(self, events: Sequence[Event], facts: Facts) -> int:
        return sum(event.kind == "bounce" and event.subject == facts["name"] for event in events)

    def seen(self, witness: Witness, facts: Facts) -> int | None:
        """Count the turns of the ball's color along the line on which it moves."""
        seen_T3 = followed(witness.frames_THWC, facts["name"])
        if seen_T3 is None:
            return None
        axis = int(np.ptp(seen_T3[:, :2], axis=0).argmax())
        return len(turning_points(seen_T3[:, axis], SEEN_TURN * witness.frames_THWC.shape[2 - axis]))

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell where the ball is at the start and at the end, and every bounce."""
        mine = [event for event in plan.events if event.subject == plan.facts["name"]]
        ends = {event.start_ms for event in mine if event.kind == "at"}
        told = [e for e in mine if e.kind == "bounce" or e.start_ms in (min(ends), max(ends))]
        return sorted(told, key=lambda event: event.start_ms)


def _bouncing(
    rng: np.random.Generator, actor: Actor, count: int, num_frames: int, canvas: Canvas
) -> tuple[Track, list[Event], list[int]]:
    """Let a ball bounce ``count`` times between two opposite edges; return its log and the frames worth listing too."""
    start_gap = float(rng.uniform(MIN_GAP, 1 - MIN_GAP))
    half_way = count / 2 + float(rng.uniform(-0.5, 0.5))
    unfolded_T = 1 - start_gap + _way(np.linspace(0, 1, num_frames), count, half_way)  # edges are at 1, 2, …
    folded_T = 1 - np.abs(1 - np.mod(unfolded_T, 2))
    axis, mirrored = int(rng.integers(2)), bool(rng.integers(2))
    size = (canvas.width, canvas.height)
    room_px = size[axis] - 2 * actor.radius_px
    xy_T2: npt.NDArray[np.float64] = np.empty((num_frames, 2))
    xy_T2[:, axis] = actor.radius_px + room_px * (1 - folded_T if mirrored else folded_T)
    xy_T2[:, 1 - axis] = rng.uniform(actor.radius_px, size[1 - axis] - actor.radius_px)
    edges = (("left", "right"), ("top", "bottom"))[axis]
    last_frame = num_frames - 1
    events, frames = [], [0]
    for i in range(count):
        frame = _time(start_gap + i, count, half_way) * last_frame
        edge = edges[i % 2 if mirrored else 1 - i % 2]
        start_ms = 1000.0 * frame / canvas.fps
        end_ms = start_ms + frame_ms(1, canvas)
        events.append(Event(kind="bounce", subject=actor.name, start_ms=start_ms, end_ms=end_ms, detail=edge))
        frames.append(round(frame))
    return to_track(actor, xy_T2, wraps=False), events, [*frames, last_frame]


def _way(time_T: npt.NDArray[np.float64], count: int, half_way: float) -> npt.NDArray[np.float64]:
    """Return the rooms gone at each time from 0 to 1: 0 at 0, ``half_way`` at one half, ``count`` at 1."""
    rising_T = half_way * (2 * np.minimum(time_T, 0.5)) ** EASING
    falling_T = (count - half_way) * (2 * np.minimum(1 - time_T, 0.5)) ** EASING
    return np.where(time_T <= 0.5, rising_T, count - falling_T)


def _time(way: float, count: int, half_way: float) -> float:
    """Return when this many rooms are gone: the inverse of ``_way``."""
    if way <= half_way:
        return 0.5 * float((way / half_way) ** (1 / EASING))
    return 1 - 0.5 * float(((count - way) / (count - half_way)) ** (1 / EASING))
