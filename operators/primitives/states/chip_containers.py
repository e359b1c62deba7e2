"""Which chip is in which container, and how many are in one? (SynRL, arXiv 2603.17693, long-term: chips in containers.)

Coloured chips are seen in the reveal and while they fly from one container to another; containers, all alike, trade
places with what is in them. The same flights and trades in another order leave the chips elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._game import (
    Course,
    Facts,
    Operation,
    OperationsGame,
    Stage,
    State,
    timed_wordings,
)
from temporay.operators.primitives.states._slots import (
    COVER_COLOR,
    NEAR_COLOR,
    Timing,
    arc_px,
    coverage,
    middle_shares,
    row_of,
    split_active,
    trade_places,
)
from temporay.operators.records import AnswerKind, AnswerValue, Frames, Track

NUM_CONTAINERS_BY_LEVEL = (3, 3, 3, 4, 4)
NUM_CHIPS_BY_LEVEL = (2, 3, 3, 4, 4)  # four have room over one container
NOTHING = "-"
WHERE_WORDINGS = {
    "forward": "In which container is the {chip} chip at the end?",
    "retrodictive": "In which container was the {chip} chip at the start?",
    "historical": "In which container was the {chip} chip right after step {number}?",
}
WHERE_TEMPLATES = (
    "which container held the {chip} chip {when}?",
    "where was the {chip} chip {when}?",
    "at which position was the container with the {chip} chip {when}?",
    "follow the {chip} chip. Which container had it {when}?",
    "chips are moved and containers trade places. Where was the {chip} one {when}?",
    "the {chip} chip is out of sight. Which container was it in {when}?",
    "where would one have found the {chip} chip {when}?",
)
COUNT_WORDINGS = {
    "forward": "How many chips are in container {container} at the end?",
    "retrodictive": "How many chips were in container {container} at the start?",
    "historical": "How many chips were in container {container} right after step {number}?",
}
COUNT_TEMPLATES = (
    "what was the number of chips in container {container} {when}?",
    "the container at position {container}: how many chips did it hold {when}?",
    "count the chips in container {container} {when}. How many were there?",
    "how many chips would one have found in container {container} {when}?",
    "chips are moved and containers trade places. How many were in container {container} {when}?",
    "container {container} held how many chips {when}?",
    "how full was container {container} {when}, in chips?",
)


class ChipContainers(OperationsGame):
    task: ClassVar[str] = "chip_containers"
    answer_kind: ClassVar[AnswerKind] = "number"
    subject: ClassVar[str] = "containers"
    legend: ClassVar[str] = (
        "Containers are numbered from the left, as they stand at that time; each move or trade is a step."
    )
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]] = (3, 3, 4, 6, 8)
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the containers show, from the left: {detail}.",
            "Between {start} s and {end} s the chips are seen, container by container: {detail}.",
            "The contents seen from {start} s to {end} s are, from the left, {detail}.",
        ),
        "move": (
            "From {start} s to {end} s the {d1} chip goes from {d2} to {d3}; that is {d4} before, {d5} after.",
            "Between {start} s and {end} s a {d1} chip flies from container {d2} to {d3}, from {d4} to {d5}.",
            "The {d1} chip leaves {d2} for {d3} from {start} s to {end} s: {d4} before it, {d5} after it.",
        ),
        "swap": (
            "From {start} s to {end} s containers {d1} and {d2} trade places; that is {d3} before, {d4} after.",
            "Between {start} s and {end} s the containers at {d1} and {d2} are swapped, from {d3} to {d4}.",
            "The trade of containers {d1} and {d2} from {start} s to {end} s: {d3} before it, {d4} after it.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Containers {detail}.",),
        "move": ("The {d1} chip {d2} to {d3}, {d4} before, {d5} after.",),
        "swap": ("Trade {d1} {d2}, {d3} before, {d4} after.",),
    }

    def stage(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage:
        num_containers = NUM_CONTAINERS_BY_LEVEL[level]
        names = [list(COLORS)[int(i)] for i in rng.choice(len(COLORS), NUM_CHIPS_BY_LEVEL[level], replace=False)]
        chips_of: list[list[str]] = [[] for _ in range(num_containers)]
        for name in names:
            chips_of[int(rng.integers(num_containers))].append(name)
        asks_where = bool(rng.integers(2))
        drawn = {
            "ask": "where" if asks_where else "count",
            "chip": names[int(rng.integers(len(names)))],
            "chips": sorted(names),
            "container": 1 + int(rng.integers(num_containers)),
            "num_containers": num_containers,
        }
        revealed = tuple(_joined(chips) for chips in chips_of)
        return Stage(revealed=revealed, facts=drawn, num_answers=num_containers if asks_where else len(names) + 1)

    def propose(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> Course:
        """Moves that can be made in at least one order, found by going from the shown state step by step."""
        at_start, state = facts["at_start"], stage.revealed
        course: list[Operation] = []
        while len(course) < facts["num_operations"]:
            operation: Operation
            a, b = (int(i) for i in rng.choice(len(state), 2, replace=False))
            inside = _chips(state[a])
            if rng.integers(2) and inside:
                chip = inside[int(rng.integers(len(inside)))]
                operation = (
                    ("move", chip, str(a + 1), str(b + 1)) if at_start else ("move", chip, str(b + 1), str(a + 1))
                )
            else:
                operation = ("swap", str(min(a, b) + 1), str(max(a, b) + 1))
            after = self.apply(state, operation) if at_start else self.undo(state, operation)
            if after is not None:
                course.append(operation)
                state = after
        return tuple(course if at_start else course[::-1])

    def apply(self, state: State, operation: Operation) -> State | None:
        held = list(state)
        if operation[0] == "swap":
            a, b = (int(word) - 1 for word in operation[1:])
            held[a], held[b] = held[b], held[a]
            return tuple(held)
        _, chip, start, end = operation
        source, target = int(start) - 1, int(end) - 1
        if chip not in _chips(held[source]):
            return None
        held[source] = _joined([name for name in _chips(held[source]) if name != chip])
        held[target] = _joined([*_chips(held[target]), chip])
        return tuple(held)

    def undo(self, state: State, operation: Operation) -> State | None:
        if operation[0] == "swap":
            return self.apply(state, operation)
        kind, chip, start, end = operation
        return self.apply(state, (kind, chip, end, start))

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return super().values(facts) if facts["ask"] == "count" else ()

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        state = states[facts["asked_after"]]
        if facts["ask"] == "count":
            return str(len(_chips(state[facts["container"] - 1])))
        return f"container {self.carried(facts, state)}"

    def carried(self, facts: Facts, state: State) -> str:
        if facts["ask"] == "count":
            return "-".join(str(len(_chips(inside))) for inside in state)
        return str(1 + next(i for i, inside in enumerate(state) if facts["chip"] in _chips(inside)))

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        if facts["ask"] == "count":
            return timed_wordings(COUNT_TEMPLATES, facts, COUNT_WORDINGS)
        return timed_wordings(WHERE_TEMPLATES, facts, WHERE_WORDINGS)

    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]:
        """The containers, and each chip while it is shown and while it flies."""
        slots_xy, radius_px = row_of(canvas.width, canvas.height, facts["num_containers"])
        paths = trade_places(slots_xy, course, timing, timing.shares, arc_px(radius_px))
        everywhere = np.ones(timing.num_frames, np.bool_)
        containers = [
            Track(
                name="container",
                shape="cup",
                color=COVER_COLOR,
                radius_px=radius_px,
                xy_T2=path,
                visible_T=everywhere,
                angle_deg_T=np.full(timing.num_frames, 180.0),
            )
            for path in paths
        ]
        shown = states[0 if timing.at_start else -1]
        chip_px = _chip_px(canvas.width, canvas.height, len(slots_xy))
        chips = []
        for chip in facts["chips"]:
            xy_T2 = np.tile(_seat(shown, chip, slots_xy, radius_px, chip_px), (timing.num_frames, 1))
            visible_T = timing.revealed_T.copy()
            for operation, start in zip(course, timing.starts, strict=True):
                if operation[:2] == ("move", chip):
                    flying = slice(start, start + timing.per_op)
                    a, b = (int(word) - 1 for word in operation[2:])
                    xy_T2[flying] = _flight(slots_xy, a, b, timing.shares, radius_px + chip_px)
                    visible_T[flying] = True
            color = COLORS[chip]
            chips.append(
                Track(name=chip, shape="circle", color=color, radius_px=chip_px, xy_T2=xy_T2, visible_T=visible_T)
            )
        return (*containers, *chips)

    def recover(self, witness: Witness) -> int | None:
        """By the chips' colours, and by the slots that containers leave."""
        frames_THWC, facts = witness.frames_THWC, witness.facts
        height, width = frames_THWC.shape[1:3]
        slots_xy, radius_px = row_of(width, height, facts["num_containers"])
        seen_NT2 = np.stack([_places(frames_THWC, COLORS[chip]) for chip in facts["chips"]])
        shown_NT = ~np.isnan(seen_NT2[..., 0])
        revealed_T = shown_NT.all(axis=0)  # one chip flies at a time, and there are two or more
        covered_TN = coverage(frames_THWC, COVER_COLOR, slots_xy, 0.4 * radius_px)
        active_T = (shown_NT.any(axis=0) | (covered_TN < 0.85).any(axis=1)) & ~revealed_T
        steps = split_active(np.asarray(active_T), facts["num_operations"])
        if steps is None or not revealed_T.any():
            return None
        held: list[list[str]] = [[] for _ in slots_xy]
        for chip, seen_T2 in zip(facts["chips"], seen_NT2, strict=True):
            held[int(np.argmin(np.abs(slots_xy[:, 0] - np.median(seen_T2[revealed_T, 0]))))].append(chip)
        course: list[Operation] = []
        for step in steps:
            flying = shown_NT[:, step].mean(axis=1)
            if flying.max() > 0.6:
                chip = int(flying.argmax())
                pair = _seen_flight(seen_NT2[chip, step], slots_xy, radius_px)
                course.append(("move", facts["chips"][chip], *pair))
            else:
                a, b = sorted(int(slot) for slot in np.argsort(covered_TN[step].mean(axis=0))[:2])
                course.append(("swap", str(a + 1), str(b + 1)))
        answer = self.answer(facts, tuple(_joined(chips) for chips in held), tuple(course))
        return witness.options.index(answer) if answer in witness.options else None


def _chips(inside: str) -> list[str]:
    return [] if inside == NOTHING else inside.split("+")


def _joined(chips: Sequence[str]) -> str:
    return "+".join(sorted(chips)) or NOTHING


def _chip_px(width: int, height: int, num_slots: int) -> float:
    return min(0.22 * width / num_slots, 0.09 * height)


def _seat(
    state: State, chip: str, slots_xy: npt.NDArray[np.float64], radius_px: float, chip_px: float
) -> npt.NDArray[np.float64]:
    """Where a chip is shown over its container, (2,) px: two rows of two, from the bottom."""
    slot = next(i for i, inside in enumerate(state) if chip in _chips(inside))
    row, column = divmod(_chips(state[slot]).index(chip), 2)
    seat_2: npt.NDArray[np.float64] = slots_xy[slot] + [
        (2 * column - 1) * chip_px,
        -radius_px - (2 * row + 1) * chip_px,
    ]
    return seat_2


def _flight(
    slots_xy: npt.NDArray[np.float64], a: int, b: int, shares: npt.NDArray[np.float64], lift_px: float
) -> npt.NDArray[np.float64]:
    """(len(shares), 2) px on a bow from over a to over b."""
    straight = slots_xy[a] + shares[:, None] * (slots_xy[b] - slots_xy[a])
    flight_T2: npt.NDArray[np.float64] = straight - np.array([0.0, lift_px]) * (1 + np.sin(np.pi * shares))[:, None]
    return flight_T2


def _places(frames_THWC: Frames, color: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """(T, 2) px, the centre of what has this colour; NaN where there is too little of it to be a chip."""
    near_THW = np.abs(frames_THWC.astype(np.int16) - np.array(color, np.int16)).sum(axis=3) < NEAR_COLOR
    area_T = near_THW.sum(axis=(1, 2))
    enough_T = area_T > max(3.0, 0.3 * float(area_T.max()))
    centers = [
        np.argwhere(near).mean(axis=0)[::-1] if enough else (np.nan, np.nan)
        for near, enough in zip(near_THW, enough_T, strict=True)
    ]
    return np.array(centers, dtype=np.float64)


def _seen_flight(
    seen_T2: npt.NDArray[np.float64], slots_xy: npt.NDArray[np.float64], radius_px: float
) -> tuple[str, str]:
    shares = middle_shares(len(seen_T2))

    def off(pair: tuple[int, int]) -> float:
        return float(np.nanmean(np.abs(_flight(slots_xy, *pair, shares, radius_px)[:, 0] - seen_T2[:, 0])))

    a, b = min(permutations(range(len(slots_xy)), 2), key=off)
    return str(a + 1), str(b + 1)
