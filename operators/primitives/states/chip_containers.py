"""Ask which container has a chip, or how many chips one has (SynRL, arXiv 2603.17693: chips in containers).

Colored chips are seen in the reveal and while they fly from one container to another. Containers are all alike and
trade places with their contents. The same flights and trades in another order leave the chips elsewhere.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import color_masks, mask_centers
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Doubt, Facts, Inherent, Phrases
from temporay.operators.primitives.states._game import OperationsGame
from temporay.operators.primitives.states._play import Course, Layout, Operation, Play, Setup, State, exchanged, opened
from temporay.operators.primitives.states._slots import (
    COVER_COLOR,
    OUT,
    ROW_ARC,
    alike,
    choose_colors,
    in_turn,
    nearest,
    pairs_seen,
    row_of,
    trade_places,
)
from temporay.operators.primitives.states._wordings import TimedWordings, told_states
from temporay.operators.records import Frames, Track
from temporay.operators.seeding import choose_one

NUM_CONTAINERS_BY_LEVEL = (3, 3, 3, 4, 4)
NUM_CHIPS_BY_LEVEL = (2, 3, 3, 4, 4)  # at most four, which have room over one container
NOTHING = "nothing"
WORDINGS = {
    "where": TimedWordings(
        forward=("In which container is the {chip} chip at the end?",),
        retrodictive=("In which container was the {chip} chip at the start?",),
        historical=("In which container was the {chip} chip right after step {number}?",),
        templates=(
            "which container held the {chip} chip {when}?",
            "where was the {chip} chip {when}?",
            "at which position was the container with the {chip} chip {when}?",
            "follow the {chip} chip. Which container had it {when}?",
            "chips are moved and containers trade places. Where was the {chip} one {when}?",
            "the {chip} chip is out of sight. Which container was it in {when}?",
            "where would one have found the {chip} chip {when}?",
        ),
    ),
    "count": TimedWordings(
        forward=("How many chips are in container {container} at the end?",),
        retrodictive=("How many chips were in container {container} at the start?",),
        historical=("How many chips were in container {container} right after step {number}?",),
        templates=(
            "what was the number of chips in container {container} {when}?",
            "the container at position {container}: how many chips did it hold {when}?",
            "count the chips in container {container} {when}. How many were there?",
            "how many chips would one have found in container {container} {when}?",
            "chips are moved and containers trade places. How many were in container {container} {when}?",
            "container {container} held how many chips {when}?",
            "how full was container {container} {when}, in chips?",
        ),
    ),
}


class ChipContainers(OperationsGame):
    """Chips that fly between containers, which trade places."""

    task = "chip_containers"
    free_form = True
    # A chip that flies shows where it was, also without the reveal.
    inherent: ClassVar[Inherent] = {**OperationsGame.inherent, "operations": (0.95, 0.9, 0.85, 0.8, 0.75)}
    answer_kind = "number"
    subject = "containers"
    legend = "Containers are numbered from the left, as they stand at that time; each move or trade is a step."
    timed_wordings = WORDINGS
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the containers hold, from the left: {detail}.",
            "Between {start} s and {end} s the chips are seen, container by container: {detail}.",
            "The contents seen from {start} s to {end} s are, from the left, {detail}.",
        ),
        "move": (
            "From {start} s to {end} s the {d1} chip goes from container {d2} to {d3}.",
            "Between {start} s and {end} s a {d1} chip flies from container {d2} to {d3}.",
            "The {d1} chip leaves container {d2} for {d3} from {start} s to {end} s.",
        ),
        "swap": (
            "From {start} s to {end} s containers {d1} and {d2} trade places.",
            "Between {start} s and {end} s the containers at {d1} and {d2} are swapped.",
            "The containers at {d1} and {d2} change places from {start} s to {end} s.",
        ),
        **told_states("the chip in question is in container {detail}"),
        **told_states("the containers hold {detail} chips", "count "),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Containers: {detail}.",),
        "move": ("The {d1} chip from {d2} to {d3}.",),
        "swap": ("Trade {d1} and {d2}.",),
        **told_states("it is in {detail}"),
        **told_states("there are {detail} chips", "count "),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        num_containers = NUM_CONTAINERS_BY_LEVEL[level]
        names = choose_colors(rng, NUM_CHIPS_BY_LEVEL[level])
        chips_of: list[list[str]] = [[] for _ in range(num_containers)]
        for name in names:
            chips_of[int(rng.integers(num_containers))].append(name)
        asks_where = bool(rng.integers(2))
        chosen = {
            "ask": "where" if asks_where else "count",
            "chip": choose_one(rng, names),
            "chips": sorted(names),
            "container": 1 + int(rng.integers(num_containers)),
            "num_containers": num_containers,
        }
        revealed = tuple(_joined(chips) for chips in chips_of)
        return Setup(revealed=revealed, facts=chosen, num_answers=num_containers if asks_where else len(names) + 1)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        """Choose moves that can be made in at least one order, going from the shown state step by step."""

        def choose_step(state: State) -> Operation:
            a, b = (int(i) for i in rng.choice(len(state), 2, replace=False))
            inside = _chips(state[a])
            if rng.integers(2) and inside:
                return "move", choose_one(rng, inside), str(a + 1), str(b + 1)
            return "swap", str(min(a, b) + 1), str(max(a, b) + 1)

        return self.walked(setup.revealed, facts, choose_step)

    def inverse(self, operation: Operation) -> Operation:
        return operation if operation[0] == "swap" else super().inverse(operation)

    def apply(self, state: State, operation: Operation) -> State | None:
        start, end = (int(word) - 1 for word in operation[-2:])
        if operation[0] == "swap":
            return exchanged(state, start, end)
        held, chip = list(state), operation[1]
        if chip not in _chips(held[start]):
            return None
        held[start] = _joined([name for name in _chips(held[start]) if name != chip])
        held[end] = _joined([*_chips(held[end]), chip])
        return tuple(held)

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        state = states[facts["asked_after"]]
        if facts["ask"] == "count":
            return str(len(_chips(state[facts["container"] - 1])))
        return f"container {self.carried(facts, state)}"

    def carried(self, facts: Facts, state: State) -> str:
        if facts["ask"] == "count":
            return ", ".join(str(len(_chips(inside))) for inside in state)
        return str(1 + next(i for i, inside in enumerate(state) if facts["chip"] in _chips(inside)))

    def told_state(self, facts: Facts, beside: str) -> str:
        return f"count {beside}" if facts["ask"] == "count" else beside

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        return Layout(*row_of(width, height, facts["num_containers"]))

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out the containers, and each chip, seen while it is shown and while it flies."""
        timing, (slots_xy, radius_px) = play.timing, play.layout
        paths = trade_places(slots_xy, play.course, timing, radius_px, ROW_ARC * radius_px)
        chip_px = min(0.22 * play.canvas.width / len(slots_xy), 0.09 * play.canvas.height)
        chips: list[Track] = []
        for chip in play.facts["chips"]:
            xy_T2 = np.tile(_seat(play.revealed, chip, slots_xy, radius_px, chip_px), (timing.num_frames, 1))
            visible_T = timing.revealed_T.copy()
            for operation, flying in play.steps:
                if operation[:2] == ("move", chip):
                    a, b = (int(word) - 1 for word in operation[2:])
                    xy_T2[flying] = _flight(slots_xy, a, b, timing.shares, radius_px, chip_px)
                    visible_T[flying] = True
            chips += alike(chip, "circle", COLORS[chip], chip_px, xy_T2[None], visible_T)
        return (*alike("container", "cup", COVER_COLOR, radius_px, paths, angle_deg=180.0), *chips)

    def see(self, frames_THWC: Frames, facts: Facts, layout: Layout) -> tuple[State, list[Operation]]:
        """Find the chips by their colors, and each operation by the slots that two containers leave."""
        places_xy, radius_px = layout
        chips = facts["chips"]
        seen_NT2 = np.stack([_chip_places(frames_THWC, COLORS[chip]) for chip in chips])
        shown_NT = ~np.isnan(seen_NT2[..., 0])
        revealed_T = shown_NT.all(axis=0)  # one chip flies at a time, and there are two or more
        if not revealed_T.any():
            raise Doubt
        held: list[list[str]] = [[] for _ in places_xy]
        for chip, (x, y) in zip(chips, np.median(seen_NT2[:, revealed_T], axis=1), strict=True):
            held[nearest(places_xy, (x, y))].append(chip)
        pairs = pairs_seen(frames_THWC[~revealed_T], [COVER_COLOR], places_xy, 0.4 * radius_px)
        seen: list[Operation | None] = []
        for pair, flying_N in zip(pairs, shown_NT[:, ~revealed_T].T, strict=True):
            step = ("move", chips[int(flying_N.argmax())]) if flying_N.any() else ("swap",)
            seen.append((*step, *pair) if pair else None)
        return tuple(_joined(names) for names in held), in_turn(seen)


def _chips(inside: str) -> list[str]:
    return [] if inside == NOTHING else inside.split(" and ")


def _joined(chips: Sequence[str]) -> str:
    return " and ".join(sorted(chips)) or NOTHING


def _seat(
    state: State, chip: str, slots_xy: npt.NDArray[np.float64], radius_px: float, chip_px: float
) -> npt.NDArray[np.float64]:
    """Return where a chip is shown over its container, (2,) px: in rows of two, an odd one in the middle."""
    slot = next(i for i, inside in enumerate(state) if chip in _chips(inside))
    place, number = _chips(state[slot]).index(chip), len(_chips(state[slot]))
    row, column = divmod(place, 2)
    across = 0 if place == number - 1 and number % 2 else 2 * column - 1
    return np.asarray(np.add(slots_xy[slot], [across * chip_px, -radius_px - (2 * row + 1) * chip_px]))


def _flight(
    slots_xy: npt.NDArray[np.float64], a: int, b: int, shares: npt.NDArray[np.float64], radius_px: float, chip_px: float
) -> npt.NDArray[np.float64]:
    """Return a way on a bow from one container, which has come out, to another, (len(shares), 2) px."""
    straight = slots_xy[a] + shares[:, None] * (slots_xy[b] - slots_xy[a])
    above_px = (radius_px + chip_px) * (1 + np.sin(np.pi * shares)) - OUT * radius_px * opened(shares)
    return np.asarray(straight - np.stack([np.zeros(len(shares)), above_px], axis=1))


def _chip_places(frames_THWC: Frames, color: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """Return the center of this color in every frame, (T, 2) px; NaN where there is too little of it to be a chip."""
    masks_THW = color_masks(frames_THWC, color)
    return mask_centers(masks_THW, max(3.0, 0.3 * masks_THW.sum(axis=(1, 2)).max()))
