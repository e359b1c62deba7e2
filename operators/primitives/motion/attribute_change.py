"""Which shape changes, what about it changes, and when? (SynRL, arXiv 2603.17693, short-term: attribute change).

No single frame tells what changes. Shapes are named by what stays: one that changes its color by its form.

Up to level 1 one shape changes, or one attribute. The first and the last frame tell which, which is inherent, and so
does a bag of frames. From level 2 on every shape has changed by the end, each the same attribute or each another one,
and the first change is asked for. From level 3 on some shapes change, change back and change again. Only their last
change counts. Changes are two shown frames apart or more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.silhouettes import places_seen
from temporay.operators.primitives._base import CONCLUSIONS, Facts, Inherent, Phrases, by_start
from temporay.operators.primitives._plan import frame_ms
from temporay.operators.primitives.motion._changes import ATTRIBUTES, Change, choose_shapes, events_of, tracks_of
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting, shown_between
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, random_cuts, shuffled

ASKED = ATTRIBUTES[:3]  # what "which" and "when" questions ask about
UNSHARED = ATTRIBUTES[:2]  # what several shapes may change: there is one new form, and two alike would have changed
DECOY = {"color": "size", "size": "color", "form": "size"}  # what other shapes change, by what is asked
NUM_UNDONE_BY_LEVEL = (0, 0, 0, 1, 2)  # shapes that undo a change before they change for good
NUM_TIMES_BY_LEVEL = (3, 4, 4, 6, 8)  # moments at which something may change
FIRST_LEVEL = 2  # from this one on the first change is asked for
FIRST = {"which": "first", "what": "first what"}  # modes by those of lower levels
MAX_OPTIONS = 4


@dataclass(frozen=True, slots=True)
class SeenChange:
    """A change as the log or the frames show it."""

    name: str  # what the shape is called, by what stays
    attribute: str
    time_s: float

    def is_asked(self, facts: Facts) -> bool:
        """Return whether the question is about this attribute and this shape, as far as it names them."""
        return (facts.get("attribute", self.attribute), facts.get("name", self.name)) == (self.attribute, self.name)


class AttributeChange(DrawnMotion[SeenChange]):
    """Question about which shape changes, what about it, or when."""

    task = "attribute_change"
    # What changed needs no order, and a way tells a change of place. Two moments show what changes between them, in at
    # most half of the cases. Which change is the first is told by order alone: a bag of frames fits an order and its
    # reverse. Two moments leave over what has not changed between them.
    inherent: ClassVar[Inherent] = {
        **{f"{mode} first_and_last_frame": 1.0 for mode in FIRST},
        **{f"{mode} bag_of_frames": 1.0 for mode in FIRST},
        "which any_two_frames": 0.75,
        "what any_two_frames": 0.63,
        "what one_number": 0.5,
        **{f"{mode} any_two_frames": 0.4 for mode in FIRST.values()},
        **{f"{mode} bag_of_frames": 0.55 for mode in FIRST.values()},
    }
    order_dependent = False
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
            "One of the shapes changes. What about it?",
            "What about one shape is changed and stays so until the end?",
            "Which attribute of a shape is not the same at the end as at the start?",
            "By the end of the video one shape differs from what it was at the start. In what?",
        ),
        "first what": (
            "What about one of the shapes changes first?",
            "The shapes change one after the other, each in another way. What changes first?",
            "Which attribute of a shape is the first to change?",
            "Each shape changes something else about itself. What is changed first?",
            "Watch every shape. What about one of them changes earliest?",
            "In the order in which the shapes change, what changes first?",
            "What about a shape changes before anything else about the others does?",
            "Several things change about the shapes. Which of them changes first?",
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
        mode = choose_one(rng, ("which", "what", "when"))
        mode = FIRST.get(mode, mode) if level >= FIRST_LEVEL else mode
        asked = choose_one(rng, UNSHARED if mode == "first" else ASKED)
        shapes = choose_shapes(setting)
        times = _choose_times(setting)
        order = [int(i) for i in rng.permutation(shapes.num_shapes)]  # the one asked about comes first
        attributes = shuffled(rng, ATTRIBUTES)
        facts = self.worded({"mode": mode}, setting)
        changed = [asked, *[DECOY[asked]] * (len(order) - 1)]
        if mode in ("which", "first"):
            facts |= {"attribute": asked, "options": [f"the {shapes.name(i, asked)}" for i in order]}
            truth = setting.choose_truth(order)
            order = [truth, *(i for i in shuffled(rng, order) if i != truth)]
            changed = [asked] * len(order)
        elif mode in ("what", "first what"):
            offered = attributes[: len(order)] if mode == "first what" else attributes
            facts |= {"options": [f"its {attribute}" for attribute in offered]}
            own = setting.choose_truth(offered)
            changed = [own, *(attribute for attribute in shuffled(rng, offered) if attribute != own)]
        else:
            listed = times[:MAX_OPTIONS]
            told = [_told(frame_ms(frame, canvas) / 1000) for frame in listed]
            facts |= {"attribute": asked, "name": shapes.name(order[0], asked), "options": told}
            time = setting.choose_truth(listed)
            times = [time, *(frame for frame in listed if frame != time)]
        facts["undone"] = NUM_UNDONE_BY_LEVEL[level] if mode in FIRST.values() else 0
        if mode in FIRST.values():
            frames = _choose_turns(rng, times, len(order), facts["undone"])
        else:
            frames = [[time] for time in times[: 1 + (level if mode == "when" else 0)]]
        changes = [Change(*one) for one in zip(order, changed, frames, shapes.new_colors[: len(order)], strict=False)]
        of_shape = {change.shape: change for change in changes}
        tracks = [tracks_of(shapes, i, of_shape.get(i), setting.num_frames) for i in range(shapes.num_shapes)]
        events = [event for change in changes for event in events_of(shapes, change, canvas)]
        return MotionClip([track for own_tracks in tracks for track in own_tracks], events, facts)

    def text(self, facts: Facts) -> str:
        note = " A change that is undone does not count." if facts["undone"] else ""
        return super().text({"name": "", **facts, "change": f"its {facts.get('attribute', '')}"}) + note

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether a frame is shown before, between and after all changes, or all times that are options."""
        options = self.options_of(plan.facts)
        asks_when = plan.facts["mode"] == "when"
        ms = [1000 * _seconds(one) for one in options] if asks_when else [event.start_ms for event in plan.events]
        return bool(shown_between(plan, frames, [0.0, *sorted(ms), np.inf]).all())

    def logged(self, events: Sequence[Event], facts: Facts) -> SeenChange:
        """Return the first change that is asked about and lasts: the last one of its shape."""
        lasting = {event.subject: event for event in by_start(events)}
        changes = [SeenChange(name, event.detail.split()[0], event.start_ms / 1000) for name, event in lasting.items()]
        return min((one for one in changes if one.is_asked(facts)), key=lambda one: one.time_s)

    def seen(self, witness: Witness, facts: Facts) -> SeenChange | None:
        """Compare the first and the last frame at each place, and find the last change of each place."""
        num_frames = len(witness.frames_THWC)
        found: dict[str, SeenChange] = {}
        for place in places_seen(witness.frames_THWC) or ():
            name = f"{place.color} shape" if place.changed == "form" else place.form
            # A change comes between two shown frames; the last may be at the end of the clip or a step before it.
            time_s = (place.frame - 0.5) * num_frames / (num_frames - 0.5) / witness.fps
            change = SeenChange(name, place.changed, time_s)
            if place.changed and change.is_asked(facts):
                found[self.answer(change, facts)] = change
        if not found or (len(found) > 1 and facts["mode"] not in FIRST.values()):
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


def _choose_turns(rng: np.random.Generator, times: Sequence[int], count: int, num_undone: int) -> list[list[int]]:
    """Deal moments out to shapes: three to those that undo a change, one to others. The first to change for good leads.

    It is one that undid a change as often as any other shape is. A sequence comes as often as its reverse. So the
    states that a bag of frames shows do not tell one from the other.
    """
    owners = np.repeat(np.arange(count), [3] * num_undone + [1] * (count - num_undone))
    share = rng.uniform()
    wanted = [share < num_undone / count, share >= 1 - num_undone / count]
    whose, leads = owners, list[bool]()
    while leads != wanted:
        whose = rng.permutation(owners)
        leads = [_first_for_good(order) < num_undone for order in (whose, whose[::-1])]
    moments = np.array(sorted(times[: len(whose)]))
    return sorted((moments[whose == i].tolist() for i in range(count)), key=lambda frames: frames[-1])


def _first_for_good(whose: npt.NDArray[np.int64]) -> int:
    """Return whose last moment is the earliest."""
    last: dict[int, int] = {i: moment for moment, i in enumerate(whose.tolist())}
    return min(last, key=last.__getitem__)


def _choose_times(setting: Setting) -> list[int]:
    """Choose frames in which a change may be, in any order, two gaps apart and one from the ends of the clip."""
    rng, gap, count = setting.rng, setting.gap, NUM_TIMES_BY_LEVEL[setting.level]
    waits = random_cuts(rng, setting.num_frames - 2 * gap * count - 2, count + 1, 0)[:-1]
    return [int(frame) for frame in rng.permutation(gap + 1 + np.cumsum(waits) + 2 * gap * np.arange(count))]
