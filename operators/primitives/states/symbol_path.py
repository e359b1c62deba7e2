"""What does the problem come to that a ball writes? (SynRL, arXiv 2603.17693, long-term: symbol operations.)

Digits and signs lie in a grid and are seen in the reveal alone. The ball goes from cell to cell and so writes an
arithmetic problem. The same cells in another order are another problem, so a twin has the same frames in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import Witness, follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._game import Course, Facts, Operation, OperationsGame, Stage, State, read_log
from temporay.operators.primitives.states._slots import COVER_COLOR, Timing, coverage
from temporay.operators.records import Event, Question, ScenePlan, Track

NUM_DECOYS_BY_LEVEL = (0, 1, 2, 3, 1)  # symbols that the ball never visits
MIN_VISITS = 3  # digit, sign, digit
SMALL_SIDE_PX = 64  # under it two rows and columns, else three
SIGNS = ("+", "-", "x")
EMPTY = "_"
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
    "Follow the ball over the symbols seen at the {shown}. Which is the one of stop {number}?",
)


class SymbolPath(OperationsGame):
    task: ClassVar[str] = "symbol_path"
    subject: ClassVar[str] = "ball"
    legend: ClassVar[str] = "Problems are worked out strictly from left to right."
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]] = (3, 3, 5, 5, 7)
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the grid shows, row by row: {detail}.",
            "Between {start} s and {end} s the symbols are seen, row by row: {detail}.",
            "The open grid from {start} s to {end} s has, row by row, {detail}.",
        ),
        "visit": (
            "From {start} s to {end} s the ball is on cell {d1}, which is {d2}; {d3} becomes {d4}.",
            "Between {start} s and {end} s the ball visits cell {d1} with {d2}, and {d3} turns into {d4}.",
            "The visit of cell {d1} from {start} s to {end} s adds {d2} to {d3} and gives {d4}.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Grid {detail}.",),
        "visit": ("Cell {d1}, {d2}, after {d3} now {d4}.",),
    }

    def num_operations(self, canvas: Canvas, level: int) -> int:
        """A digit, and then a sign and a digit as often as there is room.

        Raises:
            UserError: the shortest clip has no room for the shortest problem.
        """
        room = super().num_operations(canvas, level)
        if room < MIN_VISITS:
            raise UserError(
                f"canvas.num_frames={canvas.num_frames} allows clips in which {room} symbols can be visited, but a "
                f"problem has {MIN_VISITS}; raise its first number to 8 or more"
            )
        return MIN_VISITS if _columns(canvas) == 2 else room - 1 + room % 2

    def stage(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage:
        columns = _columns(canvas)
        num_digits, num_decoys = (facts["num_operations"] + 1) // 2, NUM_DECOYS_BY_LEVEL[level]
        num_digits += min(num_decoys, columns**2 - facts["num_operations"])
        num_signs = min(len(SIGNS), facts["num_operations"] // 2)
        digits = [str(1 + int(n)) for n in rng.choice(9, num_digits, replace=False)]
        signs = [SIGNS[int(i)] for i in rng.choice(len(SIGNS), num_signs, replace=False)]
        if num_signs == 1:  # a sum or a product of two is the same both ways
            signs = ["-"]
        symbols = [*digits, *signs]
        colors = [list(COLORS)[int(i)] for i in rng.permutation(len(COLORS))]
        cells = [*symbols, *[EMPTY] * (columns**2 - len(symbols))]
        drawn = {"columns": columns, "symbols": dict(zip(symbols, colors, strict=False)), "ball": colors[-1]}
        drawn |= {"shown": "start" if facts["at_start"] else "end"}
        if facts["mode"] == "historical":  # of the digits, because there may be one sign only
            drawn |= {"asked_after": 1 + 2 * int(rng.integers((facts["num_operations"] + 1) // 2))}
        return Stage(revealed=tuple(cells[i] for i in rng.permutation(len(cells))), facts=drawn, num_answers=9)

    def propose(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> Course:
        num_digits = (facts["num_operations"] + 1) // 2
        listed = list(facts["symbols"])
        digits = [symbol for symbol in listed if symbol not in SIGNS]
        signs = [symbol for symbol in listed if symbol in SIGNS]
        chosen = [digits[int(i)] for i in rng.choice(len(digits), num_digits, replace=False)]
        symbols = [*chosen, *(signs[int(i)] for i in rng.permutation(len(signs)))]
        return tuple(("visit", str(stage.revealed.index(symbol) + 1), symbol) for symbol in symbols)

    def orders(self, rng: np.random.Generator, course: Course) -> list[Course]:
        """Digits in all orders, and the signs between them in all orders."""
        digits = permutations([operation for operation in course if operation[2] not in SIGNS])
        signs = permutations([operation for operation in course if operation[2] in SIGNS])
        return sorted(_alternating(*orders) for orders in product(digits, signs))

    def apply(self, state: State, operation: Operation) -> State:
        return state

    def undo(self, state: State, operation: Operation) -> State:
        return state

    def answer(self, facts: Facts, revealed: State, course: Course) -> str | None:
        """From the cells visited and what they hold."""
        symbols = [revealed[int(operation[1]) - 1] for operation in course]
        if facts["mode"] == "historical":
            place: int = facts["asked_after"]
            return symbols[place - 1]
        in_place = all((symbol in SIGNS) == bool(i % 2) and symbol != EMPTY for i, symbol in enumerate(symbols))
        return str(_left_to_right(symbols)) if in_place and len(symbols) % 2 else None

    def read(self, facts: Facts, states: Sequence[State]) -> None:
        """The state, a grid, stays as it is; ``answer`` reads the path."""

    def carried(self, facts: Facts, state: State) -> str:
        return NOTHING

    def all_carried(self, facts: Facts, course: Course, states: Sequence[State]) -> list[str]:
        """What the ball has written so far."""
        symbols = [operation[2] for operation in course]
        return [NOTHING, *("".join(symbols[: i + 1]) for i in range(len(symbols)))]

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        reveal, operations = read_log(plan)
        last = plan.facts["asked_after"] if plan.facts["mode"] == "historical" else len(operations)
        return [reveal, *operations[:last]]

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return VISIT_WORDINGS if facts["mode"] == "historical" else PROBLEM_WORDINGS

    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]:
        """The blank cells, over them the symbols while they are shown, and the ball on its way."""
        cells_xy, radius_px = _layout(canvas.width, canvas.height, facts["columns"])
        everywhere = np.ones(timing.num_frames, np.bool_)
        still_CT2 = np.repeat(cells_xy[:, None], timing.num_frames, axis=1)
        blanks = [
            Track(name="cell", shape="square", color=COVER_COLOR, radius_px=radius_px, xy_T2=path, visible_T=everywhere)
            for path in still_CT2
        ]
        symbols = [
            Track(
                name=f"symbol {symbol}",
                shape="square",
                color=COLORS[facts["symbols"][symbol]],
                radius_px=radius_px,
                xy_T2=path,
                visible_T=timing.revealed_T,
                label=symbol,
            )
            for symbol, path in zip(states[0], still_CT2, strict=True)
            if symbol != EMPTY
        ]
        ball_xy_T2, scale_T = np.tile(cells_xy[0], (timing.num_frames, 1)), np.ones(timing.num_frames)
        visible_T = np.zeros(timing.num_frames, np.bool_)
        for operation, start in zip(course, timing.starts, strict=True):
            stop = slice(start, start + timing.per_op)
            ball_xy_T2[stop], visible_T[stop] = cells_xy[int(operation[1]) - 1], True
            scale_T[stop] = 0.7 + 0.3 * np.sin(np.pi * timing.shares)  # it lands and leaves
        ball = Track(
            name="ball",
            shape="circle",
            color=COLORS[facts["ball"]],
            radius_px=0.8 * radius_px,
            xy_T2=ball_xy_T2,
            visible_T=visible_T,
            scale_T=scale_T,
        )
        return (*blanks, *symbols, ball)

    def recover(self, witness: Witness) -> int | None:
        """By the colours of the symbols and the cells on which the ball's colour is seen, one after the other."""
        frames_THWC, facts = witness.frames_THWC, witness.facts
        height, width = frames_THWC.shape[1:3]
        cells_xy, radius_px = _layout(width, height, facts["columns"])
        seen_NTC = np.stack(
            [coverage(frames_THWC, COLORS[color], cells_xy, 0.7 * radius_px) for color in facts["symbols"].values()]
        )
        revealed_T = seen_NTC.max(axis=2).min(axis=0) > 0.25
        if not revealed_T.any():
            return None
        grid = [EMPTY] * len(cells_xy)
        for symbol, cell in zip(facts["symbols"], seen_NTC[:, revealed_T].mean(axis=1).argmax(axis=1), strict=True):
            grid[int(cell)] = symbol
        ball_T3 = follow(frames_THWC, COLORS[facts["ball"]])
        area_T = np.nan_to_num(ball_T3[:, 2]) * ~revealed_T
        visited: list[int] = []
        for x, y, _ in ball_T3[area_T > 0.3 * area_T.max()]:
            cell = int(np.argmin(np.hypot(*(cells_xy - (x, y)).T)))
            if visited[-1:] != [cell]:
                visited.append(cell)
        course = tuple(("visit", str(cell + 1), grid[cell]) for cell in visited)
        answer = self.answer(facts, tuple(grid), course) if len(course) == facts["num_operations"] else None
        return witness.options.index(answer) if answer in witness.options else None


def _columns(canvas: Canvas) -> int:
    return 2 if min(canvas.width, canvas.height) < SMALL_SIDE_PX else 3


def _alternating(digits: Course, signs: Course) -> Course:
    course = [digits[0]]
    for sign, digit in zip(signs, digits[1:], strict=True):
        course += [sign, digit]
    return tuple(course)


def _left_to_right(symbols: Sequence[str]) -> int:
    """What a problem of digits and signs comes to, without precedence."""
    value = int(symbols[0])
    for sign, digit in zip(symbols[1::2], symbols[2::2], strict=True):
        value = {"+": value + int(digit), "-": value - int(digit), "x": value * int(digit)}[sign]
    return value


def _layout(width: int, height: int, columns: int) -> tuple[npt.NDArray[np.float64], float]:
    """Centres of the cells row by row, (columns², 2) px, spread over the frame, and half a cell's side."""
    across, down = ((np.arange(columns) + 0.5) * side / columns for side in (width, height))
    rows, columns_xy = np.meshgrid(down, across, indexing="ij")
    return np.stack([columns_xy.ravel(), rows.ravel()], axis=1), 0.42 * min(width, height) / columns
