"""Which way, and how many full turns, does a shape spin? (SynRL, arXiv 2603.17693, short-term: rotation).

All clips of a level have as many spells of spinning, each at a speed of its own, with rests between. Every spell is a
full turn, or half a turn and half a turn back, which is as much rotation. To count the turns, the two must be told
apart. So no speed, no sum of angles and no two frames tell the count; from level 3 on the turns also go either way.
Three frames around the middle of a spell show what it is: then the best guess among four counts is right in about 0.35.
In the first frame and in the last the angle is the same.

For the direction all spells are full turns, whatever the answer is, so every clip shows the same angles as often. The
direction may change once. Up to level 1 the options are either direction, or both: two frames in a turn are right in
0.67, where chance is 0.33. From level 2 on the options are either direction before and either after, so two frames are
right in 0.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import ceil
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.shapes import COLORS, TURNED_SHAPES
from temporay.operators.pixels.silhouettes import most_like
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives.motion._courses import choose_spans
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, stand_apart
from temporay.operators.primitives.motion._stage import Actor
from temporay.operators.records import Event
from temporay.operators.seeding import choose_one, shuffled

NUM_SPELLS_BY_LEVEL = (3, 4, 5, 6, 7)
COUNTS_BY_LEVEL = ((1, 3), (1, 4), (1, 4), (2, 5), (2, 6))
NUM_DISTRACTORS_BY_LEVEL = (0, 1, 1, 2, 3)
ORDERED_LEVEL = 2  # from here on the options say which of two directions is first
BOTH_WAYS_LEVEL = 3  # from here on counted turns go either way
MAX_OPTIONS = 4
RADIUS = 0.2  # parts of the frame's shorter side, or what its cell leaves
SPELL_GAPS = 3.0  # of the shortest spell: 120 degrees from one frame that is shown to the next
NAMES = {1: "clockwise", -1: "counter-clockwise"}
BOTH = "first one way, then the other"
MIN_LIKENESS = 0.8
DONE_DEG = 260.0  # from the angle of a rest: half a turn and back does not reach it, a full turn does
MIN_SEEN_DEG = 45.0


class Rotation(DrawnMotion[list[int]]):
    """Question about the directions or the number of full turns. Each is measured: 1 clockwise, -1 the other way."""

    task = "rotation"
    numbered = frozenset({"turn"})
    told_as_logged = True
    twin = "restaged"  # half a turn and back shows other angles than a full turn
    inherent: ClassVar[Inherent] = {
        "direction two_frames": (0.67, 0.67, 0.5, 0.5, 0.5),  # one step shows the direction that it has then
        "direction few_frames": (0.67, 0.67, 0.5, 0.5, 0.5),
        "turns few_frames": 0.35,
        "turns two_frames": 0.35,
        "turns bag_of_frames": (0.5, 0.5, 0.35, 0.35, 0.35),
    }
    gaps_by_level = tuple(1.4 * SPELL_GAPS * spells + 1 for spells in NUM_SPELLS_BY_LEVEL)

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "direction": (
            "Is the {name} spinning clockwise or counter-clockwise?",
            "In which direction does the {name} rotate?",
            "Which way does the {name} spin?",
            "What is the direction of rotation of the {name}?",
            "How does the {name} turn on the spot?",
            "Watch the {name}. Which way round does it go?",
            "Seen on the screen, which way is the {name} turning?",
            "Which option describes the rotation of the {name}?",
        ),
        "turns": (
            "How many full turns does the {name} make?",
            "How many full rotations does the {name} complete?",
            "Count the full turns of the {name}. How many are there?",
            "How often does the {name} spin all the way round?",
            "How many times does the {name} turn by 360 degrees in one go?",
            "The {name} spins on the spot. How many complete turns does it make?",
            "How many times does the {name} rotate by 360 degrees?",
            "Which option gives the number of full turns of the {name}?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "turn": (
            "Turn {d1} of the {subject} is {d2}.",
            "The {subject} makes turn {d1}, {d2}.",
            "All the way round, {d2}: turn {d1} of the {subject}.",
        ),
        "swing": (
            "From {start} s to {end} s the {subject} goes half way round and back.",
            "From {start} s to {end} s the {subject} turns half way and back, which is no full turn.",
            "Between {start} s and {end} s the {subject} turns back half way.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "turn": ("Turn {d1} of the {subject}, {d2}.",),
        "swing": ("At {start} s the {subject} goes half way and back.",),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng, num_frames, level = setting.rng, setting.num_frames, setting.level
        mode = choose_one(rng, tuple(self.wordings_by_mode))
        low, high = COUNTS_BY_LEVEL[level]
        counts = [low + int(i) for i in rng.permutation(high - low + 1)[:MAX_OPTIONS]]
        directions = shuffled(rng, _directions(level))
        options = directions if mode == "direction" else [str(n) for n in counts]
        truth = setting.choose_truth(options)
        actors = _turned_actors(setting)
        tracks, events = [], []
        for actor, still in zip(actors, stand_apart(setting, actors), strict=True):
            asked = truth if actor is actors[0] else options[int(len(options) * rng.uniform())]
            spells = _choose_spells(rng, asked, NUM_SPELLS_BY_LEVEL[level], both_ways=level >= BOTH_WAYS_LEVEL)
            shortest = ceil(SPELL_GAPS * setting.gap) + 1  # so that half a turn never takes a single step
            spans = choose_spans(rng, num_frames - 1 - setting.gap, len(spells), shortest, setting.gap // 2)
            turned_T = np.zeros(num_frames)
            own: list[Event] = []
            for (start, end), (turns, way) in zip(spans, spells, strict=True):
                peak = (start + end) // 2  # a frame of its own, so that a spell back and forth is a whole turn's way
                corners = ((start, end), (0, 360)) if turns else ((start, peak, end), (0, 180, 0))
                turned_T[start : end + 1] += way * np.interp(np.arange(start, end + 1), *corners)
                turned_T[end + 1 :] = turned_T[end]
                detail = f"{1 + sum(event.kind == 'turn' for event in own)} {NAMES[way]}" if turns else ""
                own.append(setting.event_in("turn" if turns else "swing", actor.name, start, end, detail))
            angle_deg_T = np.mod(float(rng.uniform(0, 360)) + turned_T, 360.0)
            tracks.append(replace(still, angle_deg_T=angle_deg_T))
            events.extend(own)
        return MotionClip(tracks, events, {"mode": mode, "name": actors[0].name, "options": options})

    def logged(self, events: Sequence[Event], facts: Facts) -> list[int]:
        own = [event for event in events if event.kind == "turn" and event.subject == facts["name"]]
        return [1 if event.detail.split()[1] == NAMES[1] else -1 for event in own]

    def seen(self, witness: Witness, facts: Facts) -> list[int] | None:
        """Find the angle in every frame at which a template of the shape is most like what has its color."""
        color, shape = facts["name"].split(" ", 1)
        angles: list[float] = []
        for mask_HW in color_masks(witness.frames_THWC, COLORS[color]):
            found = most_like(mask_HW, (shape,), turned=True)
            if found is None or found.score < MIN_LIKENESS:
                return None
            angles.append(found.angle_deg)
        turned_T = np.concatenate([[0.0], (np.mod(np.diff(angles) + 180, 360) - 180).cumsum()])
        rest_deg, turns = 0.0, []
        for turned in turned_T:
            if abs(turned - rest_deg) > DONE_DEG:
                turns.append(1 if turned > rest_deg else -1)
                rest_deg += 360.0 * turns[-1]
        return turns if abs(turned_T[-1] - rest_deg) < MIN_SEEN_DEG else None

    def answer(self, measured: list[int], facts: Facts) -> str:
        if facts["mode"] == "turns":
            return str(len(measured))
        return _told_ways(measured, brief=BOTH in facts["options"]) if measured else ""


def _directions(level: int) -> list[str]:
    """Return all that can be said of the directions at this level."""
    return list(dict.fromkeys(_told_ways(pair, brief=level < ORDERED_LEVEL) for pair in product(NAMES, NAMES)))


def _told_ways(ways: Sequence[int], *, brief: bool) -> str:
    """Say which way round it goes at first and at last; ``brief`` leaves out the order of two ways."""
    first, last = NAMES[ways[0]], NAMES[ways[-1]]
    if first != last:
        return BOTH if brief else f"first {first}, then {last}"
    return first if brief else f"{first} all the time"


def _turned_actors(setting: Setting) -> list[Actor]:
    """Choose shapes that no turn but a full one maps onto themselves, as large as their cells allow."""
    actors = setting.choose_actors(1 + NUM_DISTRACTORS_BY_LEVEL[setting.level])
    radius_px = min(RADIUS * setting.side_px, cell_room_px(setting.canvas, len(actors)) / CORNER)
    return [replace(actor, shape=choose_one(setting.rng, TURNED_SHAPES), radius_px=radius_px) for actor in actors]


def _choose_spells(rng: np.random.Generator, truth: str, num_spells: int, *, both_ways: bool) -> list[tuple[bool, int]]:
    """Choose spells for which this is the answer: whether each is a full turn, and which way it goes."""
    order, ways = rng.permutation(num_spells), rng.choice((-1, 1), num_spells)
    change, way = int(rng.integers(1, num_spells)), int(rng.choice((-1, 1)))
    if truth.isdecimal():
        return [
            (bool(place < int(truth)), int(way if both_ways or place >= int(truth) else ways[0]))
            for place, way in zip(order, ways, strict=True)
        ]
    told = [way for word in truth.replace(",", "").split() for way, name in NAMES.items() if word == name]
    told = told or [way, -way]
    return [(True, told[0] if i < change else told[-1]) for i in range(num_spells)]
