"""How often do shapes collide? Circles of equal mass fly in a box and bounce off its walls and off each other.

Every flight is simulated with exact times. Speed, number of circles and length of the clip are chosen before the count.
Then flights are tried until one has that many collisions, so none of them tells it. The picture stands still for a
moment at each collision, at harder levels now and then without one. How long it stands still in all is chosen before
the count too. So each contact is seen, and no other two circles come as near.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import inf, sqrt
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import DARK_COLOR, WALL_COLOR, followed, square_track, to_track
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import random_cuts, shuffled


class Difficulty(NamedTuple):
    """What is chosen by level. Counts are the options for the question about all collisions."""

    num_circles: int
    moving_gaps: float  # how long the circles fly, in the longest gaps between shown frames
    most_collisions: int
    num_rests: int  # moments without a collision in which all stands still
    counts: range


DIFFICULTIES = (
    Difficulty(2, 21, 4, 0, range(1, 4)),
    Difficulty(2, 27, 5, 0, range(1, 5)),
    Difficulty(3, 20, 7, 1, range(4, 8)),
    Difficulty(3, 23, 8, 2, range(5, 9)),
    Difficulty(4, 18, 11, 3, range(7, 11)),
)
PAIR_LEVEL, PAIR_COUNTS = 2, range(1, 5)  # from which level on two circles may be asked about, and how often they meet
STEP = (0.14, 0.16)  # way in the time of a longest gap between shown frames, in sides of the box
RADIUS = 0.085  # in sides of the box
BOX_SIDE, WALL_SIDE = 0.92, 0.98  # of the box, and of it with its walls, in parts of the frame's shorter side
TOUCH, APART = 1.03, 1.18  # distances of centers in diameters: up to where circles touch, and from where they do not
SEEN_LIMITS = (1.07, 1.13)  # in frames: contacts that differ at the two distances leave a doubt
LIMITS = (TOUCH, APART)
MAX_FLIGHTS = 3000


class Flight(NamedTuple):
    """Where all circles are at the start, at every bounce and at the end, and which two of them collide there."""

    time_K: npt.NDArray[np.float64]
    xy_KN2: npt.NDArray[np.float64]
    collisions: list[tuple[float, tuple[int, int]]]


class CollisionCount(DrawnMotion[list[str]]):
    """Question about the number of collisions."""

    task = "collision_count"
    free_form = True
    # Each collision is an event. Speeds change in collisions alone, so the highest one tells whether there are many.
    inherent: ClassVar[Inherent] = {"num_events": 1.0, "max_speed": (0.5, 0.45, 0.3, 0.3, 0.3)}
    answer_kind = "number"
    gaps_by_level = tuple(d.moving_gaps + d.most_collisions + d.num_rests for d in DIFFICULTIES)
    notes = ("All circles stand still for a moment when two of them touch.",)
    wordings = (
        "How many times do {who} collide?",
        "How often do {who} bounce off each other?",
        "Circles fly in a box. How many times do {who} hit each other?",
        "Bounces off the walls do not count. How many times do {who} collide?",
        "Count the collisions. How many times do {who} touch?",
        "In the whole video, how often do {who} collide?",
        "How many times in all do {who} touch each other?",
        "Watch the box to the end. How often do {who} hit each other?",
    )
    phrases: ClassVar[Phrases] = {
        "collision": (
            "From {start} s to {end} s the {subject} touch: collision {d1}.",
            "The {subject} collide and touch from {start} s to {end} s, which makes {d1}.",
            "Between {start} s and {end} s the {subject} are in contact, collision number {d1}.",
        ),
        "other": (
            "From {start} s to {end} s the {subject} touch, which is not asked for.",
            "The {subject} touch from {start} s to {end} s, another pair.",
            "Between {start} s and {end} s the {subject} are in contact, which does not count.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "collision": ("At {start} s the {subject} collide: {d1}.",),
        "other": ("At {start} s the {subject} collide.",),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        """Choose circles and counts, then the truth, then a flight with so many collisions."""
        rng, rules = setting.rng, DIFFICULTIES[setting.level]
        side_px = BOX_SIDE * setting.side_px
        chosen = setting.choose_actors(rules.num_circles)
        actors = [replace(actor, shape="circle", radius_px=RADIUS * side_px) for actor in chosen]
        names = [actor.name for actor in actors]
        asked = _pair(names, (0, 1)) if setting.level >= PAIR_LEVEL and rng.integers(2) else ""
        facts = {"names": names, "asked": asked, "who": f"the {asked or 'circles'}"}
        options = shuffled(rng, PAIR_COUNTS if asked else rules.counts)
        truth = setting.choose_truth(options)
        course = setting.rng_for("course", truth)
        xy_TN2, events = self._choose_flight(course, setting, facts, truth)
        middle = setting.size_xy / 2
        still_T2 = np.tile(middle, (setting.num_frames, 1))
        sides = ((WALL_COLOR, WALL_SIDE), (DARK_COLOR, BOX_SIDE))
        box = [square_track("box", color, share * setting.side_px, still_T2) for color, share in sides]
        places_NT2 = middle + side_px * (xy_TN2.transpose(1, 0, 2) - 0.5)
        circles = [to_track(actor, xy_T2, wraps=False) for actor, xy_T2 in zip(actors, places_NT2, strict=True)]
        return MotionClip([*box, *circles], events, {**facts, "options": [str(count) for count in options]})

    def _choose_flight(
        self, rng: np.random.Generator, setting: Setting, facts: Facts, truth: int
    ) -> tuple[npt.NDArray[np.float64], list[Event]]:
        """Try flights until one has the collisions asked for, and shows them under each sampling.

        Returns:
            (T, N, 2) centers in sides of the box, and the log.

        Raises:
            SampleRejected: none of many flights has.
        """
        rules, names = DIFFICULTIES[setting.level], facts["names"]
        pace = setting.rng_for("pace")  # the same for every count
        num_still = setting.gap * (rules.most_collisions + rules.num_rests) + int(pace.integers(4 * setting.gap))
        num_moving, way = setting.num_frames - num_still, rules.moving_gaps * float(pace.uniform(*STEP))
        shown = [*setting.canvas.sampling.choices(setting.num_frames, setting.canvas.fps), range(setting.num_frames)]
        for _ in range(MAX_FLIGHTS):
            flight = simulate(*_choose_start(rng, rules.num_circles), way)
            pairs = [_pair(names, pair) for _, pair in flight.collisions]
            count = pairs.count(facts["asked"]) if facts["asked"] else len(pairs)
            if count != truth or len(pairs) > rules.most_collisions:
                continue
            end = flight.time_K[-1]
            stops = [*(time for time, _ in flight.collisions), *rng.uniform(0.1 * end, 0.9 * end, rules.num_rests)]
            lengths = random_cuts(rng, num_still, len(stops), setting.gap)
            time_T = np.sort(np.concatenate([np.linspace(0, end, num_moving), np.repeat(stops, lengths)]))
            xy_TN2 = np.stack(
                [
                    np.stack([np.interp(time_T, flight.time_K, axis_K) for axis_K in xy_K2.T], axis=1)
                    for xy_K2 in flight.xy_KN2.transpose(1, 0, 2)
                ],
                axis=1,
            )
            if any(_touching(xy_TN2[[*s]], names, far) != sorted(pairs) for far in LIMITS for s in shown[::-1]):
                continue
            starts = np.searchsorted(time_T, stops[: len(pairs)]).tolist()
            return xy_TN2, _log(setting, pairs, starts, lengths, facts["asked"])
        raise SampleRejected("no_flight", f"none of {MAX_FLIGHTS} flights has {truth} collisions that are seen")

    def logged(self, events: Sequence[Event], facts: Facts) -> list[str]:
        return sorted(event.subject for event in events)

    def seen(self, witness: Witness, facts: Facts) -> list[str] | None:
        """Follow the circles by their colors and find which of them touch; None where two limits find others."""
        places = [followed(witness.frames_THWC, name)[:, :2] for name in facts["names"]]
        side_px = BOX_SIDE * min(witness.frames_THWC.shape[1:3])
        near, far = (_touching(np.stack(places, axis=1) / side_px, facts["names"], limit) for limit in SEEN_LIMITS)
        return near if near == far else None

    def answer(self, measured: list[str], facts: Facts) -> str:
        return str(measured.count(facts["asked"]) if facts["asked"] else len(measured))

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether these frames show every contact, and the circles apart between two of them."""
        circles = [track for track in plan.tracks if track.name in plan.facts["names"]]
        xy_TN2 = np.stack([track.xy_T2[list(frames)] for track in circles], axis=1)
        xy_TN2 /= BOX_SIDE * min(plan.width, plan.height)
        told = self.logged(plan.events, plan.facts)
        return all(_touching(xy_TN2, plan.facts["names"], far) == told for far in LIMITS)


def simulate(places: Sequence[complex], steps: Sequence[complex], end: float) -> Flight:
    """Let circles of equal mass fly in a box of side 1 without friction.

    Args:
        places: of their centers, x + iy.
        steps: their velocities.
        end: time at which the flight ends.
    """
    at, step, time = list(places), list(steps), 0.0
    times, knots, collisions = [0.0], [list(places)], []
    while time < end:
        waits: list[tuple[float, tuple[int, int], bool]] = [(end - time, (0, 0), False)]
        for i, (here, speed) in enumerate(zip(at, step, strict=True)):
            for axis, (place, way) in enumerate(((here.real, speed.real), (here.imag, speed.imag))):
                wall = 1 - RADIUS if way > 0 else RADIUS
                waits.append(((wall - place) / way if way else inf, (i, axis), False))
        for i, j in combinations(range(len(at)), 2):
            waits.append((_meeting(at[j] - at[i], step[j] - step[i]), (i, j), True))
        wait, (i, j), together = min(waits)
        at = [here + wait * speed for here, speed in zip(at, step, strict=True)]
        is_end = waits[0][0] <= wait
        time = end if is_end else time + wait
        times.append(time)
        knots.append(at)
        if together:
            along = (at[j] - at[i]) / abs(at[j] - at[i])
            push = ((step[j] - step[i]) * along.conjugate()).real * along
            step[i], step[j] = step[i] + push, step[j] - push
            collisions.append((time, (i, j)))
        elif not is_end:
            step[i] = complex(-step[i].real, step[i].imag) if j == 0 else step[i].conjugate()
    knots_KN = np.array(knots)
    return Flight(np.array(times), np.stack([knots_KN.real, knots_KN.imag], axis=2), collisions)


def _meeting(apart: complex, step: complex) -> float:
    """Return when two circles touch that are so far apart and move so against each other; inf if they do not."""
    nearing, square = (apart.conjugate() * step).real, abs(step) ** 2
    left = nearing**2 - square * (abs(apart) ** 2 - (2 * RADIUS) ** 2)
    return max(0.0, (-nearing - sqrt(left)) / square) if nearing < 0 and left > 0 else inf


def _choose_start(rng: np.random.Generator, num_circles: int) -> tuple[list[complex], list[complex]]:
    """Choose places apart from each other, and directions; all circles are equally fast."""
    places: list[complex] = []
    while len(places) < num_circles:
        place = complex(*rng.uniform(RADIUS, 1 - RADIUS, 2))
        if all(abs(place - other) > 2 * APART * RADIUS for other in places):
            places.append(place)
    return places, [complex(np.cos(turn), np.sin(turn)) for turn in rng.uniform(0, 2 * np.pi, num_circles)]


def _pair(names: Sequence[str], pair: tuple[int, int]) -> str:
    return f"{names[pair[0]]} and the {names[pair[1]]}"


def _touching(xy_TN2: npt.NDArray[np.float64], names: Sequence[str], far: float) -> list[str]:
    """Return every contact of two circles, sorted; frames without a break in which they are near are one contact."""
    found = []
    for i, j in combinations(range(len(names)), 2):
        near_T = np.hypot(*(xy_TN2[:, i] - xy_TN2[:, j]).T) < 2 * far * RADIUS
        found += [_pair(names, (i, j))] * int(near_T[0] + np.sum(near_T[1:] & ~near_T[:-1]))
    return sorted(found)


def _log(
    setting: Setting, pairs: Sequence[str], starts: Sequence[int], lengths: Sequence[int], asked: str
) -> list[Event]:
    events, count = [], 0
    for subject, start, length in zip(pairs, starts, lengths, strict=False):
        counts = subject == asked or not asked
        count += counts
        kind, detail = ("collision", str(count)) if counts else ("other", "")
        events.append(setting.event_in(kind, subject, start, start + length, detail))
    return events
