"""Which way, and how many full turns, does a shape spin? (SynRL, arXiv 2603.17693, short-term: rotation).

Every spin takes a number of frames that has no divisor in common with the number of turns. So its frames show the same
angles, evenly spread over the circle, for every direction and number of turns. One turn and three turns, clockwise and
counter-clockwise, are the same frames in another order. Only a shape that does not spin shows others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import gcd
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.shapes import COLORS, TURNED_SHAPES
from temporay.operators.pixels.silhouettes import most_like
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Stated
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, place_apart
from temporay.operators.primitives.motion._stage import Actor, still_track
from temporay.operators.records import Event, Question, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

MAX_TURNS_BY_LEVEL = (3, 3, 4, 4, 4)
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
RADIUS = 0.2  # parts of the frame's shorter side, or what its cell leaves
MAX_STEP_DEG = 120.0  # from frame to frame: above 180 the other way round would look the same
DIRECTIONS = ("clockwise", "counter-clockwise", "not spinning")
NUM_LISTED = 6  # angles in an explanation: the first ones, a frame apart
MIN_LIKENESS = 0.8
MAX_ERROR_DEG = 45.0  # error of the sum of all steps seen


class Rotation(DrawnMotion[int]):
    """Question about the direction or the number of turns."""

    task = "rotation"
    # One step shows a direction, and any speed that it spins.
    inherent: ClassVar[Inherent] = {
        "direction two_frames": 1.0,
        "direction few_frames": 1.0,
        "direction one_number": 0.72,
        "direction bag_of_frames": 0.72,
    }
    order_dependent = True
    twin = "restaged"  # a shape that spins shows angles that one at rest does not

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "direction": (
            "Is the {name} spinning clockwise or counter-clockwise?",
            "In which direction does the {name} rotate?",
            "Which way does the {name} spin?",
            "What is the direction of rotation of the {name}?",
            "How does the {name} turn on the spot?",
            "Watch the {name}. Which way round does it go, if at all?",
            "Seen on the screen, which way is the {name} turning?",
            "Which option describes the rotation of the {name}?",
        ),
        "turns": (
            "How many full turns does the {name} make?",
            "How many full rotations does the {name} complete?",
            "Count the full turns of the {name}. How many are there?",
            "How often does the {name} spin all the way round?",
            "How many times does the {name} come back to the angle it started at?",
            "The {name} spins on the spot. How many complete turns does it make?",
            "How many times does the {name} rotate by 360 degrees?",
            "Which option gives the number of full turns of the {name}?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "turned": (
            "At {start} s the {subject} is turned by {d1} degrees.",
            "{start} s: the {subject} stands at {d1} degrees.",
            "The angle of the {subject} at {start} s is {d1} degrees.",
        ),
        "turn": (
            "Turn {d1} of the {subject}, {d2}, lasts from {start} s to {end} s.",
            "From {start} s to {end} s the {subject} makes turn {d1}, {d2}.",
            "At {start} s turn {d1} of the {subject} begins, {d2}, and at {end} s it is complete.",
        ),
        "rests": (
            "From {start} s to {end} s the {subject} keeps its angle.",
            "Between {start} s and {end} s the angle of the {subject} stays the same.",
            "There is no turning of the {subject} from {start} s to {end} s.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "turned": ("Angle {d1}.",),
        "turn": ("Turn {d1}.",),
        "rests": ("The {subject} keeps its angle.",),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, num_frames = setting.rng, setting.canvas, setting.num_frames
        mode = choose_one(rng, tuple(self.wordings_by_mode))
        # by the shortest clip of the canvas, not by this one's length, which must not tell the number
        fastest = int(_spin_steps(canvas.num_frames[0] - 1) * MAX_STEP_DEG / 360)
        most = max(2, min(MAX_TURNS_BY_LEVEL[setting.level], fastest))
        choices = DIRECTIONS if mode == "direction" else tuple(str(n) for n in range(1, most + 1))
        options = shuffled(rng, choices)
        truth = setting.choose_truth(options)
        actors = _turned_actors(setting)
        centers = place_apart(rng, canvas, [CORNER * actor.radius_px for actor in actors])
        tracks, events = [], []
        for actor, center in zip(actors, centers, strict=True):
            turns = (1 + int(rng.integers(most))) * (-1 if rng.integers(2) else 1)
            rests = bool(rng.integers(len(DIRECTIONS)) == 0)
            if actor is actors[0]:
                turns, rests = _as_told(turns, truth)
            first_frame, angle_deg = rng.uniform(0, 1), float(rng.uniform(0, 360))
            angle_deg_T, own = _spin(actor.name, 0 if rests else turns, first_frame, angle_deg, num_frames, canvas)
            tracks.append(replace(still_track(actor, center, num_frames), angle_deg_T=angle_deg_T))
            events.extend(own)
        return MotionClip(tracks, events, {"mode": mode, "name": actors[0].name, "options": options})

    def stated(self, kind: str, subject: str | None, detail: str | None) -> Stated:
        """Return the number of a turn as what is meant, and its direction as what is seen."""
        stated = super().stated(kind, subject, detail)
        if kind != "turn":
            return stated
        ways = {name: value for name, value in stated.what.items() if name != "1"}
        return Stated(about=stated.about | {f"turn {stated.what.get('1', '')}"}, what=ways)

    def logged(self, events: Sequence[Event], facts: Facts) -> int:
        """Return the full turns, clockwise above 0."""
        turns = [event.detail.split()[1] for event in events if event.kind == "turn" and event.subject == facts["name"]]
        return len(turns) if DIRECTIONS[0] in turns else -len(turns)

    def seen(self, witness: Witness, facts: Facts) -> int | None:
        """Find the angle in every frame at which a template of the shape is most like what has its color."""
        color, shape = facts["name"].split(" ", 1)
        angles: list[float] = []
        for mask_HW in color_masks(witness.frames_THWC, COLORS[color]):
            found = most_like(mask_HW, (shape,), turned=True)
            if found is None or found.score < MIN_LIKENESS:
                return None
            angles.append(found.angle_deg)
        total_deg = float((np.mod(np.diff(angles) + 180, 360) - 180).sum())
        turns = round(total_deg / 360)
        return turns if abs(total_deg - 360 * turns) <= MAX_ERROR_DEG else None

    def answer(self, measured: int, facts: Facts) -> str:
        if facts["mode"] == "turns":
            return str(abs(measured))
        return DIRECTIONS[2] if measured == 0 else DIRECTIONS[0 if measured > 0 else 1]

    def told(self, plan: ScenePlan, question: Question) -> Sequence[Event]:
        """Tell angles for a direction, turns for their number."""
        kinds = ("turned", "rests") if plan.facts["mode"] == "direction" else ("turn",)
        own = [e for e in plan.events if e.subject == plan.facts["name"] and e.kind in kinds]
        return sorted(own, key=lambda event: (event.kind == "rests", event.start_ms))


def _turned_actors(setting: Setting) -> list[Actor]:
    """Choose shapes that no turn but a full one maps onto themselves, as large as their cells allow."""
    actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[setting.level])
    radius_px = min(RADIUS * setting.side_px, cell_room_px(setting.canvas, len(actors)) / CORNER)
    return [replace(actor, shape=choose_one(setting.rng, TURNED_SHAPES), radius_px=radius_px) for actor in actors]


def _as_told(turns: int, truth: str) -> tuple[int, bool]:
    """Return the turns, clockwise above 0, and whether the shape rests, for this to be the answer."""
    if truth in DIRECTIONS:
        return (-abs(turns) if truth == DIRECTIONS[1] else abs(turns)), truth == DIRECTIONS[2]
    return (int(truth) if turns > 0 else -int(truth)), False


def _spin_steps(most: int) -> int:
    """Return the largest number of steps that has no divisor in common with any number of turns."""
    return next(n for n in range(most, 0, -1) if all(gcd(n, turns) == 1 for turns in range(1, 5)))


def _spin(
    name: str, turns: int, first_frame: float, angle_deg: float, num_frames: int, canvas: Canvas
) -> tuple[npt.NDArray[np.float64], list[Event]]:
    """Return the angle in every frame, (T,) degrees clockwise, and its log.

    Args:
        turns: full turns, clockwise above 0; 0 for a shape at rest.
        first_frame: where in the few frames that the spin leaves over it begins, in [0, 1).
        angle_deg: at the start.
    """
    steps = _spin_steps(num_frames - 1)
    first = int(first_frame * (num_frames - steps))
    made_T = np.clip(np.arange(num_frames) - first, 0, steps)  # steps made
    # in whole steps of the circle, so that every number of turns shows exactly the same angles
    angle_deg_T = np.mod(angle_deg + np.mod(made_T * turns, steps) * (360.0 / steps), 360.0)
    way = "clockwise" if turns > 0 else "counter-clockwise"
    listed = range(first, first + min(NUM_LISTED, steps + 1))
    events = [event_in(canvas, "turned", name, f, f + 1, f"{round(angle_deg_T[f]) % 360}") for f in listed]
    for n in range(abs(turns)):
        start, end = (first + steps * k / abs(turns) for k in (n, n + 1))
        events.append(event_in(canvas, "turn", name, start, end, f"{n + 1} {way}"))
    if not turns:
        events.append(event_in(canvas, "rests", name, 0, num_frames))
    return angle_deg_T, events
