"""The same motion twice in one clip, at two speeds: which is faster, or how many times? (RSPNet, arXiv 2011.07949.)

Shapes chase each other around one closed course, shown in both halves of the picture or in both halves of the clip.
Where they are on the course at first is drawn evenly over it for each half, so no frame tells a speed, and the mean of
both speeds is drawn apart from the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, follow
from temporay.operators.primitives._base import Primitive, Twin, choose_truth
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._panels import Panel, halves
from temporay.operators.primitives.motion._stage import (
    Actor,
    choose_actors,
    choose_num_frames,
    color_of,
    drawn_plan,
    frame_ms,
    to_track,
)
from temporay.operators.records import Address, Event, Frames, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

NUM_SHAPES_BY_LEVEL = (1, 1, 2, 2, 3)
MIN_RATIO_BY_LEVEL = (3.0, 2.5, 2.2, 1.9, 1.6)  # of the two speeds, when asked which is faster
RATIOS_BY_LEVEL = (  # when asked how many times
    (1.5, 4.0),
    (1.5, 3.0),
    (1.5, 2.5, 4.0),
    (1.5, 2.0, 3.0, 4.0),
    (1.25, 1.75, 2.5, 3.5),
)
SAME_RATIO = 1.2  # speeds nearer than this are the same
PLACES = {"beside": ("left half", "right half"), "after": ("first half", "second half")}
ROUNDS = {"beside": (0.35, 0.8), "after": (0.2, 0.45)}  # of the course in each half, geometric mean of both
BULGE = 0.2  # how far the course is from an ellipse
NUM_POINTS = 256  # of the course
SAME = "both at the same speed"
WORDINGS = {
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


class PlaybackSpeed(Primitive):
    task: ClassVar[str] = "playback_speed"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"
    phrases: ClassVar[Phrases] = {
        "plays": (
            "From {start} s to {end} s the {subject} plays {detail} rounds a second.",
            "Between {start} s and {end} s there are {detail} rounds a second in the {subject}.",
            "{start} s to {end} s: the motion in the {subject} makes {detail} rounds a second.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"plays": ("In the {subject} {detail} rounds a second.",)}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        layout = ("beside", "after")[int(rng.integers(2))]
        mode = ("which", "times")[int(rng.integers(2))]
        places = [PLACES[layout][i] for i in rng.permutation(2)]  # of "times", the faster one first
        options = _options(mode, PLACES[layout], address.level)
        options = [options[i] for i in rng.permutation(len(options))]
        truth = options[choose_truth(rng, len(options), address)]
        num_frames = choose_num_frames(address, canvas)
        ratio = MIN_RATIO_BY_LEVEL[address.level] * float(rng.uniform(1.0, 1.2))
        mean_rounds = float(np.exp(rng.uniform(*np.log(ROUNDS[layout]))))
        ratios = _speed_ratios(truth, places, ratio)
        shown = _shown(layout, canvas, num_frames)
        own = shown[0].panel.canvas(canvas)
        actors = choose_actors(rng, own, NUM_SHAPES_BY_LEVEL[address.level], address.level)
        course = _choose_course(rng, own, max(actor.radius_px for actor in actors))
        phase_starts = rng.uniform(0.0, 1.0, len(shown))
        tracks, events = [], []
        for part, start in zip(shown, phase_starts, strict=True):
            rounds = mean_rounds * ratios[part.place] * part.num_frames / _mean_length(shown)
            phase_T = start + rounds * np.arange(part.num_frames) / part.num_frames
            tracks.extend(_tracks(actors, course, phase_T, part, num_frames))
            start_ms = frame_ms(part.first_frame, canvas)
            end_ms = frame_ms(part.first_frame + part.num_frames, canvas)
            detail = f"{1000 * rounds / (end_ms - start_ms):.3f}"  # rounds a second
            events.append(Event(kind="plays", subject=part.place, start_ms=start_ms, end_ms=end_ms, detail=detail))
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks),
            events=tuple(events),
            facts={
                "names": [actor.name for actor in actors],
                "layout": layout,
                "mode": mode,
                "places": places,
                "options": options,
                "wording": int(rng.integers(len(WORDINGS[mode]))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        speeds = {event.subject: float(event.detail) for event in plan.events if event.kind == "plays"}
        one, other = plan.facts["places"]
        options = tuple(plan.facts["options"])
        return Question(
            text=WORDINGS[plan.facts["mode"]][plan.facts["wording"]].format(a=one, b=other),
            options=options,
            answer_index=_answer(speeds[one] / speeds[other], (one, other), options),
        )

    def recover(self, witness: Witness) -> int | None:
        """By how far the colours get from frame to frame in either half."""
        one, other = witness.facts["places"]
        parts = _parts(witness.frames_THWC, witness.facts["layout"])
        ratios = []
        for name in witness.facts["names"]:
            color = color_of(name)
            steps_px = [None if color is None else _mean_step(parts[place], color) for place in (one, other)]
            if steps_px[0] is not None and steps_px[1] is not None:
                ratios.append(steps_px[0] / steps_px[1])
        return _answer(float(np.median(ratios)), (one, other), witness.options) if ratios else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where and when the motion is shown once."""

    place: str
    panel: Panel
    first_frame: int
    num_frames: int


def _options(mode: str, places: tuple[str, str], level: int) -> list[str]:
    if mode == "which":
        return [f"the {places[0]}", f"the {places[1]}", SAME]
    return [_times(ratio) for ratio in RATIOS_BY_LEVEL[level]]


def _times(ratio: float) -> str:
    return f"{ratio:g} times as fast"


def _speed_ratios(truth: str, places: list[str], ratio: float) -> dict[str, float]:
    """Speed of both places over the geometric mean of both, for this answer."""
    one, other = places
    if truth == SAME:
        ratio = 1.0
    elif truth.endswith(" times as fast"):
        ratio = float(truth.split()[0])
    elif truth == f"the {other}":
        ratio = 1 / ratio
    return {one: ratio**0.5, other: ratio**-0.5}


def _answer(ratio: float, places: tuple[str, str], options: tuple[str, ...]) -> int:
    """Which option is true when the first place is this many times as fast as the second."""
    if SAME not in options:
        return int(np.argmin([abs(np.log(float(option.split()[0]) / ratio)) for option in options]))
    if max(ratio, 1 / ratio) < SAME_RATIO:
        return options.index(SAME)
    return options.index(f"the {places[0] if ratio > 1 else places[1]}")


def _shown(layout: str, canvas: Canvas, num_frames: int) -> list[Part]:
    if layout == "beside":
        return [
            Part(place=panel.name, panel=panel, first_frame=0, num_frames=num_frames)
            for panel in halves(canvas.width, canvas.height)
        ]
    whole = Panel(name="frame", left=0, top=0, right=canvas.width, bottom=canvas.height)
    first, second = PLACES["after"]
    middle = num_frames // 2
    return [
        Part(place=first, panel=whole, first_frame=0, num_frames=middle),
        Part(place=second, panel=whole, first_frame=middle, num_frames=num_frames - middle),
    ]


def _mean_length(shown: list[Part]) -> float:
    return sum(part.num_frames for part in shown) / len(shown)


def _parts(frames_THWC: Frames, layout: str) -> dict[str, Frames]:
    if layout == "beside":
        return {panel.name: panel.crop(frames_THWC) for panel in halves(frames_THWC.shape[2], frames_THWC.shape[1])}
    middle = len(frames_THWC) // 2
    first, second = PLACES["after"]
    return {first: frames_THWC[:middle], second: frames_THWC[middle:]}


def _choose_course(rng: np.random.Generator, canvas: Canvas, radius_px: float) -> npt.NDArray[np.float64]:
    """A closed curve around the middle of the frame, (NUM_POINTS + 1, 2) px, its points evenly spaced along it."""
    angles = np.linspace(0, 2 * np.pi, 4 * NUM_POINTS)
    bulge = 1 + BULGE * np.cos(int(rng.integers(2, 4)) * angles + float(rng.uniform(0, 2 * np.pi)))
    reach = np.array([canvas.width, canvas.height]) / 2 - radius_px - 1
    way = (1, -1)[int(rng.integers(2))]
    curve = np.stack([np.cos(way * angles), np.sin(way * angles)], axis=1) * (bulge / (1 + BULGE))[:, None] * reach
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    even = np.linspace(0, along[-1], NUM_POINTS + 1)
    course = np.stack([np.interp(even, along, curve[:, axis]) for axis in (0, 1)], axis=1)
    course_N2: npt.NDArray[np.float64] = course + np.array([canvas.width, canvas.height]) / 2
    return course_N2


def _tracks(
    actors: list[Actor], course: npt.NDArray[np.float64], phase_T: npt.NDArray[np.float64], part: Part, num_frames: int
) -> list[Track]:
    """The shapes evenly spaced along the course, where and while this part is shown."""
    tracks = []
    for i, actor in enumerate(actors):
        points = np.mod(phase_T + i / len(actors), 1.0) * NUM_POINTS
        xy_T2 = np.zeros((num_frames, 2))
        visible_T = np.zeros(num_frames, np.bool_)
        shown = slice(part.first_frame, part.first_frame + part.num_frames)
        for axis, origin in enumerate((part.panel.left, part.panel.top)):
            xy_T2[shown, axis] = origin + np.interp(points, np.arange(NUM_POINTS + 1), course[:, axis])
        visible_T[shown] = True
        tracks.append(replace(to_track(actor, xy_T2, wraps=False), visible_T=visible_T, window_px=part.panel.window_px))
    return tracks


def _mean_step(frames_THWC: Frames, color: tuple[int, int, int]) -> float | None:
    """Mean way of a colour from one frame to the next, in px."""
    xy_T2 = follow(frames_THWC, color)[:, :2]
    lengths = np.linalg.norm(np.diff(xy_T2, axis=0), axis=1)
    return float(lengths.mean()) if len(lengths) and not np.isnan(lengths).any() else None
