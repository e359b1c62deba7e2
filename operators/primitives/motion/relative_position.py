"""Where is one shape relative to another when the picture flashes? (SynRL, arXiv 2603.17693: relative position).

A shape goes around another and stops on one side after the other. Its whole way is chosen before the answer, and it
stops on every side that is an option. The answer only decides during which stops the picture flashes. During a flash
nothing else is seen and nothing moves. So every other answer shows the same frames in another order, and no frame holds
both the flash and the shapes. From level 2 on there are several flashes, which have to be counted.

At a stop the direction is within ``OFF_DEG`` of the middle of its side, a shown frame or more before and after a flash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Phrases, by_start
from temporay.operators.primitives._plan import shape_track
from temporay.operators.primitives._stated import Value
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting, shown_between
from temporay.operators.primitives.motion._stage import followed, to_track
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, random_cuts

SIDES = (  # 45 degrees apart, clockwise
    "to the right of",
    "below and to the right of",
    "below",
    "below and to the left of",
    "to the left of",
    "above and to the left of",
    "above",
    "above and to the right of",
)
NUM_SIDES_BY_LEVEL = (4, 4, 4, 8, 8)  # where the shape may stop; four without the diagonals
NUM_OPTIONS_BY_LEVEL = (2, 4, 4, 4, 4)
NUM_STOPS_BY_LEVEL = (3, 5, 5, 6, 8)
NUM_FLASHES_BY_LEVEL = (1, 1, 2, 2, 3)
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 2, 3)
ORDINALS = ("first", "second", "third")
FLASH_COLOR = (255, 255, 255)
FLASH_LEVEL = 200  # mean of the darkest channel, reached only in a flash
OFF_DEG = 10.0  # from the middle of a side
APART = (0.36, 0.44)  # between the two centers, of the frame's shorter side
MAX_RADIUS = 0.12


@dataclass(frozen=True, slots=True)
class Stop:
    """A side on which the shape stops, from one frame to another; flashes are not counted as frames."""

    side: int  # in ``SIDES``
    start: int
    end: int


class RelativePosition(DrawnMotion[str]):
    """Question about the side on which a shape is at a moment."""

    task = "relative_position"
    twin = "reordered"
    gaps_by_level = tuple(
        2.5 * stops + flashes + 1 for stops, flashes in zip(NUM_STOPS_BY_LEVEL, NUM_FLASHES_BY_LEVEL, strict=True)
    )

    wordings = (
        "Where is the {name} relative to the {anchor} when the picture flashes white{time}?",
        "When the screen turns white{time}, on which side of the {anchor} is the {name}?",
        "The picture flashes white{time}. Where is the {name} then, seen from the {anchor}?",
        "On which side of the {anchor} is the {name} when the picture turns white{time}?",
        "What is the position of the {name} relative to the {anchor} when the screen flashes white{time}?",
        "Follow the {name} and the {anchor}. Where is the {name} when the picture flashes white{time}?",
        "Which option says where the {name} is when the screen turns white{time}?",
        "Seen from the {anchor}, where is the {name} when the picture flashes white{time}?",
    )
    phrases: ClassVar[Phrases] = {
        "side": (
            "From {start} s to {end} s the {subject} is {detail}.",
            "Between {start} s and {end} s the {subject} is {detail}.",
            "The {subject} stays {detail} from {start} s to {end} s.",
        ),
        "flash": (
            "At {start} s, when the picture flashes, the {subject} is {detail}.",
            "The flash at {start} s comes while the {subject} is {detail}.",
            "When the flash comes at {start} s, the {subject} is {detail}.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {"flash": ("At the flash the {subject} is {detail}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        num_flashes = NUM_FLASHES_BY_LEVEL[level]
        asked = int(rng.integers(num_flashes))
        sides = _choose_sides(rng, level)
        stop_sides, flashed = _choose_flashes(rng, sides, asked, level)
        truth = setting.choose_truth(range(len(sides)))
        stops, angle_deg_T = _choose_course(setting, stop_sides)
        pauses = [int(rng.integers(stop.start + setting.gap, stop.end - setting.gap + 1)) for stop in stops]
        flashes = [pauses[i] for i in flashed[truth]]
        flashing_T = np.insert(np.zeros(len(angle_deg_T), np.bool_), np.repeat(flashes, setting.gap), True)
        actors = setting.choose_actors(2 + NUM_DISTRACTORS_BY_LEVEL[level])
        tracks = []
        for actor, xy_T2 in zip(actors, _choose_paths(setting, angle_deg_T, len(actors)), strict=True):
            radius_px = max(4.0, min(actor.radius_px, MAX_RADIUS * setting.side_px))
            shown_T2 = xy_T2[np.maximum(0, np.cumsum(~flashing_T) - 1)]
            tracks.append(replace(to_track(actor, shown_T2, wraps=False), radius_px=radius_px, visible_T=~flashing_T))
        name, anchor = actors[0].name, actors[1].name
        facts = {"name": name, "anchor": anchor, "flash": asked}
        facts["time"] = f" for the {ORDINALS[asked]} time" if num_flashes > 1 else ""
        middle_T2 = np.tile(setting.size_xy / 2, (len(flashing_T), 1))
        flash = shape_track("flash", "square", FLASH_COLOR, float(max(setting.size_xy)), middle_T2, flashing_T)
        return MotionClip(
            tracks=(*tracks[::-1], flash),  # the two asked about over the distractors
            events=_log(facts, stops, flashes, setting),
            facts={**facts, "options": [f"{SIDES[side]} the {anchor}" for side in sides]},
        )

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether each flash is shown, and the stop on either side of it."""
        stops = [event for event in plan.events if event.kind == "side"]
        for flash in _flashes(plan.events):
            stop = next(one for one in stops if one.start_ms < flash.start_ms and flash.end_ms < one.end_ms)
            times_ms = [stop.start_ms, flash.start_ms, flash.end_ms, stop.end_ms]
            if not shown_between(plan, frames, times_ms).all():
                return False
        return True

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return the side; the shape on whose side it is belongs to its name, because the question gives it."""
        side, _, anchor = detail.rpartition(" the ")
        return {f"side of the {anchor}": side}

    def logged(self, events: Sequence[Event], facts: Facts) -> str:
        return _flashes(events)[facts["flash"]].detail.removesuffix(f" the {facts['anchor']}")

    def seen(self, witness: Witness, facts: Facts) -> str | None:
        """Find both colors beside the frames that are white all over."""
        frames_THWC = witness.frames_THWC
        white_T = frames_THWC.mean(axis=(1, 2)).min(axis=1) > FLASH_LEVEL
        starts, ends = (np.flatnonzero(np.diff(white_T.astype(int)) == step) for step in (1, -1))
        if white_T[[0, -1]].any() or len(starts) <= facts["flash"]:
            return None
        beside_THWC = frames_THWC[[starts[facts["flash"]], ends[facts["flash"]] + 1]]
        seen, anchor = (followed(beside_THWC, facts[key]) for key in ("name", "anchor"))
        x, y = (seen - anchor)[:, :2].mean(axis=0)
        sides = [SIDES.index(option.removesuffix(f" the {facts['anchor']}")) for option in facts["options"]]
        off_deg = [abs((np.rad2deg(np.arctan2(y, x)) - 45 * side + 180) % 360 - 180) for side in sides]
        return SIDES[sides[int(np.argmin(off_deg))]]

    def answer(self, measured: str, facts: Facts) -> str:
        return f"{measured} the {facts['anchor']}"

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        """Tell the stops and flashes up to the flash that is asked about."""
        asked = _flashes(plan.events)[plan.facts["flash"]]
        return [event for event in super().told(plan) if event.start_ms <= asked.start_ms]


def _choose_sides(rng: np.random.Generator, level: int) -> list[int]:
    """Choose the options: two opposite sides, or four."""
    every = np.arange(0, 8, 8 // NUM_SIDES_BY_LEVEL[level])
    if NUM_OPTIONS_BY_LEVEL[level] == 2:
        every = every[int(rng.integers(2)) :: 2]
    return [int(side) for side in rng.choice(every, NUM_OPTIONS_BY_LEVEL[level], replace=False)]


def _choose_flashes(
    rng: np.random.Generator, sides: list[int], asked: int, level: int
) -> tuple[list[int], list[list[int]]]:
    """Choose the side of every stop, and for each option during which stops the picture flashes if it is true.

    Sides are chosen again until the asked flash may come on each of them, so this does not depend on the answer.
    """
    num_stops, num_after = NUM_STOPS_BY_LEVEL[level], NUM_FLASHES_BY_LEVEL[level] - 1 - asked
    step = 8 // NUM_SIDES_BY_LEVEL[level]
    possible: list[list[int]] = [[]]
    while not all(possible):
        turns = step * rng.integers(1, NUM_SIDES_BY_LEVEL[level], num_stops)
        stops = [int(side) for side in np.mod(sides[0] + np.cumsum(turns), 8)]
        possible = [[i for i in range(asked, num_stops - num_after) if stops[i] == side] for side in sides]
    flashed = []
    for where in possible:
        i = choose_one(rng, where)
        before, after = rng.permutation(i)[:asked], i + 1 + rng.permutation(num_stops - i - 1)[:num_after]
        flashed.append(sorted([*before.tolist(), i, *after.tolist()]))
    return stops, flashed


def _choose_course(setting: Setting, sides: list[int]) -> tuple[list[Stop], npt.NDArray[np.float64]]:
    """Choose when each stop begins and ends, and the direction from the other shape in every frame but the flashes."""
    rng, gap, count = setting.rng, setting.gap, len(sides)
    num_frames = setting.num_frames - gap * NUM_FLASHES_BY_LEVEL[setting.level]
    spare = random_cuts(rng, num_frames - 1 - count * (2 * gap + gap // 2), 2 * count + 1, 0)
    stops, frame, corners, corner_deg = [], 1 + spare[0], [], []
    last_deg = 0.0
    for n, side in enumerate(sides):
        stop = Stop(side, frame, frame + 2 * gap + spare[2 * n + 1])
        frame = stop.end + gap // 2 + spare[2 * n + 2]
        middle_deg = last_deg + (45 * side - last_deg + 180) % 360 - 180  # the shorter way round
        stops.append(stop)
        corners += [stop.start, stop.end - 1]
        corner_deg += (middle_deg + rng.uniform(-OFF_DEG, OFF_DEG, 2)).tolist()
        last_deg = middle_deg
    return stops, np.interp(np.arange(num_frames), corners, corner_deg)


def _choose_paths(
    setting: Setting, angle_deg_T: npt.NDArray[np.float64], num_actors: int
) -> list[npt.NDArray[np.float64]]:
    """Choose paths, (T, 2) px each: A and B around a middle that drifts, distractors straight between two places."""
    rng, size, side = setting.rng, setting.size_xy, setting.side_px
    share_T1 = np.linspace(0, 1, len(angle_deg_T))[:, None]
    radius_px = MAX_RADIUS * side
    half_px = side * float(rng.uniform(*APART)) / 2
    margin = half_px + radius_px
    start, end = rng.uniform(margin, size - margin), rng.uniform(margin, size - margin)
    angle_T = np.deg2rad(angle_deg_T)
    arm_T2 = half_px * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1)
    middle_T2 = start + (end - start) * share_T1
    paths = [middle_T2 + arm_T2, middle_T2 - arm_T2]
    for _ in range(num_actors - 2):
        start, end = rng.uniform(radius_px, size - radius_px), rng.uniform(radius_px, size - radius_px)
        paths.append(start + (end - start) * share_T1)
    return paths


def _flashes(events: Sequence[Event]) -> list[Event]:
    return by_start(event for event in events if event.kind == "flash")


def _log(facts: Facts, stops: Sequence[Stop], flashes: Sequence[int], setting: Setting) -> list[Event]:
    """Log on which side the shape stops, from when to when, and each flash with the side of its stop."""
    gap, events = setting.gap, []
    for stop in stops:
        detail = f"{SIDES[stop.side]} the {facts['anchor']}"
        start, end = (frame + gap * sum(flash < frame for flash in flashes) for frame in (stop.start, stop.end))
        events.append(setting.event_in("side", facts["name"], start, end, detail))
        for n, flash in enumerate(flashes):
            if stop.start < flash < stop.end:
                start = flash + gap * n
                events.append(setting.event_in("flash", facts["name"], start, start + gap, detail))
    return events
