"""Where is one shape relative to another when the picture flashes? (SynRL, arXiv 2603.17693: relative position).

Two shapes go around each other. Their whole way is chosen before the answer, and it takes A to every side of B that is
an option. The answer only decides when the flash comes. During the flash nothing else is seen and nothing moves. So
every other answer shows the same frames in another order, and no frame holds both the flash and the shapes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Value
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import followed, to_track
from temporay.operators.records import Event, Question, ScenePlan, Track
from temporay.operators.seeding import choose_one, shuffled

SIDES = {"to the right of": 0.0, "below": 90.0, "to the left of": 180.0, "above": 270.0}  # degrees, clockwise
NUM_SIDES_BY_LEVEL = (2, 4, 4, 4, 4)
MAX_TURNS_BY_LEVEL = (0.8, 1.0, 1.25, 1.5, 2.0)  # turns of A around B; a full one at least where all sides are options
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 1, 2, 3)
FLASH_FRAMES = 2
FLASH_COLOR = (255, 255, 255)
FLASH_LEVEL = 200  # mean of the darkest channel, reached only in a flash
NEAR_AXIS_DEG = 40.0  # both places beside the flash are so near to the middle of the side they are on
MIN_FRAMES_FOR_ALL_SIDES = 14  # the canvas's shortest clip needs so many
APART = (0.36, 0.44)  # between the two centers, of the frame's shorter side
MAX_RADIUS = 0.12
MAX_TRIES = 1000


class RelativePosition(DrawnMotion[str]):
    """Question about the side on which a shape is at a moment."""

    task = "relative_position"
    order_dependent = True
    twin = "reordered"

    wordings = (
        "Where is the {name} relative to the {anchor} when the picture flashes white?",
        "At the moment of the white flash, where is the {name}, seen from the {anchor}?",
        "When the screen turns white, on which side of the {anchor} is the {name}?",
        "What is the position of the {name} relative to the {anchor} during the flash?",
        "The picture flashes once. Where is the {name} then?",
        "Track the {name} and the {anchor}. Where is the first relative to the second at the flash?",
        "At the flash, the {name} is where in relation to the {anchor}?",
        "Which option says where the {name} is when the flash comes?",
    )
    phrases: ClassVar[Phrases] = {
        "side": (
            "From {start} s to {end} s the {subject} is {detail}.",
            "Between {start} s and {end} s it is the {subject} that is {detail}.",
            "Starting at {start} s and until {end} s, the {subject} stays {detail}.",
        ),
        "flash": (
            "At {start} s, when the picture flashes, the {subject} is {detail}.",
            "The flash at {start} s comes while the {subject} is {detail}.",
            "When the flash comes at {start} s, the place of the {subject} is {detail}.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {"flash": ("At the flash the {subject} is {detail}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level, num_frames = setting.rng, setting.canvas, setting.level, setting.num_frames
        first = int(rng.integers(2))  # which pair of opposite sides
        all_sides = NUM_SIDES_BY_LEVEL[level] == 4 and canvas.num_frames[0] >= MIN_FRAMES_FOR_ALL_SIDES
        sides = shuffled(rng, list(SIDES) if all_sides else list(SIDES)[first::2])
        truth = setting.choose_truth(range(len(sides)))
        turns = (1.0, max(1.0, MAX_TURNS_BY_LEVEL[level])) if all_sides else (0.55, 0.8)
        angle_deg_T, places = _choose_course(rng, sides, turns, num_frames - FLASH_FRAMES)
        flash = [choose_one(rng, where) for where in places][truth]  # chosen for every side alike
        actors = setting.choose_actors(2 + NUM_DISTRACTORS_BY_LEVEL[level])
        flashing_T = (np.arange(num_frames) >= flash) & (np.arange(num_frames) < flash + FLASH_FRAMES)
        tracks = []
        for actor, xy_T2 in zip(actors, _choose_paths(rng, canvas, angle_deg_T, len(actors)), strict=True):
            radius_px = max(4.0, min(actor.radius_px, MAX_RADIUS * setting.side_px))
            track = to_track(actor, np.insert(xy_T2, [flash] * FLASH_FRAMES, xy_T2[flash], axis=0), wraps=False)
            tracks.append(replace(track, radius_px=radius_px, visible_T=~flashing_T))
        name, anchor = actors[0].name, actors[1].name
        return MotionClip(
            tracks=(*tracks[::-1], _flash_track(flashing_T, canvas)),  # the two asked about over the distractors
            events=_log(tracks[0], tracks[1], flash, canvas),
            facts={"name": name, "anchor": anchor, "options": [f"{side} the {anchor}" for side in sides]},
        )

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return the side; the shape on whose side it is belongs to its name, because the question gives it."""
        side, _, anchor = detail.rpartition(" the ")
        return {f"side of the {anchor}": side}

    def logged(self, events: Sequence[Event], facts: Facts) -> str:
        return next(event.detail for event in events if event.kind == "flash").removesuffix(f" the {facts['anchor']}")

    def seen(self, witness: Witness, facts: Facts) -> str | None:
        """Find both colors beside the frames that are white all over."""
        frames_THWC = witness.frames_THWC
        white = np.nonzero(frames_THWC.mean(axis=(1, 2)).min(axis=1) > FLASH_LEVEL)[0]
        if not len(white) or white[0] == 0 or white[-1] + 1 == len(frames_THWC):
            return None
        beside_THWC = frames_THWC[[white[0] - 1, white[-1] + 1]]
        seen, anchor = (followed(beside_THWC, facts[key]) for key in ("name", "anchor"))
        if seen is None or anchor is None:
            return None
        x, y = (seen - anchor)[:, :2].mean(axis=0)
        return _side(float(np.rad2deg(np.arctan2(y, x))))

    def answer(self, measured: str, facts: Facts) -> str:
        return f"{measured} the {facts['anchor']}"

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell where the shape has been, then where it is at the flash."""
        return sorted(plan.events, key=lambda event: (event.kind == "flash", event.start_ms))


def _side(angle_deg: float) -> str:
    return min(SIDES, key=lambda side: _off_deg(angle_deg, side))


def _off_deg(angle_deg: float, side: str) -> float:
    return abs((angle_deg - SIDES[side] + 180) % 360 - 180)


def _choose_course(
    rng: np.random.Generator, sides: list[str], turns: tuple[float, float], num_frames: int
) -> tuple[npt.NDArray[np.float64], list[list[int]]]:
    """Choose the direction of A from B in every frame, and for each side the frames before which a flash may be put.

    It is chosen again until every side has such a frame, so what is rejected does not depend on the answer.

    Raises:
        SampleRejected: no course has (``no_room_for_a_flash``).
    """
    for _ in range(MAX_TRIES):
        total_deg = 360.0 * float(rng.uniform(*turns)) * (1 if rng.integers(2) else -1)
        angle_deg_T = rng.uniform(0, 360) + total_deg * np.linspace(0, 1, num_frames)
        places = [
            [
                f
                for f in range(1, num_frames)
                if max(_off_deg(a, side) for a in angle_deg_T[f - 1 : f + 1]) <= NEAR_AXIS_DEG
            ]
            for side in sides
        ]
        if all(places):
            return angle_deg_T, places
    raise SampleRejected("no_room_for_a_flash", f"{num_frames} frames")


def _choose_paths(
    rng: np.random.Generator, canvas: Canvas, angle_deg_T: npt.NDArray[np.float64], num_actors: int
) -> list[npt.NDArray[np.float64]]:
    """Choose paths, (T, 2) px each: A and B around a middle that drifts, distractors straight between two places."""
    size, side = np.array([canvas.width, canvas.height]), min(canvas.width, canvas.height)
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


def _flash_track(flashing_T: npt.NDArray[np.bool_], canvas: Canvas) -> Track:
    middle = np.array([canvas.width, canvas.height]) / 2
    return Track(
        name="flash",
        shape="square",
        color=FLASH_COLOR,
        radius_px=float(max(canvas.width, canvas.height)),
        xy_T2=np.tile(middle, (len(flashing_T), 1)),
        visible_T=flashing_T,
    )


def _log(track: Track, anchor: Track, flash: int, canvas: Canvas) -> list[Event]:
    """Log on which side of B A is, from when to when, and the flash with the side that A is on then."""
    x_T, y_T = (track.xy_T2 - anchor.xy_T2).T
    sides = [_side(angle_deg) for angle_deg in np.rad2deg(np.arctan2(y_T, x_T))]
    starts = [f for f in range(len(sides)) if f == 0 or sides[f] != sides[f - 1]]
    spans = [("side", start, end) for start, end in zip(starts, [*starts[1:], len(sides)], strict=True)]
    return [
        event_in(canvas, kind, track.name, start, end, f"{sides[start]} the {anchor.name}")
        for kind, start, end in (*spans, ("flash", flash, flash + FLASH_FRAMES))
    ]
