"""In which order were the pieces of a clip, before they were shuffled? (Clip order prediction; Visual Jigsaw.)

One shape moves on a smooth path around the joined edges of the frame; the clip is cut into equal segments, which are
shown in another order. Each segment goes on where another one ends, and which one that is only motion tells: a single
frame's position is uniform whatever the order. No two neighbours are left in place, so every cut is a visible jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Primitive, Twin, choose_truth
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._stage import (
    Actor,
    choose_actors,
    choose_backdrop,
    choose_num_frames,
    frame_ms,
    to_track,
    torus_path,
)
from temporay.operators.records import Address, AnswerKind, Event, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

NUM_SEGMENTS_BY_LEVEL = (3, 3, 4, 5, 6)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 1, 2)  # they move on paths of their own, cut and shuffled with the frames
MAX_TURN_DEG_BY_LEVEL = (0.0, 0.0, 60.0, 90.0, 120.0)  # of the path in the whole clip
MIN_SEGMENT_FRAMES = 2
MAX_OPTIONS = 4
TRAVEL_RANGE = (0.5, 0.75)  # of the frame's shorter side: the end stays clear of the start, around the edges too
SURE_RATIO = 0.5  # of the gaps left by the best order to those left by the second best
NOT_AN_OPTION = -1
WORDINGS = (
    "A clip of the {name} was cut into {count} equal segments, which are shown in a wrong order. In which order must "
    "they be played so that the {name} moves smoothly?",
    "The {count} equal segments of this video are shuffled. Which order restores the smooth motion of the {name}?",
    "Number the {count} equal segments of the video as they are shown. In which order were they before being shuffled?",
    "Put the video together again: in which order do its {count} equal segments continue the path of the {name}?",
    "This is a jigsaw of {count} equal segments in time. Which order of them lets the {name} move without a jump?",
    "The {name} jumps where {count} equal segments were put together wrongly. What is the right order of the segments?",
    "Originally the {name} moved without a break. In which order did the {count} equal segments shown here come then?",
    "Which order of the {count} equal segments, numbered as shown, gives back the original clip of the {name}?",
)


class ClipJigsaw(Primitive):
    task: ClassVar[str] = "clip_jigsaw"
    answer_kind: ClassVar[AnswerKind] = "order"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reordered"
    phrases: ClassVar[Phrases] = {  # d1 number as shown, d2 d3 first and d4 d5 last position, d6 number in the clip
        "segment": (
            "Segment {d1}, from {start} s to {end} s, takes the {subject} from x {d2}, y {d3} to x {d4}, y {d5}, so it "
            "is part {d6} of the clip.",
            "From {start} s to {end} s runs segment {d1}: the {subject} goes from x {d2}, y {d3} to x {d4}, y {d5}, "
            "which makes it part {d6}.",
            "Segment {d1} ({start} s to {end} s): the {subject} starts at x {d2}, y {d3} and ends at x {d4}, y {d5}; "
            "in the clip this was part {d6}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {
        "segment": ("Segment {d1}: the {subject} goes from x {d2}, y {d3} to x {d4}, y {d5}: part {d6}.",)
    }

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        length = choose_num_frames(address, canvas)
        num_segments = min(NUM_SEGMENTS_BY_LEVEL[address.level], canvas.num_frames[0] // MIN_SEGMENT_FRAMES)
        every = _scrambled(num_segments)
        chosen = rng.choice(len(every), min(MAX_OPTIONS, len(every)), replace=False)
        listed = [every[i] for i in chosen]
        shown = listed[choose_truth(rng, len(listed), address)]  # shown[j]: which part of the clip is segment j
        actors = choose_actors(rng, canvas, 1 + NUM_DISTRACTORS_BY_LEVEL[address.level], address.level)
        segment_frames = length // num_segments
        frames = np.concatenate([part * segment_frames + np.arange(segment_frames) for part in shown])
        paths = [_smooth_path(rng, canvas, len(frames), MAX_TURN_DEG_BY_LEVEL[address.level]) for _ in actors]
        tracks = [to_track(actor, path[frames], wraps=True) for actor, path in zip(actors, paths, strict=True)]
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=len(frames),
            backdrop=choose_backdrop(address),
            tracks=tuple(tracks[::-1]),  # the asked-about shape is painted last, over the distractors
            events=_segments(actors[0], tracks[0].xy_T2, shown, canvas),
            facts={
                "name": actors[0].name,
                "count": num_segments,
                "options": [_played(order) for order in listed],
                "wording": int(rng.integers(len(WORDINGS))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        name, count, options = plan.facts["name"], plan.facts["count"], tuple(plan.facts["options"])
        segments = sorted((e for e in plan.events if e.kind == "segment"), key=lambda e: e.start_ms)
        truth = _played([int(event.detail.split()[-1]) - 1 for event in segments])
        text = WORDINGS[plan.facts["wording"]].format(name=name, count=count)
        return Question(text=text, options=options, answer_index=options.index(truth))

    def recover(self, witness: Witness) -> int | None:
        """By the order, of all there are, in which the segments leave the least gaps in the path of the colour."""
        count = witness.facts["count"]
        seen_T3 = follow(witness.frames_THWC, COLORS[witness.facts["name"].split()[0]])
        if np.isnan(seen_T3).any() or len(seen_T3) % count:
            return None
        height, width = witness.frames_THWC.shape[1:3]
        gaps = _gaps(seen_T3[:, :2].reshape(count, -1, 2), np.array([width, height], dtype=np.float64))
        orders = list(permutations(range(count)))
        left = np.array([sum(gaps[a, b] for a, b in pairwise(order)) for order in orders])
        best, second = np.argsort(left)[:2]
        if left[best] > SURE_RATIO * left[second]:
            return None
        found = _numbers(orders[best])
        return witness.options.index(found) if found in witness.options else NOT_AN_OPTION


def _scrambled(num_segments: int) -> list[tuple[int, ...]]:
    """Every order in which no part is followed by the one that continues it."""
    orders = permutations(range(num_segments))
    return [order for order in orders if all(b != a + 1 for a, b in pairwise(order))]


def _played(shown: Sequence[int]) -> str:
    """Numbers of the segments, as shown from 1, in the order that restores the clip."""
    return _numbers([shown.index(part) for part in range(len(shown))])


def _numbers(segments: Sequence[int]) -> str:
    return ", ".join(str(segment + 1) for segment in segments)


def _smooth_path(
    rng: np.random.Generator, canvas: Canvas, num_frames: int, max_turn_deg: float
) -> npt.NDArray[np.float64]:
    """(T, 2) px: an arc of constant speed from a uniform start, around the joined edges."""
    start = rng.uniform((0.0, 0.0), (canvas.width, canvas.height))
    step_px = min(canvas.width, canvas.height) * float(rng.uniform(*TRAVEL_RANGE)) / (num_frames - 1)
    turn_rad = np.deg2rad(float(rng.uniform(-max_turn_deg, max_turn_deg)))
    angle_T = float(rng.uniform(0, 2 * np.pi)) + turn_rad * np.linspace(0, 1, num_frames - 1)
    return torus_path(start, step_px * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1), canvas)


def _segments(actor: Actor, xy_T2: npt.NDArray[np.float64], shown: Sequence[int], canvas: Canvas) -> tuple[Event, ...]:
    """One event per segment; positions are in tenths of the frame."""
    tenths_T2 = np.clip(10 * xy_T2 / np.array([canvas.width, canvas.height]), 0, 9).astype(int)
    length = len(xy_T2) // len(shown)
    events = []
    for number, part in enumerate(shown):
        first, end = number * length, (number + 1) * length
        (x, y), (end_x, end_y) = tenths_T2[first], tenths_T2[end - 1]
        detail = f"{number + 1} {x} {y} {end_x} {end_y} {part + 1}"
        start_ms, end_ms = frame_ms(first, canvas), frame_ms(end, canvas)
        events.append(Event(kind="segment", subject=actor.name, start_ms=start_ms, end_ms=end_ms, detail=detail))
    return tuple(events)


def _gaps(xy_SL2: npt.NDArray[np.float64], size: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(S, S) px between where segment a would be one frame after its end and where segment b starts."""
    steps = np.mod(np.diff(xy_SL2, axis=1) + size / 2, size) - size / 2
    next_S2 = xy_SL2[:, -1] + steps[:, -2:].mean(axis=1)
    apart_SS2 = np.mod(xy_SL2[None, :, 0] - next_S2[:, None] + size / 2, size) - size / 2
    return np.asarray(np.linalg.norm(apart_SS2, axis=2), np.float64)
