"""Which shape changes, what about it changes, and when? (SynRL, arXiv 2603.17693, short-term: attribute change.)

Colours, sizes, forms and places before and after the change are drawn alike, so a frame shows either state with the
same chance and no frame says what changed. Shapes are named by what stays: one that changes its colour by its form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, SHAPES
from temporay.operators.pixels.silhouettes import places_seen
from temporay.operators.primitives._base import CONCLUSIONS, Primitive, Twin, choose_truth
from temporay.operators.primitives._claims import Claim, Phrases, read_claims
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, place_apart
from temporay.operators.primitives.motion._stage import choose_num_frames, drawn_plan, frame_ms
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import random_parts, rng_at

ATTRIBUTES = ("color", "size", "form", "place")
ASKED = ATTRIBUTES[:3]  # of "which" and "when" questions
DECOY = {"color": "size", "size": "color", "form": "size"}  # what other shapes change, by what is asked
NUM_SHAPES_BY_LEVEL = (2, 3, 3, 4, 4)  # fewer than there are forms, so that a new form is one that nothing had
NUM_DECOYS_BY_LEVEL = (0, 0, 1, 2, 3)
EASY_LEVEL = 1  # up to it of colours that are not near each other
RADIUS = 0.16  # of the frame's shorter side, or what a cell leaves
SMALL = 0.55  # of the radius
MAX_TIMES = 4
MIN_GAP_FRAMES = 2  # between any two changes, before the first and after the last
MIN_GAP_S = 0.2  # times are told with one decimal
MAX_TIME_ERROR_S = 0.15
WORDINGS = {
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


CONCLUDING = {"change": tuple(text.format(answer="at {start} s") for text in CONCLUSIONS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The shapes as they are at first, and what none of them has yet."""

    num_shapes: int
    colors: tuple[str, ...]  # the first ones are the shapes'
    forms: tuple[str, ...]  # likewise
    large: tuple[bool, ...]
    centers: tuple[npt.NDArray[np.float64], ...]  # px; the last one is free
    radius_px: float  # of a large shape

    def name(self, i: int, attribute: str) -> str:
        """What a shape is called when it changes this attribute: by its colour if it changes its form."""
        return f"{self.colors[i]} shape" if attribute == "form" else self.forms[i]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one shape changes; from ``frame`` on it is another."""

    shape: int
    attribute: str
    frame: int
    new_color: str = ""


class AttributeChange(Primitive):
    task: ClassVar[str] = "attribute_change"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = False
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"
    phrases: ClassVar[Phrases] = {
        "change": (
            "At {start} s the {subject} changes its {d1} from {d2} to {d3}.",
            "{start} s: the {d1} of the {subject} goes from {d2} to {d3}.",
            "A change at {start} s: the {subject} has another {d1}, {d3} and no longer {d2}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"change": ("The {subject} changes its {d1} from {d2} to {d3}.",)}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_times = _num_times(canvas)
        modes = [mode for mode in WORDINGS if mode != "when" or num_times > 1]
        mode = modes[int(rng.integers(len(modes)))]
        asked = ASKED[int(rng.integers(len(ASKED)))]
        num_frames = choose_num_frames(address, canvas)
        stage = _choose_stage(rng, canvas, address.level)
        times = _choose_times(rng, canvas, num_frames, num_times)
        order = [int(i) for i in rng.permutation(stage.num_shapes)]  # the one that is asked about first
        attributes = [ATTRIBUTES[i] for i in rng.permutation(len(ATTRIBUTES))]
        facts: dict[str, Any] = {"mode": mode, "wording": int(rng.integers(len(WORDINGS[mode])))}
        if mode == "which":
            facts |= {"attribute": asked, "options": [f"the {stage.name(i, asked)}" for i in order]}
        elif mode == "what":
            facts |= {"options": [f"its {attribute}" for attribute in attributes]}
        else:
            told = [_told(frame_ms(frame, canvas)) for frame in times]
            facts |= {"attribute": asked, "name": stage.name(order[0], asked), "options": told}
        truth = choose_truth(rng, len(facts["options"]), address)
        own = asked
        if mode == "which":
            order.insert(0, order.pop(truth))
        elif mode == "what":
            own = attributes[truth]
        else:
            times.insert(0, times.pop(truth))
        num_decoys = 0 if mode == "what" else min(NUM_DECOYS_BY_LEVEL[address.level], num_times - 1)
        changes = [
            Change(
                shape=i,
                attribute=own if i == order[0] else DECOY[asked],
                frame=frame,
                new_color=stage.colors[stage.num_shapes + place],
            )
            for place, (i, frame) in enumerate(zip(order[: 1 + num_decoys], times, strict=False))
        ]
        by_shape = {change.shape: change for change in changes}
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(
                track for i in range(stage.num_shapes) for track in _tracks(stage, i, by_shape.get(i), num_frames)
            ),
            events=tuple(_event(stage, change, canvas) for change in changes),
            facts=facts,
        )

    def ask(self, plan: ScenePlan) -> Question:
        mode, options, asked = plan.facts["mode"], tuple(plan.facts["options"]), plan.facts.get("attribute", "")
        name = plan.facts.get("name", "")
        events = [e for e in plan.events if asked in ("", e.detail.split()[0]) and name in ("", e.subject)]
        if mode == "which":
            truth = f"the {events[0].subject}"
        else:
            truth = f"its {events[0].detail.split()[0]}" if mode == "what" else _told(events[0].start_ms)
        text = WORDINGS[mode][plan.facts["wording"]].format(name=name, change=f"its {asked}")
        return Question(text=text, options=options, answer_index=options.index(truth))

    def claims(self, text: str) -> list[Claim]:
        """A conclusion may have a time too, so it is a claim like the others."""
        return read_claims(text, (self.phrases, self.concise_phrases, CONCLUDING))

    def recover(self, witness: Witness) -> int | None:
        """By what the first and the last frame show at each place, and by when it is that a place changes most."""
        seen = places_seen(witness.frames_THWC)
        if seen is None:
            return None
        facts, options = witness.facts, witness.options
        asked = facts.get("attribute", "")
        found = [one for one in seen if one.changed and asked in ("", one.changed)]
        if facts["mode"] == "what":
            told = {f"its {one.changed}" for one in found}
        elif facts["mode"] == "which":
            told = {f"the {one.color} shape" if asked == "form" else f"the {one.form}" for one in found}
        else:
            own = [one for one in found if facts["name"] in (one.form, f"{one.color} shape")]
            told = {
                option
                for option in options
                for one in own
                if abs(float(option.split()[1]) - one.frame / witness.fps) < MAX_TIME_ERROR_S
            }
        return options.index(told.pop()) if len(told) == 1 and told <= set(options) else None


def _told(start_ms: float) -> str:
    return f"at {start_ms / 1000:.1f} s"


def _gap(canvas: Canvas) -> int:
    return max(MIN_GAP_FRAMES, int(np.ceil(MIN_GAP_S * canvas.fps)))


def _num_times(canvas: Canvas) -> int:
    """How many moments for a change there are in the shortest clip of the canvas."""
    return min(MAX_TIMES, 1 + (canvas.num_frames[0] - 2 * MIN_GAP_FRAMES) // _gap(canvas))


def _choose_times(rng: np.random.Generator, canvas: Canvas, num_frames: int, num_times: int) -> list[int]:
    """Frames in which a change may be, in any order, apart from each other and from the ends of the clip."""
    spare = num_frames - 2 * MIN_GAP_FRAMES - (num_times - 1) * _gap(canvas)
    extra = random_parts(rng, spare, num_times + 1)[:-1]
    frames = MIN_GAP_FRAMES + np.cumsum(extra) + _gap(canvas) * np.arange(num_times)
    return [int(frame) for frame in rng.permutation(frames)]


def _choose_stage(rng: np.random.Generator, canvas: Canvas, level: int) -> Stage:
    num_shapes = NUM_SHAPES_BY_LEVEL[level]
    palette = EASY_COLORS if level <= EASY_LEVEL else tuple(COLORS)
    radius_px = min(RADIUS * min(canvas.width, canvas.height), cell_room_px(canvas, num_shapes + 1) / CORNER)
    return Stage(
        num_shapes=num_shapes,
        colors=tuple(palette[i] for i in rng.permutation(len(palette))),
        forms=tuple(SHAPES[i] for i in rng.permutation(len(SHAPES))),
        large=tuple(bool(rng.integers(2)) for _ in range(num_shapes)),
        centers=tuple(place_apart(rng, canvas, [CORNER * radius_px] * (num_shapes + 1))),
        radius_px=radius_px,
    )


def _tracks(stage: Stage, i: int, change: Change | None, num_frames: int) -> list[Track]:
    """One shape; one that changes its form is two tracks, the second from the change on."""
    attribute, frame = ("", num_frames) if change is None else (change.attribute, change.frame)
    changed_T = np.arange(num_frames) >= frame
    sizes = (1.0, SMALL) if stage.large[i] else (SMALL, 1.0)
    away_T = changed_T & (attribute == "place")
    track = Track(
        name=f"{stage.colors[i]} {stage.forms[i]}",
        shape=stage.forms[i],
        color=COLORS[stage.colors[i]],
        radius_px=stage.radius_px,
        xy_T2=np.where(away_T[:, None], stage.centers[-1], stage.centers[i]),
        visible_T=~changed_T if attribute == "form" else np.ones(num_frames, np.bool_),
        scale_T=np.where(changed_T & (attribute == "size"), sizes[1], sizes[0]),
    )
    if change is None or attribute in ("size", "place"):
        return [track]
    if attribute == "form":
        return [track, replace(track, shape=stage.forms[stage.num_shapes], visible_T=changed_T)]
    colors_23 = np.array([track.color, COLORS[change.new_color]], np.uint8)
    return [replace(track, color_T3=colors_23[changed_T.astype(int)])]


def _event(stage: Stage, change: Change, canvas: Canvas) -> Event:
    """The change with what was and what is: "color red blue"."""
    i = change.shape
    sizes = ("large", "small") if stage.large[i] else ("small", "large")
    size = np.array([canvas.width, canvas.height])
    places = [",".join(str(int(n)) for n in np.floor(10 * stage.centers[j] / size)) for j in (i, -1)]
    before, after = {
        "color": (stage.colors[i], change.new_color),
        "size": sizes,
        "form": (stage.forms[i], stage.forms[stage.num_shapes]),
        "place": tuple(places),
    }[change.attribute]
    return Event(
        kind="change",
        subject=stage.name(i, change.attribute),
        start_ms=frame_ms(change.frame, canvas),
        end_ms=frame_ms(change.frame + 1, canvas),
        detail=f"{change.attribute} {before} {after}",
    )
