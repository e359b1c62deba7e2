"""In what order do the shapes appear, or disappear? (SynRL, arXiv 2603.17693, short-term: sequential event order).

The shapes come one after the other until all are in view, and go one after the other until none is. They go in another
order than they came. From level 2 on this happens twice, and one of the two times is asked for.

Shapes that come in an order show the same frames as shapes that go in its reverse. Each option is shown in this sense
exactly once, as one coming or one going. So neither one frame nor all frames without their order tell the answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness, color_masks
from temporay.operators.pixels.silhouettes import MIN_AREA_PX
from temporay.operators.primitives._base import Facts, Inherent, Phrases, by_start
from temporay.operators.primitives._claims import Claim, read_lists
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting, shown_between
from temporay.operators.primitives.motion._layout import CORNER, cell_room_px, stand_apart
from temporay.operators.primitives.motion._stage import color_of
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, random_cuts, shuffled

NUM_SHAPES_BY_LEVEL = (3, 4, 3, 4, 5)
NUM_ROUNDS_BY_LEVEL = (1, 1, 2, 2, 2)
TIMES = {1: ("",), 2: (" for the first time", " for the second time")}
ShapeOrder = tuple[int, ...]
LISTING, COMMA = re.compile(r"\b[Tt]he order is ([^.\n]+)"), re.compile(", ")  # as concise reasoning tells it


class EventOrder(DrawnMotion[list[str]]):
    """Question about the order in which shapes come or go."""

    task = "event_order"
    free_form = True
    # Who is in the middle is not at an end.
    inherent: ClassVar[Inherent] = {"few_frames": 0.73}
    answer_kind = "order"
    gaps_by_level = tuple(2 * n * r + r + 0.5 for n, r in zip(NUM_SHAPES_BY_LEVEL, NUM_ROUNDS_BY_LEVEL, strict=True))
    concise = "The order is {answer}."

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "appear": (
            "In what order do the shapes appear{time}?",
            "List the shapes in the order in which they appear{time}.",
            "The shapes come into view one after the other. In what order do they appear{time}?",
            "What is the order in which the shapes appear{time}?",
            "Name the shapes in the order in which they come into view{time}.",
            "Which shape is the first to appear{time}, which comes next, and so on?",
            "Watch which shapes come into view{time}. In what order do they come?",
            "Sort the shapes by the time at which they appear{time}.",
        ),
        "disappear": (
            "In what order do the shapes disappear{time}?",
            "List the shapes in the order in which they disappear{time}.",
            "The shapes vanish one after the other. In what order do they disappear{time}?",
            "What is the order in which the shapes disappear{time}?",
            "Name the shapes in the order in which they go out of view{time}.",
            "Which shape is the first to vanish{time}, which goes next, and so on?",
            "Watch which shapes go out of view{time}. In what order do they go?",
            "Sort the shapes by the time at which they disappear{time}.",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "appears": (
            "The {subject} is seen from {start} s to {end} s.",
            "From {start} s to {end} s the {subject} is in view.",
            "At {start} s the {subject} appears, and at {end} s it is gone.",
            "The {subject} comes at {start} s and goes at {end} s.",
        )
    }

    def arrange(self, setting: Setting) -> MotionClip:
        rng = setting.rng
        num_shapes, num_rounds = NUM_SHAPES_BY_LEVEL[setting.level], NUM_ROUNDS_BY_LEVEL[setting.level]
        room_px = cell_room_px(setting.canvas, num_shapes) / CORNER
        actors = [replace(one, radius_px=min(one.radius_px, room_px)) for one in setting.choose_actors(num_shapes)]
        mode, asked = choose_one(rng, tuple(self.wordings_by_mode)), int(rng.integers(num_rounds))
        orders = _choose_orders(rng, num_shapes, num_rounds)
        truth = setting.choose_truth(orders)
        rounds = _choose_rounds(rng, orders, truth, asked)
        waits = random_cuts(rng, setting.num_frames - 2, num_rounds * (2 * num_shapes + 1), setting.gap)
        changes = (1 + np.cumsum(waits)).tolist()
        visible_NT = np.zeros((num_shapes, setting.num_frames), np.bool_)
        events = []
        for n, (same, other) in enumerate(rounds):
            coming, going = (same, other) if mode == "appear" else (other, same)
            frames = changes[n * (2 * num_shapes + 1) :]
            for i, actor in enumerate(actors):
                start, end = frames[coming.index(i)], frames[num_shapes + going.index(i)]
                visible_NT[i, start:end] = True
                events.append(setting.event_in("appears", actor.name, start, end))
        facts = {"mode": mode, "round": asked, "time": TIMES[num_rounds][asked]}
        options = [", ".join(actors[i].name for i in order) for order in orders]
        still = zip(stand_apart(setting, actors), visible_NT, strict=True)
        tracks = [replace(track, visible_T=visible_T) for track, visible_T in still]
        return MotionClip(tracks, events, {**facts, "options": options})

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        return self._ordered(plan.events, plan.facts)

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether a frame is shown before, between and after all comings and goings."""
        changes_ms = sorted(ms for event in plan.events for ms in (event.start_ms, event.end_ms))
        return bool(shown_between(plan, frames, [0.0, *changes_ms, np.inf]).all())

    def claims(self, text: str, names: Sequence[str] = ()) -> list[Claim]:
        """Read the sentence that lists the shapes too: its order is what it claims."""
        return [*read_lists("appears", text, LISTING, COMMA, names), *super().claims(text, names)]

    def logged(self, events: Sequence[Event], facts: Facts) -> list[str]:
        return [event.subject for event in self._ordered(events, facts)]

    def seen(self, witness: Witness, facts: Facts) -> list[str] | None:
        """Order the shapes by when their color comes into view, or goes, for the time that is asked for."""
        when: dict[str, int] = {}
        for name in facts["options"][0].split(", "):
            area_T = color_masks(witness.frames_THWC, color_of(name)).sum(axis=(1, 2))
            if area_T.max() < MIN_AREA_PX:
                return None
            steps_T = np.diff((area_T > area_T.max() / 2).astype(int))
            changes = np.flatnonzero(steps_T == (1 if facts["mode"] == "appear" else -1))
            if len(changes) <= facts["round"]:
                return None
            when[name] = int(changes[facts["round"]])
        return sorted(when, key=when.__getitem__) if len(set(when.values())) == len(when) else None

    def answer(self, measured: list[str], facts: Facts) -> str:
        return ", ".join(measured)

    def _ordered(self, events: Sequence[Event], facts: Facts) -> list[Event]:
        """Return the event of every shape for the time that is asked for, in the order asked for."""
        by_name: dict[str, list[Event]] = {}
        for event in by_start(events):
            by_name.setdefault(event.subject, []).append(event)
        asked = [of_shape[facts["round"]] for of_shape in by_name.values()]
        return sorted(asked, key=lambda event: event.start_ms if facts["mode"] == "appear" else event.end_ms)


def _choose_orders(rng: np.random.Generator, num_shapes: int, num_rounds: int) -> list[ShapeOrder]:
    """Choose the options: for every round two orders, which are not each other's reverse.

    Two rounds have four options, two orders and their reverses.
    """
    first = second = tuple(range(num_shapes))
    while second in (first, first[::-1]):
        first, second = (tuple(int(i) for i in rng.permutation(num_shapes)) for _ in range(2))
    return shuffled(rng, [first, second, first[::-1], second[::-1]][: 2 * num_rounds])


def _choose_rounds(
    rng: np.random.Generator, orders: list[ShapeOrder], truth: ShapeOrder, asked: int
) -> list[tuple[ShapeOrder, ShapeOrder]]:
    """Choose for each round the order of the changes asked about, and that of the others.

    Each option comes once: as itself in the changes asked about, or as its reverse in the others.
    """
    partner = choose_one(rng, [order for order in orders if order not in (truth, truth[::-1])])
    rounds = [(truth, partner[::-1])]
    left = shuffled(rng, [order for order in orders if order not in (truth, partner)])
    if left:
        rounds.insert(1 - asked, (left[0], left[1][::-1]))
    return rounds
