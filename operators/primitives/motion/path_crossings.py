"""Ask how many times the path of one shape crosses the path of another.

Both go across the frame through a few heights. Those of the one are even and those of the other odd, so the paths are
well apart wherever they do not cross. The options are how often the paths cross if the second is mirrored, or run
through from the other end, or both. So neither path by itself, its length or its speed tells the answer. All options
are even or all are odd, because which path is above the other at the two ends tells that much.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import Witness, follow
from temporay.operators.primitives._base import Facts, Inherent, Phrases, by_start
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import Actor, color_of, to_track
from temporay.operators.primitives.motion._told_paths import AT_PHRASES, TENTHS, at_events
from temporay.operators.records import Event, ScenePlan, Track
from temporay.operators.seeding import random_cuts, shuffled

NUM_MOVES_BY_LEVEL = (4, 5, 6, 7, 9)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 0, 1, 1)
TRAIL_BY_LEVEL = (4, 4, 2, 0, 0)  # fading copies of a shape that follow it
GAPS_PER_MOVE = 3  # a move lasts this many of the longest gaps between shown frames, or longer
NUM_OPTIONS_BY_LEVEL = (2, 2, 3, 3, 3)
TOP = 6  # heights go from 0 to this
MEAN_OFF = 0.5  # how far from the middle the mean height of a path may be
HIGHEST_MOVE = 4
MAX_PROPOSALS = 600
HEIGHT_STEP, UNEVEN = 0.125, 0.01  # parts of the frame's height: between heights, and how far a path is off one
MARGIN = 0.08  # part of the frame's width at each end of the paths
RADIUS = 0.055  # part of the frame's shorter side
MIN_RADIUS_PX = 4.0
WHOLE = 0.6  # part of a shape's area that is seen where its place is believed
NUM_COMPARED = 400  # places across the frame
CLEAR = 0.025  # part of the frame's height: paths that are nearer are neither above nor below each other


Heights = npt.NDArray[np.int64]


class PathCrossings(DrawnMotion[int]):
    """Question about the number of crossings of two paths."""

    task = "path_crossings"
    free_form = True
    # Each crossing is an event.
    inherent: ClassVar[Inherent] = {"num_events": 1.0}
    answer_kind = "number"
    told_as_logged = True
    order_dependent = False  # the paths are the same backwards
    gaps_by_level = tuple(GAPS_PER_MOVE * moves + 1.0 for moves in NUM_MOVES_BY_LEVEL)
    notes = ("Paths cross wherever both shapes have been, at the same time or not.", TENTHS)
    concise = "{paths}. The number of crossings is {answer}."

    wordings = (
        "How many times does the path of the {one} cross the path of the {other}?",
        "How often do the paths of the {one} and the {other} cross?",
        "Think of the lines that the {one} and the {other} draw. How many times do they cross?",
        "Count the crossings of the path of the {one} with that of the {other}. How many are there?",
        "The {one} and the {other} travel across the frame. At how many places do their paths cross?",
        "How many crossings do the ways of the {one} and the {other} have?",
        "What is the number of times that the path of the {one} crosses that of the {other}?",
        "If the {one} and the {other} left lines behind, how many crossings would these have?",
    )
    phrases: ClassVar[Phrases] = {
        "at": AT_PHRASES,
        "cross": (
            "Between x {d1} and x {d2} the paths change sides, which is crossing {d3}.",
            "From x {d1} to x {d2} the upper path becomes the lower one: crossing {d3}.",
            "Crossing {d3} lies between x {d1} and x {d2}, where the paths change sides.",
        ),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        one_K, other_of_count = _choose_courses(rng, NUM_MOVES_BY_LEVEL[level], NUM_OPTIONS_BY_LEVEL[level])
        if len(other_of_count) < 2:
            raise SampleRejected("order_without_effect", f"{MAX_PROPOSALS} pairs of paths have one answer each")
        counts = shuffled(rng, sorted(other_of_count))
        truth = setting.choose_truth(counts)
        actors = setting.choose_actors(2 + NUM_DISTRACTORS_BY_LEVEL[level])
        names = shuffled(rng, [actor.name for actor in actors[:2]])
        radius_px = max(MIN_RADIUS_PX, RADIUS * setting.side_px)
        courses = [one_K, other_of_count[truth], *(rng.integers(TOP + 1, size=len(one_K)) for _ in actors[2:])]
        tracks: list[Track] = []
        at: list[list[Event]] = []
        for actor, heights_K in zip(actors, courses, strict=True):
            reached = [0, *np.cumsum(_choose_lengths(setting, len(one_K) - 1)).tolist()]
            xy_T2 = _path(setting, heights_K, reached, backwards=bool(rng.integers(2)))
            tracks += _with_trail(replace(actor, radius_px=radius_px), xy_T2, setting)
            at.append(at_events(actor.name, xy_T2, canvas, reached))
        events = [*at[0], *at[1], *_crossings(at[0], one_K > other_of_count[truth])]
        facts = {"one": names[0], "other": names[1], "options": [str(count) for count in counts]}
        return MotionClip(tracks[::-1], events, facts)

    def logged(self, events: Sequence[Event], facts: Facts) -> int:
        return sum(event.kind == "cross" for event in events)

    def seen(self, witness: Witness, facts: Facts) -> int | None:
        """Follow both shapes by their colors, wherever they are not hidden."""
        paths = []
        for name in (facts["one"], facts["other"]):
            seen_T3 = follow(witness.frames_THWC, color_of(name))
            seen_T3 = seen_T3[seen_T3[:, 2] > WHOLE * seen_T3[:, 2].max(initial=1.0)]
            if len(seen_T3) < 2:
                return None
            paths.append(seen_T3[:, :2])
        return num_crossings(paths, CLEAR * witness.frames_THWC.shape[1])

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether straight lines between the shown places cross as often as the paths."""
        of_name = {track.name: track.xy_T2[list(frames)] for track in plan.tracks}
        paths = [of_name[plan.facts[name]] for name in ("one", "other")]
        return num_crossings(paths, CLEAR * plan.height) == self.logged(plan.events, plan.facts)


def num_crossings(paths: Sequence[npt.NDArray[np.float64]], clear_px: float) -> int:
    """Count how often one path gets from above the other to below it or back, by (N, 2) px on each in any order."""
    by_x = [path_N2[np.argsort(path_N2[:, 0], kind="stable")] for path_N2 in paths]
    start, end = max(path_N2[0, 0] for path_N2 in by_x), min(path_N2[-1, 0] for path_N2 in by_x)
    x_N = np.linspace(start, end, NUM_COMPARED)
    above_N = np.subtract(*(np.interp(x_N, *path_N2.T) for path_N2 in by_x))
    sides = np.sign(above_N[np.abs(above_N) > clear_px])
    return int((np.diff(sides) != 0).sum())


def _choose_courses(rng: np.random.Generator, num_moves: int, wanted: int) -> tuple[Heights, dict[int, Heights]]:
    """Choose the heights of one path, and by the number of crossings those that the other path may have."""
    best: tuple[Heights, dict[int, Heights]] = (np.empty(0, np.int64), {})
    for _ in range(MAX_PROPOSALS):
        one_K, other_K = 2 * rng.integers(4, size=num_moves + 1), 1 + 2 * rng.integers(3, size=num_moves + 1)
        if any(abs(h.mean() - TOP / 2) > MEAN_OFF or np.abs(np.diff(h)).max() > HIGHEST_MOVE for h in (one_K, other_K)):
            continue
        ways = (other_K, TOP - other_K, other_K[::-1], TOP - other_K[::-1])
        of_count = {int((np.diff(one_K > way_K)).sum()): way_K for way_K in ways}
        for odd in (0, 1):
            found = {count: way_K for count, way_K in of_count.items() if count % 2 == odd}
            best = (one_K, found) if len(found) > len(best[1]) else best
        if len(best[1]) >= wanted:
            break
    return best


def _crossings(at: Sequence[Event], above_K: npt.NDArray[np.bool_]) -> list[Event]:
    """Log the crossings from the left to the right, each between two places that one path goes through."""
    by_x = sorted(at, key=lambda event: int(event.detail.split()[0]))
    crossings = []
    for number, move in enumerate(np.flatnonzero(np.diff(above_K)).tolist(), start=1):
        start, end = by_start(by_x[move : move + 2])
        where = " ".join(event.detail.split()[0] for event in by_x[move : move + 2])
        crossings.append(replace(start, kind="cross", end_ms=end.start_ms, detail=f"{where} {number}"))
    return crossings


def _choose_lengths(setting: Setting, num_moves: int) -> list[int]:
    """Choose how many frames each move takes; the shape rests for the last of the clip, so that its end is shown."""
    return random_cuts(setting.rng, setting.num_frames - 1 - setting.gap, num_moves, GAPS_PER_MOVE * setting.gap)


def _path(setting: Setting, heights_K: Heights, reached: Sequence[int], *, backwards: bool) -> npt.NDArray[np.float64]:
    """Return the places of a shape, (T, 2) px, that reaches one place after the other in these frames.

    Args:
        heights_K: of the places, from the left to the right.
        backwards: from the right to the left.
    """
    heights_K = heights_K[::-1] if backwards else heights_K
    gone_T = np.interp(np.arange(setting.num_frames), reached, np.arange(len(reached)))
    across_T = gone_T / (len(reached) - 1)
    across_T = 1 - across_T if backwards else across_T
    down_K = 0.5 + HEIGHT_STEP * (heights_K - TOP / 2) + setting.rng.uniform(-UNEVEN, UNEVEN, len(heights_K))
    move_T = np.minimum(gone_T.astype(int), len(reached) - 2)
    share_T = (1 - np.cos(np.pi * (gone_T - move_T))) / 2
    down_T = down_K[move_T] + share_T * (down_K[move_T + 1] - down_K[move_T])
    across_T = MARGIN + (1 - 2 * MARGIN) * across_T
    return np.stack([across_T * setting.canvas.width, down_T * setting.canvas.height], axis=1)


def _with_trail(actor: Actor, xy_T2: npt.NDArray[np.float64], setting: Setting) -> list[Track]:
    """Return the shape, and after it smaller and darker copies where it was a moment ago."""
    whole, num_copies = to_track(actor, xy_T2, wraps=False), TRAIL_BY_LEVEL[setting.level]
    tracks = [whole]
    for n in range(1, num_copies + 1):
        frames_T = np.maximum(0, np.arange(len(xy_T2)) - n * setting.gap // num_copies)
        fade = 0.6 - 0.4 * n / num_copies
        red, green, blue = (round(fade * level) for level in whole.color)
        copy = replace(whole, name=f"trail {n} of the {actor.name}", xy_T2=xy_T2[frames_T], color=(red, green, blue))
        tracks.append(replace(copy, radius_px=(1 - 0.6 * n / num_copies) * actor.radius_px))
    return tracks
