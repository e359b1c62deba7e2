"""Ask for the result of a problem that a ball writes (SynRL, arXiv 2603.17693, long-term: symbol operations).

Digits and signs lie in a grid and are seen in the reveal alone. The ball goes from cell to cell, to some more than
once, and so writes an arithmetic problem. The same cells in another order are another problem, so a twin has the same
frames in another order. No number on the way is longer than two digits.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Phrases
from temporay.operators.primitives.states._faces import COLUMNS, GridGame
from temporay.operators.primitives.states._game import read_log
from temporay.operators.primitives.states._play import Course, Layout, Operation, Play, Setup, State
from temporay.operators.primitives.states._slots import COVER_COLOR, alike, in_turn, nearest
from temporay.operators.records import Event, Frames, ScenePlan, Track

NUM_VISITS_BY_LEVEL = ((3, 3), (5, 5), (7, 7), (9, 9), (13, 13))  # a digit, and again and again a sign and a digit
NUM_DIGITS_BY_LEVEL = (2, 4, 5, 5, 5)  # in the grid; the ball may come to one more than once, and to another never
LARGEST = 99  # no result on the way is further from 0
SIGNS = ("+", "-", "x")
NOTHING = "nothing"
PROBLEM_WORDINGS = (
    "The path of the ball draws a math problem with the symbols shown at the {shown}. What is its result?",
    "The ball visits symbols, which are seen at the {shown}. What does the problem it writes come to?",
    "Symbols show at the {shown}. What is the result of the problem along the ball's path?",
    "Write down the symbols that the ball visits; they are seen at the {shown}. What is the result?",
    "Work out the problem that the ball writes with the symbols of the {shown}. What do you get?",
    "Which number is the answer to the arithmetic problem on the ball's path? Its symbols show at the {shown}.",
    "The grid is open only at the {shown}. What value has the expression that the ball goes through?",
    "Follow the ball over the symbols seen at the {shown}. What does the expression equal?",
)
VISIT_WORDINGS = (
    "The symbols are shown at the {shown}. Which one is number {number} of those that the ball visits?",
    "Symbols show at the {shown}. On which of them is the ball in step {number}?",
    "Which symbol, seen at the {shown}, lies under the ball at its stop number {number}?",
    "The ball writes a problem with the symbols of the {shown}. What is its symbol number {number}?",
    "Counting from 1, what is symbol {number} on the path of the ball? The grid is open at the {shown}.",
    "The grid is open only at the {shown}. Which symbol did the ball visit as number {number}?",
    "What stands at place {number} of the problem that the ball writes? Its symbols show at the {shown}.",
    "Follow the ball over the symbols seen at the {shown}. On which symbol does it make stop {number}?",
)


class SymbolPath(GridGame):
    """A ball that visits symbols in a grid and so writes an arithmetic problem."""

    task = "symbol_path"
    free_form = True
    subject = "ball"
    faces_fact = "symbols"
    face_prefix = "symbol "
    num_operations_by_level = NUM_VISITS_BY_LEVEL
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the grid shows, row by row: {detail}.",
            "Between {start} s and {end} s the symbols are seen, row by row: {detail}.",
            "The open grid from {start} s to {end} s has, row by row, {detail}.",
        ),
        "visit": (
            "From {start} s to {end} s the ball is on cell {d1}, which is {d2}.",
            "Between {start} s and {end} s the ball visits cell {d1} with {d2}.",
            "The ball is on cell {d1}, the {d2}, from {start} s to {end} s.",
        ),
        "after": ("So far {detail}.", "Up to here {detail}.", "At this point {detail}."),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Grid: {detail}.",),
        "visit": ("Cell {d1}: {d2}.",),
        "after": ("So far {detail}.",),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        digits = [str(1 + int(n)) for n in rng.choice(9, NUM_DIGITS_BY_LEVEL[level], replace=False)]
        num_signs_all = facts["num_operations"] // 2
        num_signs = min(len(SIGNS), num_signs_all)
        signs = [SIGNS[int(i)] for i in rng.choice(len(SIGNS), num_signs, replace=False)]
        if num_signs == 1:  # a sum or a product of two is the same both ways
            signs = ["-"]
        symbols = [*digits, *signs]
        colors = [list(COLORS)[int(i)] for i in rng.permutation(len(COLORS))]
        cells = [*symbols, *[self.empty] * (COLUMNS**2 - len(symbols))]
        chosen: dict[str, Any] = {"symbols": dict(zip(symbols, colors, strict=False)), "ball": colors[-1]}
        chosen |= {"shown": "start" if facts["at_start"] else "end"}
        if facts["mode"] == "historical":  # a digit is asked for, because there may be one sign only
            num_halves = (facts["num_operations"] + 1) // 4  # digits of the half of the path that is asked about
            first = num_signs_all + 1 - num_halves if facts["at_start"] else 0
            chosen |= {"asked_after": 1 + 2 * (first + int(rng.integers(num_halves)))}
        return Setup(revealed=tuple(cells[i] for i in rng.permutation(len(cells))), facts=chosen, num_answers=9)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        """Choose digits and signs, different ones as long as there are any left."""
        listed, num_signs = list(facts["symbols"]), facts["num_operations"] // 2
        digits = [symbol for symbol in listed if symbol not in SIGNS]
        signs = [symbol for symbol in listed if symbol in SIGNS]
        symbols = [*_chosen(rng, digits, num_signs + 1), *_chosen(rng, signs, num_signs)]
        return tuple(("visit", str(setup.revealed.index(symbol) + 1), symbol) for symbol in symbols)

    def reordered(self, rng: np.random.Generator, revealed: State, course: Course, at_start: bool) -> Course:
        return super().reordered(rng, (), course, True)  # the ball writes from nothing on, wherever the reveal is

    def drawn_anew(
        self, rng: np.random.Generator, revealed: State, facts: Facts, course: Course, hidden: slice
    ) -> Course:
        """Draw visits of digits or of signs, as their places in the problem want them."""
        proposed = self.propose(rng, Setup(revealed=revealed, facts=facts, num_answers=9), facts)
        digits = (operation for operation in proposed if operation[2] not in SIGNS)
        signs = (operation for operation in proposed if operation[2] in SIGNS)
        drawn = [next(signs if place % 2 else digits) for place in range(hidden.start, hidden.stop)]
        return (*course[: hidden.start], *drawn, *course[hidden.stop :])

    def resolved(self, revealed: State, seen: Sequence[Operation], at_start: bool) -> Course:
        return tuple(seen)

    def inverse(self, operation: Operation) -> Operation:
        return operation

    def states(self, revealed: State, course: Course, at_start: bool) -> list[State] | None:
        """Return the symbols written before the first visit and after each; the revealed grid never changes."""
        visits = tuple((kind, cell, revealed[int(cell) - 1]) for kind, cell, _ in course)
        return super().states((), visits, at_start=True)

    def apply(self, state: State, operation: Operation) -> State | None:
        """Write a symbol; a digit cannot follow a digit, nor lead to a number that is hard to work with."""
        written, symbol = (*state, operation[2]), operation[2]
        if symbol == self.empty or (symbol in SIGNS) == (len(written) % 2 == 1):
            return None
        return None if len(written) % 2 and abs(_left_to_right(written)) > LARGEST else written

    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        if facts["mode"] == "historical":
            return states[facts["asked_after"]][-1]
        return str(_left_to_right(states[-1])) if len(states[-1]) % 2 else None

    def carried(self, facts: Facts, state: State) -> str:
        """Return the last step of the sum, where a digit has completed one."""
        if facts["mode"] == "historical" or len(state) < 3 or len(state) % 2 == 0:
            return ""
        return f"{_left_to_right(state[:-2])} {state[-2]} {state[-1]} = {_left_to_right(state)}"

    def told(self, plan: ScenePlan) -> list[Event]:
        """Return the reveal and the visits up to the one that is asked for, wherever the reveal is in the clip."""
        reveal, operations = read_log(plan.events)
        last = plan.facts["asked_after"] if plan.facts["mode"] == "historical" else len(operations)
        sums = {event.start_ms: event for event in plan.events if event.kind == "after"}
        return [reveal, *(e for visit in operations[:last] for e in (visit, sums.get(visit.start_ms)) if e is not None)]

    def text(self, facts: Facts) -> str:
        return super().text(facts) + ("" if facts["mode"] == "historical" else " Work it out from left to right.")

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return VISIT_WORDINGS if facts["mode"] == "historical" else PROBLEM_WORDINGS

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return the cells row by row, spread over the frame."""
        down_C2, across_C2 = np.divmod(np.arange(COLUMNS**2), COLUMNS)
        cells_xy = (np.stack([across_C2, down_C2], axis=1) + 0.5) * (width, height) / COLUMNS
        return Layout(cells_xy, 0.42 * min(width, height) / COLUMNS)

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out the blank cells, over them the symbols while they are shown, and the ball on its way."""
        (cells_xy, radius_px), num_frames = play.layout, play.timing.num_frames
        still_CT2 = np.repeat(cells_xy[:, None], num_frames, axis=1)
        ball_xy_T2, scale_T, visible_T = still_CT2[0].copy(), np.ones(num_frames), np.zeros(num_frames, np.bool_)
        for (_, cell, _), stop in play.steps:
            ball_xy_T2[stop], visible_T[stop] = cells_xy[int(cell) - 1], True
            scale_T[stop] = 0.7 + 0.3 * np.sin(np.pi * play.timing.shares)  # it lands and leaves
        color = COLORS[play.facts["ball"]]
        (ball,) = alike("ball", "circle", color, 0.8 * radius_px, ball_xy_T2[None], visible_T)
        blanks = alike("cell", "square", COVER_COLOR, radius_px, still_CT2)
        return (*blanks, *self.face_tracks(play), replace(ball, scale_T=scale_T))

    def moves(self, frames_THWC: Frames, facts: Facts, layout: Layout, revealed: State) -> list[Operation]:
        """Find the visits by the cells on which the ball's color is seen. The reveal tells which symbols these are."""
        ball_T3 = follow(frames_THWC, COLORS[facts["ball"]])
        found = ball_T3[ball_T3[:, 2] > 0.3 * ball_T3[:, 2].max()]
        cells = [nearest(layout.places_xy, (x, y)) for x, y, _ in found]
        return in_turn(("visit", str(cell + 1), revealed[cell]) for cell in cells)


def _chosen(rng: np.random.Generator, symbols: Sequence[str], number: int) -> list[str]:
    return [symbols[int(i)] for start in range(0, number, len(symbols)) for i in rng.permutation(len(symbols))][:number]


def _left_to_right(symbols: Sequence[str]) -> int:
    """Return the result of a problem of digits and signs, without precedence."""
    value = int(symbols[0])
    for sign, digit in zip(symbols[1::2], symbols[2::2], strict=True):
        value = {"+": value + int(digit), "-": value - int(digit), "x": value * int(digit)}[sign]
    return value
