"""How often does a ball bounce off the frame's edges? (SynRL, arXiv 2603.17693, short-term: collision-event count.)

The released SynRL generator made clips longer the more bounces there were. Here the length is drawn apart, so more
bounces mean a faster ball, which no single frame shows. Where the ball is in a random frame says nothing either: on the
line unfolded at the walls the path runs from ``start_gap`` before the first wall to ``end_gap`` behind the last one,
and drawing the gaps with a density proportional to the path's length spreads the time spent evenly over the room.
(The exact middle frame does tell a little: even counts pass the middle of the room about then, odd counts turn.)
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from operators.motion import (
    Actor,
    at_events,
    draw_actors,
    draw_backdrop,
    draw_num_frames,
    frame_ms,
    tell_path,
    tell_timed_path,
    to_track,
)
from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Event, Question, Scene, ScenePlan, Track
from operators.seeding import rng

MAX_COUNT_BY_LEVEL = (3, 3, 4, 5, 7)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 2)
MAX_OPTIONS = 4
MAX_ROOMS_PER_FRAME = 0.5  # a faster ball would cross the room between two frames
MIN_GAP = 0.1  # of the room: a bounce at once or at the very end would not be seen
WORDINGS = (
    "How many times does the {name} bounce off the edges of the frame?",
    "How often does the {name} hit an edge of the frame?",
    "Count the bounces of the {name}. How many are there?",
    "How many times does the {name} bounce?",
)


class BounceCount(Primitive):
    task: ClassVar[str] = "bounce_count"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        num_frames = draw_num_frames(address, canvas)
        # by the shortest clip of the canvas, not by this one's length, which must not tell the count
        most = min(MAX_COUNT_BY_LEVEL[address.level], int(MAX_ROOMS_PER_FRAME * (canvas.num_frames[0] - 1)) - 1)
        most = max(2, most)
        counts = [1 + int(i) for i in draw.choice(most, min(MAX_OPTIONS, most), replace=False)]
        truth = counts[draw_truth(draw, len(counts), address)]
        actors = draw_actors(draw, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level)
        tracks, events = [], []
        for actor in actors:
            count = truth if actor is actors[0] else 1 + int(draw.integers(most))
            track, bounces, frames = _bouncing(draw, actor, count, num_frames, canvas)
            tracks.append(track)
            events.extend(bounces)
            if actor is actors[0]:
                events.extend(at_events(actor.name, track.xy_T2, canvas, frames))
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=num_frames,
            backdrop=draw_backdrop(address),
            tracks=tuple(tracks[::-1]),  # the asked-about ball is painted last, over the distractors
            events=tuple(events),
            facts={
                "name": actors[0].name,
                "options": [str(n) for n in counts],
                "wording": int(draw.integers(len(WORDINGS))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, options = plan.facts["name"], tuple(plan.facts["options"])
        truth = str(sum(e.kind == "bounce" and e.subject == name for e in plan.events))
        text = WORDINGS[plan.facts["wording"]].format(name=name)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        """Positions at the start, at each bounce and at the end."""
        name, answer = plan.facts["name"], question.options[question.answer_index]
        if style == "concise":
            return f"{tell_path(plan, name)}. The number of bounces is {answer}."
        hits = ", ".join(
            f"the {e.detail} edge at {e.start_ms / 1000:.1f} s"
            for e in plan.events
            if e.kind == "bounce" and e.subject == name
        )
        return f"{tell_timed_path(plan, name)} It hits {hits}. The number of bounces is {answer}."


def _bouncing(
    draw: np.random.Generator, actor: Actor, count: int, num_frames: int, canvas: Canvas
) -> tuple[Track, list[Event], list[int]]:
    """A ball that bounces ``count`` times between two opposite edges, the log of it, and the frames worth listing."""
    start_gap, end_gap = _draw_gaps(draw, count)
    length = start_gap + (count - 1) + end_gap  # of the path, in rooms
    unfolded_T = 1 - start_gap + length * np.linspace(0, 1, num_frames)  # walls are at 1, 2, …
    folded_T = 1 - np.abs(1 - np.mod(unfolded_T, 2))
    axis, mirrored = int(draw.integers(2)), bool(draw.integers(2))
    size = (canvas.width, canvas.height)
    room_px = size[axis] - 2 * actor.radius_px
    xy_T2: npt.NDArray[np.float64] = np.empty((num_frames, 2))
    xy_T2[:, axis] = actor.radius_px + room_px * (1 - folded_T if mirrored else folded_T)
    xy_T2[:, 1 - axis] = draw.uniform(actor.radius_px, size[1 - axis] - actor.radius_px)
    edges = (("left", "right"), ("top", "bottom"))[axis]
    last_frame = num_frames - 1
    events, frames = [], [0]
    for i in range(count):
        frame = (start_gap + i) / length * last_frame
        edge = edges[(1 - i % 2) ^ mirrored]
        start_ms = 1000.0 * frame / canvas.fps
        end_ms = start_ms + frame_ms(1, canvas)
        events.append(Event(kind="bounce", subject=actor.name, start_ms=start_ms, end_ms=end_ms, detail=edge))
        frames.append(round(frame))
    return to_track(actor, xy_T2, wraps=False), events, [*frames, last_frame]


def _draw_gaps(draw: np.random.Generator, count: int) -> tuple[float, float]:
    """Ways before the first and behind the last bounce, in rooms; density proportional to the whole path."""
    while True:
        start_gap, end_gap = draw.uniform(MIN_GAP, 1.0, 2)
        if draw.uniform(0, count + 1) < start_gap + (count - 1) + end_gap:
            return float(start_gap), float(end_gap)
