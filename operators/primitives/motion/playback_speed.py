"""The same motion twice in one clip, at two speeds: which is faster, or how many times? (RSPNet, arXiv 2011.07949).

Shapes chase each other around one closed course, shown on both sides of a line or before and after an empty picture.
Where they start on the course is uniform in each half, so no frame tells a speed. The mean of both speeds is chosen
apart from the answer; the speed of one half alone gives up to half of the answers, where chance is a third.

From level 2 on the shapes stop now and then, and what is compared is how fast they go in between. For how long they go
in either half is chosen apart from the answer, evenly on a log scale. So how far they get in all, stops included, is
right in about half of the cases; chance is a third. On the two sides of a line they go in turns, so two moments next to
each other never show both speeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness, follow
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives._stated import Value, words_of
from temporay.operators.primitives.motion._curves import COURSE_POINTS, choose_closed_course
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting, shown_between
from temporay.operators.primitives.motion._panels import Panel, halves, lines
from temporay.operators.primitives.motion._stage import Actor, choose_actors, color_of, to_track
from temporay.operators.records import Event, Frames, ScenePlan, Track
from temporay.operators.seeding import choose_one, random_cuts, shuffled

NUM_SHAPES_BY_LEVEL = (1, 1, 1, 2, 3)
NUM_MOVES_BY_LEVEL = (1, 1, 2, 3, 5)  # in each half, with stops between
MIN_RATIO_BY_LEVEL = (2.5, 2.2, 1.6, 1.6, 1.6)  # faster over slower speed, when asked which is faster
RATIOS_BY_LEVEL = ((1.5, 4.0), *[(1.5, 2.2, 3.2)] * 4)  # if asked how many times
SAME_RATIO = 1.25  # speeds nearer than this are the same
STRIDES = (1, 2, 3, 4)  # frames over which a step is measured: the first one at which it is clear
CLEAR_PX = 2.5  # a longest step from which on pixels hardly blur it
STEADY = 0.75  # of the largest seen step: smaller ones are partly stops
PLACES = {"beside": ("left half", "right half"), "after": ("first half", "second half")}
SPEED = (0.016, 0.09)  # rounds in the longest gap between shown frames, geometric mean of both halves
MOVE_GAPS = 2  # length of the longest time of going without a stop, at least; others last for one gap or longer
SAME = "both at the same speed"


class PlaybackSpeed(DrawnMotion[float]):
    """Question about the speeds at which one motion is played twice."""

    task = "playback_speed"
    order_dependent = False
    inherent: ClassVar[Inherent] = {
        "two_frames": (0.9, 0.9, 0.45, 0.45, 0.45),
        "few_frames": (0.85, 0.85, 0.45, 0.45, 0.45),
        "one_number": (0.9, 0.9, 0.5, 0.5, 0.5),
        "max_speed": (0.9, 0.9, 0.7, 0.7, 0.7),  # of both halves: how fast the shapes go between their stops
        "bag_of_frames": (0.75, 0.75, 0.5, 0.5, 0.5),
    }
    gaps_by_level = (9.0, 11.0, 17.0, 23.0, 31.0)

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "which": (
            "The same motion is shown twice, in the {a} and in the {b}. In which is it faster?",
            "One motion is shown in the {a} and again in the {b}. Which of the two is faster while the shapes move?",
            "Compare the speed of the motion in the {a} with that in the {b}. Which is faster?",
            "Does the motion in the {a} run faster than the same motion in the {b}, slower, or just as fast?",
            "The {a} and the {b} show the same motion. Which of them is played faster, stops aside?",
            "The same motion is shown twice. Where do the shapes move faster: in the {a} or in the {b}?",
            "The same motion is shown twice. Which is played faster, the {a} or the {b}?",
            "While the shapes move, is the motion faster in the {a} or in the {b}, which shows it too?",
        ),
        "times": (
            "The same motion is shown twice. How many times as fast is it in the {a} as in the {b}?",
            "One motion is shown in the {a} and in the {b}. How many times as fast do the shapes move in the {a}?",
            "Compare the speed of the motion in the {a} with that in the {b}. How many times as fast is the {a}?",
            "By what factor is the motion in the {a} faster than the same motion in the {b}?",
            "The {a} and the {b} show the same motion. How many times as fast as the {b} is the {a}, stops aside?",
            "The same motion is shown twice, faster in the {a} than in the {b}. How many times as fast?",
            "The same motion is shown twice. At how many times the speed of the {b} is the {a} played?",
            "While the shapes move, how many times as fast is the {a} as the {b}, which shows the same motion?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "plays": (
            "In the {subject} the {d1} {d2} takes {d3} s to move by two of its widths.",
            "The {subject} shows the {d1} {d2} move by two of its widths in {d3} s.",
            "Two of its widths take the {d1} {d2} {d3} s in the {subject}.",
        ),
        "ratio": (
            "So the {subject} is about {d1} times as fast as the other.",
            "So the motion in the {subject} has about {d1} times the speed of the other.",
            "So the speed in the {subject} is about {d1} times that of the other.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "plays": ("In the {subject} the {d1} {d2} takes {d3} s to move by two of its widths.",)
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        layout = choose_one(rng, ("beside", "after"))
        mode = choose_one(rng, ("which", "times"))
        places = shuffled(rng, PLACES[layout])  # when asked how many times, the faster one first
        options = shuffled(rng, _options(mode, PLACES[layout], level))
        truth = setting.choose_truth(options)
        ratio = MIN_RATIO_BY_LEVEL[level] * float(rng.uniform(1.0, 1.2))
        mean_step = float(np.exp(rng.uniform(*np.log(SPEED)))) / setting.gap  # rounds per frame
        ratios = _speed_ratios(truth, places, ratio)
        showings = _showings(layout, canvas.width, canvas.height, setting.num_frames, setting.gap)
        panels = [showing.panel for showing in showings] if layout == "beside" else []
        own = showings[0].panel.canvas(canvas)
        actors = choose_actors(rng, own, NUM_SHAPES_BY_LEVEL[level], level)
        course = choose_closed_course(rng, own, max(actor.radius_px for actor in actors))
        round_px = COURSE_POINTS * float(np.linalg.norm(course[1] - course[0]))
        width_px, name = 2 * actors[0].radius_px, actors[0].name
        tracks, events = lines(panels, canvas, setting.num_frames), []
        for showing, moves in zip(showings, _choose_moves(setting, showings), strict=True):
            step = mean_step * ratios[showing.place]
            going_T = np.zeros(showing.num_frames)
            for start, end in moves:
                going_T[start + 1 : end] = step
                first = showing.first_frame
                events.append(setting.event_in("moves", showing.place, first + start, first + end))
            phase_T = rng.uniform(0.0, 1.0) + np.cumsum(going_T)
            tracks.extend(_tracks(actors, course, phase_T, showing, setting.num_frames))
            two_widths_s = 2 * width_px / (step * round_px * canvas.fps)
            events.append(setting.event("plays", showing.place, f"{name} {two_widths_s:.1f}"))
            events.append(setting.event("speed", showing.place, f"{1000 * step:.4f}"))
        fast, slow = sorted(ratios.values(), reverse=True)
        events.append(setting.event("ratio", max(places, key=ratios.__getitem__), f"{fast / slow:.1f}"))
        facts = {"names": [actor.name for actor in actors], "layout": layout, "mode": mode, "places": places}
        return MotionClip(tracks, events, {**facts, "options": options, "gap": setting.gap / setting.num_frames})

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        return {"name": " ".join(detail.split()[:-1]), **words_of((detail.split() or [""])[-1])}

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether two frames or more of a time without a stop are shown in each half."""
        moves = [event for event in plan.events if event.kind == "moves"]
        seen = [move for move in moves if shown_between(plan, frames, [move.start_ms, move.end_ms])[0] >= 2]
        return len({move.subject for move in seen}) == 2

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        """Tell both speeds, then how they compare."""
        return [event for kind in ("plays", "ratio") for event in plan.events if event.kind == kind]

    def text(self, facts: Facts) -> str:
        a, b = facts["places"]
        return super().text({**facts, "a": a, "b": b})

    def logged(self, events: Sequence[Event], facts: Facts) -> float:
        """Return how many times as fast the first place is as the second."""
        speeds = {event.subject: float(event.detail) for event in events if event.kind == "speed"}
        one, other = facts["places"]
        return speeds[one] / speeds[other]

    def seen(self, witness: Witness, facts: Facts) -> float | None:
        """Follow the colors from frame to frame in either half."""
        num_frames, height, width = witness.frames_THWC.shape[:3]
        empty = round(facts["gap"] * num_frames)
        showings = {one.place: one for one in _showings(facts["layout"], width, height, num_frames, empty)}
        parts = [showings[place].cut(witness.frames_THWC) for place in facts["places"]]
        steps_px = [[_steady_step(part, name) for part in parts] for name in facts["names"]]
        ratios = [one / other for one, other in steps_px if one is not None and other is not None]
        return float(np.median(ratios)) if ratios else None

    def answer(self, measured: float, facts: Facts) -> str:
        options: list[str] = facts["options"]
        if facts["mode"] == "times":
            return min(options, key=lambda option: abs(np.log(float(option.split()[0]) / measured)))
        if max(measured, 1 / measured) < SAME_RATIO:
            return SAME
        return f"the {facts['places'][0 if measured > 1 else 1]}"


@dataclass(frozen=True, slots=True)
class Showing:
    """Where and when the motion is shown once."""

    place: str
    panel: Panel
    first_frame: int
    num_frames: int

    def cut(self, frames_THWC: Frames) -> Frames:
        return self.panel.crop(frames_THWC)[self.first_frame : self.first_frame + self.num_frames]


def _showings(layout: str, width: int, height: int, num_frames: int, empty: int) -> list[Showing]:
    """Return both showings; if one comes after the other, with so many empty frames between them."""
    if layout == "beside":
        return [Showing(half.name, half, 0, num_frames) for half in halves(width, height)]
    whole = Panel(name="frame", left=0, top=0, right=width, bottom=height)
    first, second = PLACES["after"]
    length = (num_frames - empty) // 2
    return [Showing(first, whole, 0, length), Showing(second, whole, num_frames - length, length)]


def _choose_moves(setting: Setting, showings: Sequence[Showing]) -> list[list[tuple[int, int]]]:
    """Choose from which to which frame the shapes go in each showing; side by side they go in turns."""
    rng, gap, count = setting.rng, setting.gap, NUM_MOVES_BY_LEVEL[setting.level]
    room = showings[0].num_frames
    if count == 1:
        return [[(0, room)] for _ in showings]
    least = (MOVE_GAPS + count - 1) * gap
    in_turns = showings[0].first_frame == showings[1].first_frame
    most = room - least if in_turns else room
    ratio = float(np.exp(rng.uniform(-1, 1) * np.log(most / least)))  # of the times of going
    longer = room * max(ratio, 1.0) / (1 + ratio) if in_turns else rng.uniform(least * max(ratio, 1 / ratio), most)
    going = [round(longer * min(1.0, share)) for share in (ratio, 1 / ratio)]
    parts = [_parts(rng, frames, count, gap) for frames in ((going[0], room - going[0]) if in_turns else going)]
    begins = int(rng.integers(2))
    if in_turns:
        lengths = [length for pair in zip(parts[begins], parts[1 - begins], strict=True) for length in pair]
        spans = list(pairwise(np.cumsum([0, *lengths]).tolist()))
        return [spans[n != begins :: 2] for n in range(2)]
    moves = []
    for own in parts:
        rests = random_cuts(rng, room - sum(own), count - 1, 0)
        starts = np.cumsum([0, *(part + rest for part, rest in zip(own, rests, strict=False))]).tolist()
        moves.append([(start, start + part) for start, part in zip(starts, own, strict=True)])
    return moves


def _parts(rng: np.random.Generator, num_frames: int, count: int, gap: int) -> list[int]:
    """Cut a time of going into moves. One of them is so long that two frames of it are shown."""
    parts, extra = random_cuts(rng, num_frames - (MOVE_GAPS - 1) * gap, count, gap), int(rng.integers(count))
    return [part + (MOVE_GAPS - 1) * gap * (n == extra) for n, part in enumerate(parts)]


def _options(mode: str, places: tuple[str, str], level: int) -> list[str]:
    if mode == "which":
        return [f"the {places[0]}", f"the {places[1]}", SAME]
    return [f"{ratio:g} times as fast" for ratio in RATIOS_BY_LEVEL[level]]


def _speed_ratios(truth: str, places: list[str], ratio: float) -> dict[str, float]:
    """Return the speed of both places over the geometric mean of both, for this answer."""
    one, other = places
    if truth == SAME:
        ratio = 1.0
    elif truth.endswith(" times as fast"):
        ratio = float(truth.split()[0])
    elif truth == f"the {other}":
        ratio = 1 / ratio
    return {one: ratio**0.5, other: ratio**-0.5}


def _tracks(
    actors: list[Actor],
    course: npt.NDArray[np.float64],
    phase_T: npt.NDArray[np.float64],
    showing: Showing,
    num_frames: int,
) -> list[Track]:
    """Space the shapes evenly along the course, where and while the motion is shown."""
    tracks = []
    for i, actor in enumerate(actors):
        points = np.mod(phase_T + i / len(actors), 1.0) * COURSE_POINTS
        xy_T2 = np.zeros((num_frames, 2))
        visible_T = np.zeros(num_frames, np.bool_)
        shown = slice(showing.first_frame, showing.first_frame + showing.num_frames)
        for axis, origin in enumerate((showing.panel.left, showing.panel.top)):
            xy_T2[shown, axis] = origin + np.interp(points, np.arange(COURSE_POINTS + 1), course[:, axis])
        visible_T[shown] = True
        track = to_track(actor, xy_T2, wraps=False)
        tracks.append(replace(track, visible_T=visible_T, window_px=showing.panel.window_px))
    return tracks


def _steady_step(frames_THWC: Frames, name: str) -> float | None:
    """Return the way of a shape from one frame to the next while it goes, in px."""
    seen_T3 = follow(frames_THWC, color_of(name))
    for stride in STRIDES:
        steps_px = np.linalg.norm(seen_T3[stride:, :2] - seen_T3[:-stride, :2], axis=1)
        steps_px = steps_px[~np.isnan(steps_px)]
        if len(steps_px) and steps_px.max() >= CLEAR_PX:
            return float(steps_px[steps_px >= STEADY * steps_px.max()].mean()) / stride
    return None
