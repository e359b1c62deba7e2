"""Read what changes about shapes, and from when to when a shape does something."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from temporay.operators.audit.ideal_states import Doubles, Thing, Watched
from temporay.operators.audit.readings.reading import OptionScores, Shown
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Primitive

SECONDS = re.compile(r"\d+\.\d+")
WHITE = np.array(COLORS["white"]) / 255.0
SAME = 1e-6  # looks that differ by less are the same
NEVER_S = 1e3
TOLD_S = 0.05  # options tell times to a tenth of a second


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChange:
    """A change between two of the frames shown. It is half-way between them; without times, their order is its time."""

    name: str  # what the shape is called, by what stays
    attribute: str
    time_s: float
    lasts: bool  # the last frame shown still differs from the first

    def is_asked(self, facts: Facts) -> bool:
        """Return whether the question is about this attribute and this shape, as far as it names them."""
        return (facts.get("attribute", self.attribute), facts.get("name", self.name)) == (self.attribute, self.name)

    def makes_right(self, option: str) -> bool:
        return option in (f"the {self.name}", f"its {self.attribute}")


def read_changes(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score options by the changes between the frames shown: any, one that lasts, and how early it lasts from."""
    facts, options = watched.plan.facts, watched.row["options"]
    changes = [one for thing in watched.things for one in _changes(thing, watched, shown) if one.is_asked(facts)]
    if facts["mode"] == "when":
        return _at_times(changes, watched, shown) if shown.ordered else {}
    of_option = [[one for one in changes if one.makes_right(option)] for option in options]
    scores = {"changes": [float(bool(own)) for own in of_option]}
    if shown.ordered:
        lasting = [[one.time_s for one in own if one.lasts] for own in of_option]
        scores |= {
            "lasting changes": [float(bool(times_s)) for times_s in lasting],
            "early changes": [-max(times_s, default=NEVER_S) for times_s in lasting],
        }
    return scores


def _looks(thing: Thing) -> dict[str, Doubles]:
    return {"color": thing.color_T3, "size": thing.size_T[:, None], "form": thing.kind_T[:, None], "place": thing.xy_T2}


def _changes(thing: Thing, watched: Watched, shown: Shown) -> Iterator[ShownChange]:
    """Yield the changes of one thing; of a bag, one for each attribute that has several values."""
    color, form = thing.names[0].split(" ", 1)
    at = np.array(shown.frames)
    for attribute, looks in _looks(thing).items():
        differs = np.flatnonzero((np.abs(np.diff(looks[at], axis=0)) > SAME).any(axis=1))
        lasts = bool((np.abs(looks[at[-1]] - looks[at[0]]) > SAME).any())
        for n in differs if shown.ordered else differs[:1]:
            time_s = float(at[n] + at[n + 1] + 1) / 2 / watched.plan.fps if shown.timed else float(n)
            name = f"{color} shape" if attribute == "form" else form
            yield ShownChange(name=name, attribute=attribute, time_s=time_s, lasts=lasts)


def _at_times(changes: Sequence[ShownChange], watched: Watched, shown: Shown) -> OptionScores:
    """Score times by whether the frames before and after the one change that is asked about allow them."""
    options_s = [float(option.split()[1]) for option in watched.row["options"]]
    if not shown.timed:
        return {"possible": [1.0] * len(options_s), "near": [0.0] * len(options_s)}
    shown_s = np.array(shown.frames) / watched.plan.fps
    if changes:
        time_s = changes[0].time_s
        after = int(np.searchsorted(shown_s, time_s))
        start_s, end_s = shown_s[after - 1], shown_s[min(after, len(shown_s) - 1)]
        possible = [start_s - TOLD_S < one <= end_s + TOLD_S for one in options_s]
        near = [-abs(one - end_s) for one in options_s]
    else:
        possible = [not shown_s[0] + TOLD_S < one <= shown_s[-1] - TOLD_S for one in options_s]
        near = [0.0] * len(options_s)
    return {"possible": [float(one) for one in possible], "near": near}


def read_spans(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score spans by the share of frames shown in which the shape acts inside, and rests outside."""
    spans_s = [[float(time) for time in SECONDS.findall(option)] for option in watched.row["options"]]
    acting = _acting(watched, shown) if shown.timed else {}
    agrees = []
    for start_s, end_s in spans_s:
        inside = {f: start_s - TOLD_S <= f / watched.plan.fps < end_s - TOLD_S for f in acting}
        agrees.append(float(np.mean([acts == inside[f] for f, acts in acting.items()])) if acting else 0.5)
    return {"agreeing frames": agrees}


def _acting(watched: Watched, shown: Shown) -> dict[int, bool]:
    """Return in which frames the shape is seen to act, and in which it is seen to rest; others are left out."""
    facts, last = watched.plan.facts, shown.num_frames - 1
    thing = next(one for one in watched.things if facts["name"] in one.names)
    state, frames = facts["state"], shown.frames
    if state == "visible":
        return {frame: bool(thing.visible_T[frame]) for frame in frames}
    if state == "gray":
        has_hue_T = np.ptp(thing.color_T3, axis=1) > SAME
        is_gray_T = ~has_hue_T & (np.abs(thing.color_T3 - WHITE).max(axis=1) > SAME)
        return {frame: bool(is_gray_T[frame]) for frame in frames}
    angle_T = 2 * np.pi * thing.angle_T
    looks = np.column_stack([thing.xy_T2, thing.size_T, np.cos(angle_T), np.sin(angle_T)])
    ends = [frame for frame in frames if frame in (0, last)]
    if ends:  # all shapes rest at both ends of the clip
        return {frame: bool((np.abs(looks[frame] - looks[ends[0]]) > SAME).any()) for frame in frames}
    if state == "small":
        largest = max(thing.size_T[frame] for frame in frames)
        small = {frame: bool(thing.size_T[frame] < largest - SAME) for frame in frames}
        return small if any(small.values()) else {}
    # What moves or spins is another in every frame, and what rests is the same.
    pairs = [pair for block in shown.blocks() for pair in pairwise(block)]
    resting = {frame for a, b in pairs if (np.abs(looks[a] - looks[b]) <= SAME).all() for frame in (a, b)}
    return {frame: frame not in resting for pair in pairs for frame in pair}
