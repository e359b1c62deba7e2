"""Which shape changes, what about it changes, and when? (SynRL, arXiv 2603.17693, short-term: attribute change).

Colors, sizes, forms and places before and after the change are chosen alike. So a frame shows either state with the
same chance, and no frame tells what changed. Shapes are named by what stays: one that changes its color by its form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, SHAPES
from temporay.operators.pixels.silhouettes import places_seen
from temporay.operators.primitives._base import CONCLUSIONS, Facts, choose_wording
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in, frame_ms
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, place_apart
from temporay.operators.primitives.motion._stage import EASY_LEVEL
from temporay.operators.records import Event, Track
from temporay.operators.seeding import choose_one, random_parts, shuffled

ATTRIBUTES = ("color", "size", "form", "place")
ASKED = ATTRIBUTES[:3]  # what "which" and "when" questions ask about
DECOY = {"color": "size", "size": "color", "form": "size"}  # what other shapes change, by what is asked
NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 4)  # fewer than there are forms, so that a new form is one that nothing had
NUM_DECOYS_BY_LEVEL = (0, 0, 1, 2, 3)
RADIUS = 0.16  # parts of the frame's shorter side, or what a cell leaves
SMALL = 0.55  # parts of the radius
MAX_TIMES = 4
MIN_GAP_FRAMES = 2  # between any two changes, before the first and after the last
MIN_GAP_S = 0.2  # times are told with one decimal
MAX_TIME_ERROR_S = 0.15


@dataclass(frozen=True, slots=True)
class SeenChange:
    """A change as the log or the frames show it."""

    name: str  # what the shape is called, by what stays
    attribute: str
    time_s: float

    def is_asked(self, facts: Facts) -> bool:
        """Return whether the question is about this attribute and this shape, as far as it names them."""
        return (facts.get("attribute", self.attribute), facts.get("name", self.name)) == (self.attribute, self.name)


@dataclass(frozen=True, slots=True)
class Change:
    """What one shape changes; from ``frame`` on it is another."""

    shape: int
    attribute: str
    frame: int
    new_color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSet:
    """The shapes as they are at first, and what none of them has yet."""

    num_shapes: int
    colors: tuple[str, ...]  # the first ones are the shapes'
    forms: tuple[str, ...]  # the first ones are the shapes'
    large: tuple[bool, ...]
    centers: tuple[npt.NDArray[np.float64], ...]  # px; the last one is free
    radius_px: float  # radius of a large shape

    def name(self, i: int, attribute: str) -> str:
        """Return what a shape is called when it changes this attribute: by its color if it changes its form."""
        return f"{self.colors[i]} shape" if attribute == "form" else self.forms[i]


class AttributeChange(DrawnMotion[SeenChange]):
    """Question about which shape changes, what about it, or when."""

    task = "attribute_change"
    order_dependent = False
    twin = "restaged"
    concluding: ClassVar[Phrases] = {"change": tuple(text.format(answer="at {start} s") for text in CONCLUSIONS)}

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "which": (
            "Which shape changes {change}?",
            "One of the shapes changes {change}. Which one?",
            "Which of the shapes has changed {change} by the end?",
            "Name the shape that changes {change}.",
            "Compared to the start, which shape has changed {change}?",
            "Watch every shape. Which one changes {change}?",
            "Which shape ends the video with {change} changed?",
            "Find the shape for which {change} is another one at the end.",
        ),
        "what": (
            "What changes about one of the shapes?",
            "One shape changes during the video. What about it changes?",
            "Which attribute of a shape changes?",
            "A shape is not the same at the end as at the start. In what does it differ?",
            "Compared to the start, what is different about one of the shapes at the end?",
            "Which of these does one of the shapes change?",
            "Something changes in the video. What is it that the shape changes?",
            "Name the attribute that does not stay the same.",
        ),
        "when": (
            "When does the {name} change {change}?",
            "At what time does the {name} change {change}?",
            "The {name} changes {change}. When?",
            "At which moment of the video does the {name} change {change}?",
            "How far into the video does the {name} change {change}?",
            "Find the time at which the {name} changes {change}.",
            "Which option gives the time when the {name} changes {change}?",
            "Locate the moment in which the {name} changes {change}.",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "change": (
            "At {start} s the {subject} changes its {d1} from {d2} to {d3}.",
            "{start} s: the {d1} of the {subject} goes from {d2} to {d3}.",
            "A change at {start} s: the {subject} has another {d1}, {d3} and no longer {d2}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"change": ("The {subject} changes its {d1} from {d2} to {d3}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas = setting.rng, setting.canvas
        num_times = _num_times(canvas)
        mode = choose_one(rng, [mode for mode in self.wordings_by_mode if mode != "when" or num_times > 1])
        asked = choose_one(rng, ASKED)
        shapes = _choose_shapes(setting)
        times = _choose_times(rng, canvas, setting.num_frames, num_times)
        order = [int(i) for i in rng.permutation(shapes.num_shapes)]  # the one asked about comes first
        attributes = shuffled(rng, ATTRIBUTES)
        facts: dict[str, Any] = {"mode": mode, "wording": choose_wording(rng, self.wordings_by_mode[mode])}
        num_decoys, own = min(NUM_DECOYS_BY_LEVEL[setting.level], num_times - 1), asked
        if mode == "which":
            facts |= {"attribute": asked, "options": [f"the {shapes.name(i, asked)}" for i in order]}
            truth = setting.choose_truth(order)
            order = [truth, *(i for i in order if i != truth)]
        elif mode == "what":
            facts |= {"options": [f"its {attribute}" for attribute in attributes]}
            own, num_decoys = setting.choose_truth(attributes), 0
        else:
            told = [_told(frame_ms(frame, canvas) / 1000) for frame in times]
            facts |= {"attribute": asked, "name": shapes.name(order[0], asked), "options": told}
            time = setting.choose_truth(times)
            times = [time, *(frame for frame in times if frame != time)]
        changes = {
            i: Change(i, own if place == 0 else DECOY[asked], frame, shapes.colors[shapes.num_shapes + place])
            for place, (i, frame) in enumerate(zip(order[: 1 + num_decoys], times, strict=False))
        }
        tracks = [_tracks(shapes, i, changes.get(i), setting.num_frames) for i in range(shapes.num_shapes)]
        events = [_event(shapes, change, canvas) for change in changes.values()]
        return MotionClip([track for own_tracks in tracks for track in own_tracks], events, facts)

    def text(self, facts: Facts) -> str:
        wording = self.wordings_of(facts)[facts["wording"]]
        return wording.format(name=facts.get("name", ""), change=f"its {facts.get('attribute', '')}")

    def logged(self, events: Sequence[Event], facts: Facts) -> SeenChange:
        changes = [SeenChange(event.subject, event.detail.split()[0], event.start_ms / 1000) for event in events]
        return next(change for change in changes if change.is_asked(facts))

    def seen(self, witness: Witness, facts: Facts) -> SeenChange | None:
        """Compare the first and the last frame at each place, and find when a place changes most."""
        found = {}
        for place in places_seen(witness.frames_THWC) or ():
            name = f"{place.color} shape" if place.changed == "form" else place.form
            change = SeenChange(name, place.changed, place.frame / witness.fps)
            if place.changed and change.is_asked(facts):
                found[self.answer(change, facts)] = change
        if len(found) != 1:
            return None
        [(answer, change)] = found.items()
        near = facts["mode"] != "when" or abs(_seconds(answer) - change.time_s) < MAX_TIME_ERROR_S
        return change if near else None

    def answer(self, measured: SeenChange, facts: Facts) -> str:
        if facts["mode"] == "when":
            return min(self.options_of(facts), key=lambda option: abs(_seconds(option) - measured.time_s))
        return f"the {measured.name}" if facts["mode"] == "which" else f"its {measured.attribute}"


def _told(time_s: float) -> str:
    return f"at {time_s:.1f} s"


def _seconds(option: str) -> float:
    return float(option.split()[1])


def _gap(canvas: Canvas) -> int:
    return max(MIN_GAP_FRAMES, int(np.ceil(MIN_GAP_S * canvas.fps)))


def _num_times(canvas: Canvas) -> int:
    """Return how many moments for a change there are in the shortest clip of the canvas."""
    return min(MAX_TIMES, 1 + (canvas.num_frames[0] - 2 * MIN_GAP_FRAMES) // _gap(canvas))


def _choose_times(rng: np.random.Generator, canvas: Canvas, num_frames: int, num_times: int) -> list[int]:
    """Choose frames in which a change may be, in any order, apart from each other and from the ends of the clip."""
    spare = num_frames - 2 * MIN_GAP_FRAMES - (num_times - 1) * _gap(canvas)
    extra = random_parts(rng, spare, num_times + 1)[:-1]
    frames = MIN_GAP_FRAMES + np.cumsum(extra) + _gap(canvas) * np.arange(num_times)
    return [int(frame) for frame in rng.permutation(frames)]


def _choose_shapes(setting: Setting) -> ShapeSet:
    rng, canvas, num_shapes = setting.rng, setting.canvas, NUM_SHAPES_BY_LEVEL[setting.level]
    palette = EASY_COLORS if setting.level <= EASY_LEVEL else tuple(COLORS)
    radius_px = min(RADIUS * setting.side_px, cell_room_px(canvas, num_shapes + 1) / CORNER)
    return ShapeSet(
        num_shapes=num_shapes,
        colors=tuple(shuffled(rng, palette)),
        forms=tuple(shuffled(rng, SHAPES)),
        large=tuple(bool(rng.integers(2)) for _ in range(num_shapes)),
        centers=tuple(place_apart(rng, canvas, [CORNER * radius_px] * (num_shapes + 1))),
        radius_px=radius_px,
    )


def _tracks(shapes: ShapeSet, i: int, change: Change | None, num_frames: int) -> list[Track]:
    """Return the track of a shape; one that changes its form has two, the second from the change on."""
    attribute, frame = ("", num_frames) if change is None else (change.attribute, change.frame)
    changed_T = np.arange(num_frames) >= frame
    sizes = (1.0, SMALL) if shapes.large[i] else (SMALL, 1.0)
    away_T = changed_T & (attribute == "place")
    track = Track(
        name=f"{shapes.colors[i]} {shapes.forms[i]}",
        shape=shapes.forms[i],
        color=COLORS[shapes.colors[i]],
        radius_px=shapes.radius_px,
        xy_T2=np.where(away_T[:, None], shapes.centers[-1], shapes.centers[i]),
        visible_T=~changed_T if attribute == "form" else np.ones(num_frames, np.bool_),
        scale_T=np.where(changed_T & (attribute == "size"), sizes[1], sizes[0]),
    )
    if change is None or attribute in ("size", "place"):
        return [track]
    if attribute == "form":
        return [track, replace(track, shape=shapes.forms[shapes.num_shapes], visible_T=changed_T)]
    colors_23 = np.array([track.color, COLORS[change.new_color]], np.uint8)
    return [replace(track, color_T3=colors_23[changed_T.astype(int)])]


def _event(shapes: ShapeSet, change: Change, canvas: Canvas) -> Event:
    """Log a change with what was and what is: "color red blue"."""
    i = change.shape
    sizes = ("large", "small") if shapes.large[i] else ("small", "large")
    size = np.array([canvas.width, canvas.height])
    places = [",".join(str(int(n)) for n in np.floor(10 * shapes.centers[j] / size)) for j in (i, -1)]
    before, after = {
        "color": (shapes.colors[i], change.new_color),
        "size": sizes,
        "form": (shapes.forms[i], shapes.forms[shapes.num_shapes]),
        "place": tuple(places),
    }[change.attribute]
    detail = f"{change.attribute} {before} {after}"
    return event_in(canvas, "change", shapes.name(i, change.attribute), change.frame, change.frame + 1, detail)
