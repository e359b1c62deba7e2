"""In which order were the pieces of a clip, before they were shuffled? (Clip order prediction; Visual Jigsaw).

One shape moves on a smooth path around the joined edges of the frame. The clip is cut into equal segments, which are
shown in another order. Each segment continues where another one ends, and only motion tells which. The position in a
single frame is uniform in any order. No two neighbors are left in place, so every cut is a visible jump.
"""

from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import NOT_AN_OPTION, Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Stated
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import choose_place, followed, to_track, torus_path
from temporay.operators.records import Event

NUM_SEGMENTS_BY_LEVEL = (3, 3, 4, 5, 6)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 1, 2)  # they move on paths of their own, cut and shuffled with the frames
MAX_TURN_DEG_BY_LEVEL = (0.0, 0.0, 60.0, 90.0, 120.0)  # how far the path turns in the whole clip
MIN_SEGMENT_FRAMES = 2
MAX_OPTIONS = 4
TRAVEL_RANGE = (0.5, 0.75)  # parts of the frame's shorter side: the end stays clear of the start, around the edges too
SURE_RATIO = 0.5  # gaps left by the best order over those left by the second best


class ClipJigsaw(DrawnMotion[Sequence[int]]):
    """Question about the order of shuffled segments."""

    task = "clip_jigsaw"
    answer_kind = "order"
    order_dependent = True
    twin = "reordered"
    unlisted = NOT_AN_OPTION

    wordings = (
        "A clip of the {name} was cut into {count} equal segments, which are shown in a wrong order. In which order "
        "must they be played so that the {name} moves smoothly?",
        "The {count} equal segments of this video are shuffled. Which order restores the smooth motion of the {name}?",
        "Number the {count} equal segments of the video as they are shown. In which order were they before being "
        "shuffled?",
        "Put the video together again: in which order do its {count} equal segments continue the path of the {name}?",
        "This is a jigsaw of {count} equal segments in time. Which order of them lets the {name} move without a jump?",
        "The {name} jumps where {count} equal segments were put together wrongly. What is the right order of the "
        "segments?",
        "Originally the {name} moved without a break. In which order did the {count} equal segments shown here come "
        "then?",
        "Which order of the {count} equal segments, numbered as shown, gives back the original clip of the {name}?",
    )
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

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        num_segments = min(NUM_SEGMENTS_BY_LEVEL[level], canvas.num_frames[0] // MIN_SEGMENT_FRAMES)
        every = _scrambled(num_segments)
        listed = [every[i] for i in rng.choice(len(every), min(MAX_OPTIONS, len(every)), replace=False)]
        shown = setting.choose_truth(listed)  # shown[j]: which part of the clip is segment j
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level])
        length = setting.num_frames // num_segments
        frames = np.concatenate([part * length + np.arange(length) for part in shown])
        paths = [_smooth_path(rng, canvas, len(frames), MAX_TURN_DEG_BY_LEVEL[level]) for _ in actors]
        tracks = [to_track(actor, path[frames], wraps=True) for actor, path in zip(actors, paths, strict=True)]
        name = actors[0].name
        return MotionClip(
            tracks=tracks[::-1],  # the shape asked about is painted last
            events=_segments(name, tracks[0].xy_T2, shown, canvas),
            facts={"name": name, "count": num_segments, "options": [_numbers(_played(order)) for order in listed]},
        )

    def stated(self, kind: str, subject: str | None, detail: str | None) -> Stated:
        """Return the segment as what is meant, and its places and its number in the clip as what is seen."""
        stated = super().stated(kind, subject, detail)
        segment = stated.what.get("1", "")
        places = {name: value for name, value in stated.what.items() if name != "1"}
        return Stated(about=stated.about | {f"segment {segment}"}, what=places)

    def logged(self, events: Sequence[Event], facts: Facts) -> Sequence[int]:
        """Return the segments in the order that restores the clip."""
        segments = sorted(events, key=lambda event: event.start_ms)
        return _played([int(event.detail.split()[-1]) - 1 for event in segments])

    def seen(self, witness: Witness, facts: Facts) -> Sequence[int] | None:
        """Find the order, of all there are, that leaves the smallest gaps in the path of the color."""
        count = facts["count"]
        seen_T3 = followed(witness.frames_THWC, facts["name"])
        if seen_T3 is None or len(seen_T3) % count:
            return None
        height, width = witness.frames_THWC.shape[1:3]
        gaps = _gaps(seen_T3[:, :2].reshape(count, -1, 2), np.array([width, height], dtype=np.float64))
        orders = list(permutations(range(count)))
        left = np.array([sum(gaps[a, b] for a, b in pairwise(order)) for order in orders])
        best, second = np.argsort(left)[:2]
        return orders[best] if left[best] <= SURE_RATIO * left[second] else None

    def answer(self, measured: Sequence[int], facts: Facts) -> str:
        return _numbers(measured)


def _scrambled(num_segments: int) -> list[tuple[int, ...]]:
    """Return every order in which no part is followed by the one that continues it."""
    orders = permutations(range(num_segments))
    return [order for order in orders if all(b != a + 1 for a, b in pairwise(order))]


def _played(shown: Sequence[int]) -> list[int]:
    return [shown.index(part) for part in range(len(shown))]


def _numbers(segments: Sequence[int]) -> str:
    return ", ".join(str(segment + 1) for segment in segments)


def _smooth_path(
    rng: np.random.Generator, canvas: Canvas, num_frames: int, max_turn_deg: float
) -> npt.NDArray[np.float64]:
    """Choose an arc of constant speed from anywhere, around the joined edges: (T, 2) px."""
    start = choose_place(rng, canvas)
    step_px = min(canvas.width, canvas.height) * float(rng.uniform(*TRAVEL_RANGE)) / (num_frames - 1)
    turn_rad = np.deg2rad(float(rng.uniform(-max_turn_deg, max_turn_deg)))
    angle_T = float(rng.uniform(0, 2 * np.pi)) + turn_rad * np.linspace(0, 1, num_frames - 1)
    return torus_path(start, step_px * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1), canvas)


def _segments(name: str, xy_T2: npt.NDArray[np.float64], shown: Sequence[int], canvas: Canvas) -> list[Event]:
    """Log every segment; positions are in tenths of the frame."""
    tenths_T2 = np.clip(10 * xy_T2 / np.array([canvas.width, canvas.height]), 0, 9).astype(int)
    length = len(xy_T2) // len(shown)
    events = []
    for number, part in enumerate(shown):
        first, end = number * length, (number + 1) * length
        (x, y), (end_x, end_y) = tenths_T2[first], tenths_T2[end - 1]
        detail = f"{number + 1} {x} {y} {end_x} {end_y} {part + 1}"
        events.append(event_in(canvas, "segment", name, first, end, detail))
    return events


def _gaps(xy_SL2: npt.NDArray[np.float64], size: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (S, S) px between where segment a would be one frame after its end and where segment b starts."""
    steps = np.mod(np.diff(xy_SL2, axis=1) + size / 2, size) - size / 2
    next_S2 = xy_SL2[:, -1] + steps[:, -2:].mean(axis=1)
    apart_SS2 = np.mod(xy_SL2[None, :, 0] - next_S2[:, None] + size / 2, size) - size / 2
    return np.asarray(np.linalg.norm(apart_SS2, axis=2), np.float64)
