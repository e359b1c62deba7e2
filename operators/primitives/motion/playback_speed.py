"""The same motion twice in one clip, at two speeds: which is faster, or how many times? (RSPNet, arXiv 2011.07949).

Shapes chase each other around one closed course, shown in both halves of the picture or in both halves of the clip.
Where they start on the course is uniform in each half, so no frame tells a speed. The mean of both speeds is chosen
apart from the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._panels import Panel, halves
from temporay.operators.primitives.motion._stage import Actor, choose_actors, followed, to_track
from temporay.operators.records import Event, Frames, Track
from temporay.operators.seeding import choose_one, shuffled

NUM_SHAPES_BY_LEVEL = (1, 1, 2, 2, 3)
MIN_RATIO_BY_LEVEL = (3.0, 2.5, 2.2, 1.9, 1.6)  # faster over slower speed, when asked which is faster
RATIOS_BY_LEVEL = (  # when asked how many times
    (1.5, 4.0),
    (1.5, 3.0),
    (1.5, 2.5, 4.0),
    (1.5, 2.0, 3.0, 4.0),
    (1.25, 1.75, 2.5, 3.5),
)
SAME_RATIO = 1.2  # speeds nearer than this are the same
PLACES = {"beside": ("left half", "right half"), "after": ("first half", "second half")}
ROUNDS = {"beside": (0.35, 0.8), "after": (0.2, 0.45)}  # rounds of the course in each half, geometric mean of both
BULGE = 0.2  # how far the course is from an ellipse
NUM_POINTS = 256  # points of the course
SAME = "both at the same speed"


class PlaybackSpeed(DrawnMotion[float]):
    """Question about the speeds at which one motion is played twice."""

    task = "playback_speed"
    # Both halves of the picture show their speeds at once.
    inherent: ClassVar[Inherent] = {
        "two_frames": (0.9, 0.8, 0.7, 0.6, 0.52),
        "few_frames": 1.0,
        "bag_of_frames": (0.82, 0.7, 0.62, 0.52, 0.45),
        "one_number": 0.55,
    }
    order_dependent = False
    twin = "restaged"

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "which": (
            "The same motion is shown twice. Which is played faster, the {a} or the {b}?",
            "Which half of the video is played at the higher speed, the {a} or the {b}?",
            "Compare the playback speed of the {a} with that of the {b}. Which is faster?",
            "Does the {a} run faster than the {b}, slower, or just as fast?",
            "The {a} and the {b} show one motion. Which of them is sped up against the other?",
            "Where does the motion go faster: in the {a} or in the {b}?",
            "Which of the two, the {a} or the {b}, is played back faster?",
            "Is the playback faster in the {a} or in the {b}?",
        ),
        "times": (
            "The same motion is shown twice. How many times as fast is the {a} as the {b}?",
            "How much faster is the {a} of the video played than the {b}?",
            "Compare the playback speed of the {a} with that of the {b}. What is their ratio?",
            "By what factor is the {a} faster than the {b}?",
            "The {a} and the {b} show one motion. How much is the {a} sped up against the {b}?",
            "The motion goes faster in the {a} than in the {b}. How many times?",
            "At how many times the speed of the {b} is the {a} played back?",
            "How many times the speed of the {b} has the {a}?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "plays": (
            "From {start} s to {end} s the {subject} plays {detail} rounds a second.",
            "Between {start} s and {end} s there are {detail} rounds a second in the {subject}.",
            "{start} s to {end} s: the motion in the {subject} makes {detail} rounds a second.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"plays": ("In the {subject} {d1} rounds a second.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        layout = choose_one(rng, ("beside", "after"))
        mode = choose_one(rng, ("which", "times"))
        places = shuffled(rng, PLACES[layout])  # when asked how many times, the faster one first
        options = shuffled(rng, _options(mode, PLACES[layout], level))
        truth = setting.choose_truth(options)
        ratio = MIN_RATIO_BY_LEVEL[level] * float(rng.uniform(1.0, 1.2))
        mean_rounds = float(np.exp(rng.uniform(*np.log(ROUNDS[layout]))))
        ratios = _speed_ratios(truth, places, ratio)
        showings = _showings(layout, canvas.width, canvas.height, setting.num_frames)
        mean_frames = sum(showing.num_frames for showing in showings) / len(showings)
        own = showings[0].panel.canvas(canvas)
        actors = choose_actors(rng, own, NUM_SHAPES_BY_LEVEL[level], level)
        course = _choose_course(rng, own, max(actor.radius_px for actor in actors))
        tracks, events = [], []
        for showing, phase in zip(showings, rng.uniform(0.0, 1.0, len(showings)), strict=True):
            first, num_frames = showing.first_frame, showing.num_frames
            rounds = mean_rounds * ratios[showing.place] * num_frames / mean_frames
            phase_T = phase + rounds * np.arange(num_frames) / num_frames
            tracks.extend(_tracks(actors, course, phase_T, showing, setting.num_frames))
            event = event_in(canvas, "plays", showing.place, first, first + num_frames)
            speed = 1000 * rounds / (event.end_ms - event.start_ms)  # rounds a second
            events.append(replace(event, detail=f"{speed:.3f}"))
        names = [actor.name for actor in actors]
        return MotionClip(
            tracks, events, {"names": names, "layout": layout, "mode": mode, "places": places, "options": options}
        )

    def text(self, facts: Facts) -> str:
        a, b = facts["places"]
        return self.wordings_of(facts)[facts["wording"]].format(a=a, b=b)

    def logged(self, events: Sequence[Event], facts: Facts) -> float:
        """Return how many times as fast the first place is as the second."""
        speeds = {event.subject: float(event.detail) for event in events}
        one, other = facts["places"]
        return speeds[one] / speeds[other]

    def seen(self, witness: Witness, facts: Facts) -> float | None:
        """Follow the colors from frame to frame in either half."""
        num_frames, height, width = witness.frames_THWC.shape[:3]
        showings = {one.place: one for one in _showings(facts["layout"], width, height, num_frames)}
        parts = [showings[place].cut(witness.frames_THWC) for place in facts["places"]]
        steps_px = [[_mean_step(part, name) for part in parts] for name in facts["names"]]
        ratios = [one / other for one, other in steps_px if one is not None and other is not None]
        return float(np.median(ratios)) if ratios else None

    def answer(self, measured: float, facts: Facts) -> str:
        options: list[str] = facts["options"]
        if facts["mode"] == "times":
            return min(options, key=lambda option: abs(np.log(float(option.split()[0]) / measured)))
        if max(measured, 1 / measured) < SAME_RATIO:
            return SAME
        return f"the {facts['places'][0 if measured > 1 else 1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """Where and when the motion is shown once."""

    place: str
    panel: Panel
    first_frame: int
    num_frames: int

    def cut(self, frames_THWC: Frames) -> Frames:
        return self.panel.crop(frames_THWC)[self.first_frame : self.first_frame + self.num_frames]


def _showings(layout: str, width: int, height: int, num_frames: int) -> list[Showing]:
    if layout == "beside":
        return [
            Showing(place=panel.name, panel=panel, first_frame=0, num_frames=num_frames)
            for panel in halves(width, height)
        ]
    whole = Panel(name="frame", left=0, top=0, right=width, bottom=height)
    first, second = PLACES["after"]
    middle = num_frames // 2
    return [
        Showing(place=first, panel=whole, first_frame=0, num_frames=middle),
        Showing(place=second, panel=whole, first_frame=middle, num_frames=num_frames - middle),
    ]


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


def _choose_course(rng: np.random.Generator, canvas: Canvas, radius_px: float) -> npt.NDArray[np.float64]:
    """Choose a closed curve around the middle of the frame: (NUM_POINTS + 1, 2) px, evenly spaced along it."""
    angles = np.linspace(0, 2 * np.pi, 4 * NUM_POINTS)
    bulge = 1 + BULGE * np.cos(int(rng.integers(2, 4)) * angles + float(rng.uniform(0, 2 * np.pi)))
    reach = np.array([canvas.width, canvas.height]) / 2 - radius_px - 1
    way = choose_one(rng, (1, -1))
    curve = np.stack([np.cos(way * angles), np.sin(way * angles)], axis=1) * (bulge / (1 + BULGE))[:, None] * reach
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    even = np.linspace(0, along[-1], NUM_POINTS + 1)
    course = np.stack([np.interp(even, along, curve[:, axis]) for axis in (0, 1)], axis=1)
    return course + np.array([canvas.width, canvas.height]) / 2


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
        points = np.mod(phase_T + i / len(actors), 1.0) * NUM_POINTS
        xy_T2 = np.zeros((num_frames, 2))
        visible_T = np.zeros(num_frames, np.bool_)
        shown = slice(showing.first_frame, showing.first_frame + showing.num_frames)
        for axis, origin in enumerate((showing.panel.left, showing.panel.top)):
            xy_T2[shown, axis] = origin + np.interp(points, np.arange(NUM_POINTS + 1), course[:, axis])
        visible_T[shown] = True
        track = to_track(actor, xy_T2, wraps=False)
        tracks.append(replace(track, visible_T=visible_T, window_px=showing.panel.window_px))
    return tracks


def _mean_step(frames_THWC: Frames, name: str) -> float | None:
    """Return the mean way of a shape from one frame to the next, in px."""
    seen_T3 = followed(frames_THWC, name)
    if seen_T3 is None or len(seen_T3) < 2:
        return None
    return float(np.linalg.norm(np.diff(seen_T3[:, :2], axis=0), axis=1).mean())
