"""Which shape changes, what about it changes, and when? (SynRL, arXiv 2603.17693, short-term: attribute change).

Colors, sizes, forms and places before and after the change are chosen alike. So a frame shows either state with the
same chance, and no frame tells what changed. Shapes are named by what stays: one that changes its color by its form.

From level 2 on every shape changes, and the first to do so is asked for, or others change and change back. What changes
is the same in any order of the frames (``order_dependent`` is False), so a bag of frames answers "which" and "what":
such an attack on the true attributes is right as often as a viewer. Changes are two shown frames apart or more.
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
from temporay.operators.primitives._base import CONCLUSIONS, Facts, Inherent, choose_wording
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in, frame_ms
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, place_apart
from temporay.operators.primitives.motion._stage import EASY_LEVEL
from temporay.operators.records import Event, ScenePlan, Track
from temporay.operators.seeding import choose_one, random_cuts, shuffled

ATTRIBUTES = ("color", "size", "form", "place")
ASKED = ATTRIBUTES[:3]  # what "which" and "when" questions ask about
UNSHARED = ATTRIBUTES[:2]  # what several shapes may change: there is one new form, and two alike would have changed
DECOY = {"color": "size", "size": "color", "form": "size"}  # what other shapes change, by what is asked
NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 4)  # fewer than there are forms, so that a new form is one that nothing had
NUM_TIMES_BY_LEVEL = (3, 4, 4, 5, 7)  # moments at which something may change
FIRST_LEVEL = 2  # from this one on "which" asks for the first change
MAX_OPTIONS = 4
RADIUS = 0.16  # parts of the frame's shorter side, or what a cell leaves
SMALL = 0.55  # parts of the radius


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
    """What one shape changes; from ``frame`` on it is another, until ``end`` if it changes back."""

    shape: int
    attribute: str
    frame: int
    new_color: str
    end: int | None = None


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
    # What changed needs no order.
    inherent: ClassVar[Inherent] = {
        "what bag_of_frames": 1.0,
        "what one_number": 1.0,
        "first_and_last_frame": 0.75,
        "bag_of_frames": 0.55,
        "num_events": 0.55,
    }
    order_dependent = False
    twin = "restaged"
    gaps_by_level = tuple(2 * num_times + 1.5 for num_times in NUM_TIMES_BY_LEVEL)
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
            "Find the shape that changes {change}.",
        ),
        "first": (
            "Which shape is the first to change {change}?",
            "Several shapes change. Which one changes {change} first?",
            "Which of the shapes changes {change} before the others do?",
            "Name the shape that is the first to change {change}.",
            "Watch every shape. Which one changes {change} earliest?",
            "In the order in which the shapes change, which one changes {change} first?",
            "Which shape changes {change} before any other shape does?",
            "Find the shape that changes {change} first.",
        ),
        "what": (
            "What has changed about one of the shapes by the end of the video?",
            "Compared to the start, what is different about one of the shapes at the end?",
            "One shape is not the same at the end as at the start. What about it has changed?",
            "Compare the last picture with the first. What is different about one of the shapes?",
            "A shape may change back. What about one of the shapes is different at the end?",
            "What about one shape is changed and stays so until the end?",
            "Which attribute of a shape is not the same at the end as at the start?",
            "By the end of the video one shape differs from what it was at the start. In what?",
        ),
        "when": (
            "When does the {name} change {change}?",
            "At what time does the {name} change {change}?",
            "The {name} changes {change}. When?",
            "At which moment of the video does the {name} change {change}?",
            "At how many seconds does the {name} change {change}?",
            "Find the time at which the {name} changes {change}.",
            "Which option gives the time when the {name} changes {change}?",
            "At which of these times does the {name} change {change}?",
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
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        first = level >= FIRST_LEVEL
        mode = choose_one(rng, ("first" if first else "which", "what", "when"))
        asked = choose_one(rng, UNSHARED if mode == "first" else ASKED)
        shapes = _choose_shapes(setting)
        times = _choose_times(setting)
        order = [int(i) for i in rng.permutation(shapes.num_shapes)]  # the one asked about comes first
        attributes = shuffled(rng, ATTRIBUTES)
        facts: dict[str, Any] = {"mode": mode, "wording": choose_wording(rng, self.wordings_by_mode[mode])}
        own, others, ends = asked, [DECOY[asked]] * len(order), dict[int, int]()
        if mode in ("which", "first"):
            facts |= {"attribute": asked, "options": [f"the {shapes.name(i, asked)}" for i in order]}
            truth = setting.choose_truth(order)
            order = [truth, *(i for i in order if i != truth)]
            if first:
                others, times = [asked] * len(order), sorted(times[: len(order)])
        elif mode == "what":
            facts |= {"options": [f"its {attribute}" for attribute in attributes]}
            own = setting.choose_truth(attributes)
            others = [choose_one(rng, UNSHARED) for _ in order]
            pairs = [(min(pair), max(pair)) for pair in zip(times[1::2], times[2::2], strict=False)] if first else []
            times, ends = [times[0], *(start for start, _ in pairs)], dict(pairs)
        else:
            listed = times[:MAX_OPTIONS]
            told = [_told(frame_ms(frame, canvas) / 1000) for frame in listed]
            facts |= {"attribute": asked, "name": shapes.name(order[0], asked), "options": told}
            time = setting.choose_truth(listed)
            times = [time, *(frame for frame in listed if frame != time)]
        if not first:
            times = times[: 1 + (level if mode == "when" else 0)]
        changes = [
            Change(i, others[place] if place else own, frame, shapes.colors[shapes.num_shapes + place], ends.get(frame))
            for place, (i, frame) in enumerate(zip(order, times, strict=False))
        ]
        of_shape = {change.shape: change for change in changes}
        tracks = [_tracks(shapes, i, of_shape.get(i), setting.num_frames) for i in range(shapes.num_shapes)]
        events = [event for change in changes for event in _events(shapes, change, canvas)]
        return MotionClip([track for own_tracks in tracks for track in own_tracks], events, facts)

    def text(self, facts: Facts) -> str:
        wording = self.wordings_of(facts)[facts["wording"]]
        return wording.format(name=facts.get("name", ""), change=f"its {facts.get('attribute', '')}")

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether a frame is shown before, between and after all changes, or all times that are options."""
        options = self.options_of(plan.facts)
        asks_when = plan.facts["mode"] == "when"
        ms = sorted(1000 * _seconds(one) for one in options) if asks_when else [event.start_ms for event in plan.events]
        shown_ms = 1000.0 * np.array(frames) / plan.fps + 1e-6
        return bool(np.histogram(shown_ms, [0.0, *sorted(ms), np.inf])[0].all())

    def logged(self, events: Sequence[Event], facts: Facts) -> SeenChange:
        """Return the first change that is asked about and is not undone."""
        changes = [SeenChange(event.subject, event.detail.split()[0], event.start_ms / 1000) for event in events]
        lasting = [one for one in changes if [other.name for other in changes].count(one.name) == 1]
        return min((one for one in lasting if one.is_asked(facts)), key=lambda one: one.time_s)

    def seen(self, witness: Witness, facts: Facts) -> SeenChange | None:
        """Compare the first and the last frame at each place, and find when a place changes most."""
        num_frames = len(witness.frames_THWC)
        found: dict[str, SeenChange] = {}
        for place in places_seen(witness.frames_THWC) or ():
            name = f"{place.color} shape" if place.changed == "form" else place.form
            # A change comes between two shown frames; the last may be at the end of the clip or a step before it.
            time_s = (place.frame - 0.5) * num_frames / (num_frames - 0.5) / witness.fps
            change = SeenChange(name, place.changed, time_s)
            if place.changed and change.is_asked(facts):
                found[self.answer(change, facts)] = change
        if not found or (len(found) > 1 and facts["mode"] != "first"):
            return None
        answer, change = min(found.items(), key=lambda item: item[1].time_s)
        near = facts["mode"] != "when" or abs(_seconds(answer) - change.time_s) < 1.1 / witness.fps
        return change if near else None

    def answer(self, measured: SeenChange, facts: Facts) -> str:
        if facts["mode"] == "when":
            return min(self.options_of(facts), key=lambda option: abs(_seconds(option) - measured.time_s))
        return f"the {measured.name}" if facts["mode"] in ("which", "first") else f"its {measured.attribute}"


def _told(time_s: float) -> str:
    return f"at {time_s:.1f} s"


def _seconds(option: str) -> float:
    return float(option.split()[1])


def _choose_times(setting: Setting) -> list[int]:
    """Choose frames in which a change may be, in any order, two gaps apart and one from the ends of the clip."""
    rng, gap, count = setting.rng, setting.gap, NUM_TIMES_BY_LEVEL[setting.level]
    waits = random_cuts(rng, setting.num_frames - 2 * gap * count - 2, count + 1, 0)[:-1]
    return [int(frame) for frame in rng.permutation(gap + 1 + np.cumsum(waits) + 2 * gap * np.arange(count))]


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
    frames_T = np.arange(num_frames)
    changed_T = (frames_T >= frame) & (frames_T < (num_frames if change is None else change.end or num_frames))
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


def _events(shapes: ShapeSet, change: Change, canvas: Canvas) -> list[Event]:
    """Log a change with what was and what is, "color red blue", and its return if it is undone."""
    i = change.shape
    sizes = ("large", "small") if shapes.large[i] else ("small", "large")
    across, down = shapes.centers[-1] - shapes.centers[i]
    sides, forward = (("left", "right"), across > 0) if abs(across) > abs(down) else (("top", "bottom"), down > 0)
    states = {
        "color": (shapes.colors[i], change.new_color),
        "size": sizes,
        "form": (shapes.forms[i], shapes.forms[shapes.num_shapes]),
        "place": sides if forward else sides[::-1],
    }[change.attribute]
    turns = [(change.frame, states), *([] if change.end is None else [(change.end, states[::-1])])]
    name = shapes.name(i, change.attribute)
    return [event_in(canvas, "change", name, at, at + 1, " ".join((change.attribute, *both))) for at, both in turns]
