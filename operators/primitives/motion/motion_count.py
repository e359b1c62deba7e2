"""How many of the shapes move, or how often does one move one way? (SynRL, arXiv 2603.17693, short-term: motion count).

One shape at a time moves once across the whole frame, in a lane whose ends are joined, and arrives where it was. All
clips of a level have as many such moves. So wherever one looks, one shape moves or none does, and where the shapes are
at the end says nothing.

To count the shapes that move, repeated moves of one shape must be told from those of another. From level 2 on it is
also asked how often a shape moves in one direction. Neither the first move of such a clip nor the last one is of that
kind. Two frames in between show one move, and are right in at most 0.45; chance is 0.25.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives.motion._courses import choose_spans
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._lanes import UNITS, WAYS, Lanes, steps_along
from temporay.operators.primitives.motion._stage import JOINED
from temporay.operators.records import Event
from temporay.operators.seeding import choose_one

NUM_SHAPES_BY_LEVEL = (3, 3, 4, 5, 6)
NUM_MOVES_BY_LEVEL = (3, 4, 5, 6, 8)
MODES_BY_LEVEL = (("shapes",), ("shapes",), ("shapes", "moves"), ("shapes", "moves"), ("shapes", "moves"))
MOVE_GAPS = 2.6  # of the shortest move, in the longest gaps between shown frames
MAX_OPTIONS = 4
ACROSS = "A move goes once across the whole frame; what leaves at one edge comes back at the opposite one."


class MotionCount(DrawnMotion[int]):
    """Question about the number of moving shapes, or of moves in one direction."""

    task = "motion_count"
    fields = ("direction", "so far")
    free_form = True
    answer_kind = "number"
    order_dependent = False
    twin = "restaged"  # what moves is seen in any order of the frames
    inherent: ClassVar[Inherent] = {
        "shapes one_number": 1.0,  # how many of the shapes have any speed at all
        "moves one_number": 0.75,
        "bag_of_frames": 1.0,
        "moves two_frames": 0.4,
        "moves few_frames": 0.5,
        "shapes two_frames": 0.45,
    }
    bouts = frozenset({"moves"})
    notes_by_mode: ClassVar = {"shapes": (JOINED,), "moves": (ACROSS,)}
    gaps_by_level = tuple(1.15 * (MOVE_GAPS + 1) * moves + 1 for moves in NUM_MOVES_BY_LEVEL)

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "shapes": (
            "How many objects move in the video?",
            "How many of the shapes move at some time?",
            "Count the shapes that move at least once. How many are there?",
            "Some of the shapes move and others may not. How many move?",
            "What is the number of different shapes that move?",
            "How many shapes are on the move at one time or another?",
            "Give the number of shapes that ever move.",
            "Of all the shapes, how many travel across the frame?",
        ),
        "moves": (
            "How many times does the {name} move {way}?",
            "How often does the {name} move across the frame, going {way}?",
            "Count the moves of the {name} that go {way}. How many are there?",
            "The {name} may move several times. How many of these moves go {way}?",
            "What is the number of times the {name} goes {way}?",
            "How many of all the moves are of the {name} and go {way}?",
            "Give the number of moves that take the {name} {way}.",
            "Watch the {name}. How many times does it travel {way}?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "moves": (
            "The {subject} moves {d1}: {d2} so far.",
            "Next the {subject} goes {d1}, which makes {d2} so far.",
            "Then the {subject} travels {d1}, so the count is {d2}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"moves": ("The {subject} {d1}, {d2}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level, num_steps = setting.rng, setting.level, setting.num_frames - 1
        num_shapes, num_moves = NUM_SHAPES_BY_LEVEL[level], NUM_MOVES_BY_LEVEL[level]
        mode = choose_one(rng, MODES_BY_LEVEL[level])
        most = num_shapes if mode == "shapes" else num_moves - 2
        counts = [1 + int(i) for i in rng.choice(most, min(MAX_OPTIONS, most), replace=False)]
        truth = setting.choose_truth(counts)
        actors = setting.choose_actors(num_shapes)
        lanes = Lanes(canvas=setting.canvas, axis=int(rng.integers(2)), count=num_shapes)
        moves = (_moves_of if mode == "shapes" else _moves_one_way)(rng, truth, num_shapes, num_moves)
        gap = setting.gap
        spans = choose_spans(rng, num_steps - gap, num_moves, ceil(MOVE_GAPS * gap), gap)
        steps_NT = np.zeros((num_shapes, num_steps))
        events, counted = [], []
        for (start, end), (shape, ahead) in zip(spans, moves, strict=True):
            steps_NT[shape, start:end] = (1 if ahead else -1) / (end - start)
            counted.append(shape if mode == "shapes" else (shape, ahead))
            so_far = len(set(counted)) if mode == "shapes" else counted.count((0, 1))
            detail = f"{WAYS[lanes.axis][ahead]} {so_far}"
            events.append(setting.event_in("moves", actors[shape].name, start, end, detail))
        tracks = []
        for lane, shape in enumerate(rng.permutation(num_shapes)):
            gone_T = np.concatenate([[0.0], steps_NT[shape].cumsum()])
            tracks.append(lanes.track(actors[shape], lane, float(rng.uniform()) + gone_T))
        facts = {"mode": mode, "names": [actor.name for actor in actors], "unit": UNITS[lanes.axis]}
        facts |= {"name": actors[0].name, "way": WAYS[lanes.axis][1], "options": [str(n) for n in counts]}
        return MotionClip(tracks, events, facts)

    def logged(self, events: Sequence[Event], facts: Facts) -> int:
        moves = [event for event in events if event.kind == "moves"]
        if facts["mode"] == "shapes":
            return len({event.subject for event in moves})
        return sum((e.subject, e.detail.split()[0]) == (facts["name"], facts["way"]) for e in moves)

    def seen(self, witness: Witness, facts: Facts) -> int:
        """Count the colors that get across the joined edges, or how often one does it one way."""
        if facts["mode"] == "shapes":
            return sum(bool(np.abs(steps_along(witness, name, facts)).sum() > 0.5) for name in facts["names"])
        gone = steps_along(witness, facts["name"], facts)
        return round(float(gone[gone > 0].sum()))


def _moves_of(rng: np.random.Generator, count: int, num_shapes: int, num_moves: int) -> list[tuple[int, int]]:
    """Choose moves of ``count`` different shapes, each at least once: (shape, whether it goes right or down)."""
    movers = rng.permutation(num_shapes)[:count]
    again = movers[np.floor(rng.uniform(0, count, num_moves)).astype(int)]
    order, ahead = rng.permutation(num_moves), rng.integers(0, 2, num_moves)
    shapes = np.array([*movers, *again])[order]
    return [(int(shape), int(way)) for shape, way in zip(shapes, ahead, strict=True)]


def _moves_one_way(rng: np.random.Generator, count: int, num_shapes: int, num_moves: int) -> list[tuple[int, int]]:
    """Choose moves of which ``count`` are of the first shape ahead, neither the first move nor the last."""
    others = [(shape, ahead) for shape in range(num_shapes) for ahead in (0, 1)]
    others.remove((0, 1))
    moves = [others[int(i)] for i in rng.integers(0, len(others), num_moves)]
    for place in rng.permutation(num_moves - 2)[:count]:
        moves[1 + int(place)] = (0, 1)
    return moves
