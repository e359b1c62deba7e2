"""In which order were the pieces of a clip, before they were shuffled? (Clip order prediction; Visual Jigsaw).

One shape moves on a smooth path around the joined edges of the frame. The clip is cut into equal segments, which are
shown in another order, with an empty picture between them. Each segment continues where another one ends, and only
motion tells which. The position in a single frame is uniform in any order. No two neighbors are left in place.

A segment begins where the one before it in the clip ended, and in all options of a question the shape jumps equally
far, over as many parts of the clip, in some order. So the sizes of its jumps do not tell the answer, only which comes
when and where it leads. Who knows which frames are at the first cut has seen one jump: half of the guesses are right.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise, permutations
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness, follow
from temporay.operators.primitives._base import NOT_AN_OPTION, Facts, Inherent, Phrases, by_start
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting, shown_between
from temporay.operators.primitives.motion._stage import JOINED, choose_place, color_of, to_track, torus_path
from temporay.operators.primitives.motion._told_paths import TENTHS, in_tenths
from temporay.operators.records import Event, ScenePlan, Track
from temporay.operators.seeding import choose_one, shuffled

NUM_SEGMENTS_BY_LEVEL = (3, 4, 5, 6, 7)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 1, 2)  # they move on paths of their own, cut and shuffled with the frames
MAX_TURN_DEG_BY_LEVEL = (0.0, 0.0, 60.0, 90.0, 120.0)  # how far the path turns in the whole clip
SEGMENT_GAPS = 2.4  # shortest segment, in the longest gaps between shown frames: two of its frames are shown
MAX_OPTIONS = 4
TRAVEL_RANGE = (0.6, 0.8)  # parts of the frame's shorter side: the end stays clear of the start, around the edges too
SURE_RATIO = 0.5  # gaps left by the best order over those left by the second best


class ClipJigsaw(DrawnMotion[Sequence[int]]):
    """Question about the order of shuffled segments."""

    task = "clip_jigsaw"
    numbered = frozenset({"segment"})
    # Frames at the first cut show one jump.
    inherent: ClassVar[Inherent] = {"few_frames": 0.55}
    answer_kind = "order"
    twin = "reordered"
    notes = (JOINED, TENTHS)
    gaps_by_level = tuple((SEGMENT_GAPS + 1) * count for count in NUM_SEGMENTS_BY_LEVEL)
    unlisted = NOT_AN_OPTION

    wordings = (
        "A video of the {name} was cut into {count} equal segments, which are shown in a wrong order. In which order "
        "must they be played so that the {name} moves smoothly?",
        "The {count} equal segments of this video are shuffled. Which order makes the {name} move smoothly again?",
        "Number the {count} segments of the video as they are shown. In which order were they before they were "
        "shuffled?",
        "Put the video together again: in which order do its {count} segments continue the path of the {name}?",
        "This is a jigsaw of {count} segments in time. In which order of them does the {name} move without a jump?",
        "The {name} moved without a break until the video was cut into {count} segments and shuffled. What is the "
        "right order of the segments?",
        "Between the {count} segments of this video the picture is empty. In which order do they show one smooth path "
        "of the {name}?",
        "Which order of the {count} segments, numbered as shown, gives back the original video of the {name}?",
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
        rng, level, num_frames = setting.rng, setting.level, setting.num_frames
        num_segments = NUM_SEGMENTS_BY_LEVEL[level]
        listed = _choose_orders(rng, num_segments)
        shown = setting.choose_truth(listed)  # shown[j]: which part of the clip is segment j
        actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[level])
        length = (num_frames - (num_segments - 1) * setting.gap) // num_segments
        frames_T, visible_T = np.zeros(num_frames, np.int64), np.zeros(num_frames, np.bool_)
        starts = [number * (length + setting.gap) for number in range(num_segments)]
        for start, part in zip(starts, shown, strict=True):
            frames_T[start : start + length] = part * (length - 1) + np.arange(length)
            visible_T[start : start + length] = True
        paths = [_smooth_path(setting, (length - 1) * num_segments + 1) for _ in actors]
        tracks = [
            replace(to_track(actor, path[frames_T], wraps=True), visible_T=visible_T)
            for actor, path in zip(actors, paths, strict=True)
        ]
        name = actors[0].name
        return MotionClip(
            tracks=tracks[::-1],  # the shape asked about is painted last
            events=_segments(setting, tracks[0], starts, length, shown),
            facts={"name": name, "count": num_segments, "options": [_numbers(_played(order)) for order in listed]},
        )

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether two frames of each segment are shown, and an empty one between any two."""
        num_shown = shown_between(plan, frames, [ms for event in plan.events for ms in (event.start_ms, event.end_ms)])
        return bool((num_shown[::2] >= 2).all() and (num_shown[1::2] >= 1).all())

    def logged(self, events: Sequence[Event], facts: Facts) -> Sequence[int]:
        """Return the segments in the order that restores the clip."""
        return _played([int(event.detail.split()[-1]) - 1 for event in by_start(events)])

    def seen(self, witness: Witness, facts: Facts) -> Sequence[int] | None:
        """Find the order, of all there are, that leaves the smallest gaps in the path of the color."""
        count, seen_T3 = facts["count"], follow(witness.frames_THWC, color_of(facts["name"]))
        runs = [list(run) for is_seen, run in groupby(seen_T3[:, :2], lambda xy: not np.isnan(xy[0])) if is_seen]
        if len(runs) != count or min(map(len, runs)) < 2:
            return None
        height, width = witness.frames_THWC.shape[1:3]
        gaps = _gaps([np.array(run) for run in runs], np.array([width, height], dtype=np.float64))
        orders = list(permutations(range(count)))
        left = np.array([sum(gaps[a, b] for a, b in pairwise(order)) for order in orders])
        best, second = np.argsort(left)[:2]
        return orders[best] if left[best] <= SURE_RATIO * left[second] else None

    def answer(self, measured: Sequence[int], facts: Facts) -> str:
        return _numbers(measured)


def _choose_orders(rng: np.random.Generator, num_segments: int) -> list[tuple[int, ...]]:
    """Choose orders all of which jump equally far."""
    alike = _alike_orders(num_segments)
    most = min(MAX_OPTIONS, max(map(len, alike)))
    orders = choose_one(rng, [orders for orders in alike if len(orders) >= most])
    return shuffled(rng, orders)[:most]


@functools.cache
def _alike_orders(num_segments: int) -> list[list[tuple[int, ...]]]:
    """Group the orders in which no part is followed by the one that continues it, by how far they jump."""
    alike: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for order in permutations(range(num_segments)):
        jumps = tuple(sorted(abs(b - a - 1) for a, b in pairwise(order)))
        if 0 not in jumps:
            alike.setdefault(jumps, []).append(order)
    return list(alike.values())


def _played(shown: Sequence[int]) -> list[int]:
    return [shown.index(part) for part in range(len(shown))]


def _numbers(segments: Sequence[int]) -> str:
    return ", ".join(str(segment + 1) for segment in segments)


def _smooth_path(setting: Setting, num_frames: int) -> npt.NDArray[np.float64]:
    """Choose an arc of constant speed from anywhere, around the joined edges: (T, 2) px."""
    rng, max_turn_deg = setting.rng, MAX_TURN_DEG_BY_LEVEL[setting.level]
    start = choose_place(rng, setting.canvas)
    step_px = setting.side_px * float(rng.uniform(*TRAVEL_RANGE)) / (num_frames - 1)
    turn_rad = np.deg2rad(float(rng.uniform(-max_turn_deg, max_turn_deg)))
    angle_T = float(rng.uniform(0, 2 * np.pi)) + turn_rad * np.linspace(0, 1, num_frames - 1)
    return torus_path(start, step_px * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1), setting.canvas)


def _segments(setting: Setting, track: Track, starts: Sequence[int], length: int, shown: Sequence[int]) -> list[Event]:
    """Log every segment; positions are in tenths of the frame."""
    tenths_T2 = in_tenths(track.xy_T2, setting.canvas)
    events = []
    for number, (start, part) in enumerate(zip(starts, shown, strict=True)):
        (x, y), (end_x, end_y) = tenths_T2[start], tenths_T2[start + length - 1]
        detail = f"{number + 1} {x} {y} {end_x} {end_y} {part + 1}"
        events.append(setting.event_in("segment", track.name, start, start + length, detail))
    return events


def _gaps(segments: Sequence[npt.NDArray[np.float64]], size: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (S, S) px between where segment a would be half a step after its end and where segment b starts.

    Args:
        segments: the (T, 2) px places of each.
    """
    steps = [(np.mod(np.diff(xy_T2[-3:], axis=0) + size / 2, size) - size / 2).mean(axis=0) for xy_T2 in segments]
    next_S2 = np.array([xy_T2[-1] for xy_T2 in segments]) + np.array(steps) / 2
    first_S2 = np.array([xy_T2[0] for xy_T2 in segments])
    apart_SS2 = np.mod(first_S2[None] - next_S2[:, None] + size / 2, size) - size / 2
    return np.asarray(np.linalg.norm(apart_SS2, axis=2), np.float64)
