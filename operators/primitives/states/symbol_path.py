"""Ask for the result of a problem that a ball writes (SynRL, arXiv 2603.17693, long-term: symbol operations).

Digits and signs lie in a grid and are seen in the reveal alone. The ball goes from cell to cell and so writes an
arithmetic problem. The same cells in another order are another problem, so a twin has the same frames in another order.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, permutations, product
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._course import Course, Operation, State
from temporay.operators.primitives.states._faces import FaceGame
from temporay.operators.primitives.states._game import Layout, Play, Setup, read_log
from temporay.operators.primitives.states._recovery import nearest
from temporay.operators.primitives.states._slots import COVER_COLOR, alike, grid_xy
from temporay.operators.records import Event, Frames, Question, ScenePlan, Track

NUM_DECOYS_BY_LEVEL = (0, 1, 2, 3, 1)  # symbols that the ball never visits
MIN_VISITS = 3  # a digit, a sign and a digit
SMALL_SIDE_PX = 64  # two rows and columns under it, else three
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


class SymbolPath(FaceGame):
    """A ball that visits symbols in a grid and so writes an arithmetic problem."""

    task = "symbol_path"
    subject = "ball"
    faces_fact = "symbols"
    face_prefix = "symbol "
    empty = EMPTY
    legend = "Problems are worked out strictly from left to right."
    num_operations_by_level = (3, 3, 5, 5, 7)
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
        """Return a digit, and then a sign and a digit as often as there is room, as a number of visits.

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

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
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
        chosen = {"columns": columns, "symbols": dict(zip(symbols, colors, strict=False)), "ball": colors[-1]}
        chosen |= {"shown": "start" if facts["at_start"] else "end"}
        if facts["mode"] == "historical":  # a digit is asked for, because there may be one sign only
            chosen |= {"asked_after": 1 + 2 * int(rng.integers((facts["num_operations"] + 1) // 2))}
        return Setup(revealed=tuple(cells[i] for i in rng.permutation(len(cells))), facts=chosen, num_answers=9)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        num_digits = (facts["num_operations"] + 1) // 2
        listed = list(facts["symbols"])
        digits = [symbol for symbol in listed if symbol not in SIGNS]
        signs = [symbol for symbol in listed if symbol in SIGNS]
        chosen = [digits[int(i)] for i in rng.choice(len(digits), num_digits, replace=False)]
        symbols = [*chosen, *(signs[int(i)] for i in rng.permutation(len(signs)))]
        return tuple(("visit", str(setup.revealed.index(symbol) + 1), symbol) for symbol in symbols)

    def orders(self, rng: np.random.Generator, course: Course) -> list[Course]:
        """Return the digits in all orders, with the signs between them in all orders."""
        digits = permutations([operation for operation in course if operation[2] not in SIGNS])
        signs = permutations([operation for operation in course if operation[2] in SIGNS])
        return sorted(_alternating(*orders) for orders in product(digits, signs))

    def states(self, revealed: State, course: Course, at_start: bool) -> list[State] | None:
        """Return the symbols written before the first visit and after each; the revealed grid never changes."""
        visits = tuple((kind, cell, revealed[int(cell) - 1]) for kind, cell, _ in course)
        return super().states((), visits, at_start=True)

    def apply(self, state: State, operation: Operation) -> State:
        return (*state, operation[2])

    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        if facts["mode"] == "historical":
            return states[facts["asked_after"]][-1]
        symbols = states[-1]
        in_place = all((symbol in SIGNS) == bool(i % 2) and symbol != EMPTY for i, symbol in enumerate(symbols))
        return str(_left_to_right(symbols)) if in_place and len(symbols) % 2 else None

    def carried(self, facts: Facts, state: State) -> str:
        return "".join(state) or NOTHING

    def cells(self, carried: str) -> tuple[str, ...]:
        return (NOTHING,) if carried == NOTHING else tuple(carried)

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """Return the reveal and the visits up to the one that is asked for, wherever the reveal is in the clip."""
        reveal, operations = read_log(plan)
        last = plan.facts["asked_after"] if plan.facts["mode"] == "historical" else len(operations)
        return [reveal, *operations[:last]]

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return VISIT_WORDINGS if facts["mode"] == "historical" else PROBLEM_WORDINGS

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return the cells row by row, spread over the frame."""
        columns = facts["columns"]
        across, down = ((np.arange(columns) + 0.5) * side / columns for side in (width, height))
        return Layout(grid_xy(across, down), 0.42 * min(width, height) / columns)

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

    def moves(
        self, frames_THWC: Frames, facts: Facts, layout: Layout, hidden_T: npt.NDArray[np.bool_]
    ) -> list[Operation]:
        """Find the visits by the cells on which the ball's color is seen. The reveal tells which symbols these are."""
        ball_T3 = follow(frames_THWC, COLORS[facts["ball"]])
        area_T = ball_T3[:, 2] * hidden_T
        cells = [nearest(layout.places_xy, (x, y)) for x, y, _ in ball_T3[area_T > 0.3 * area_T.max()]]
        return [("visit", str(cell + 1), EMPTY) for cell, _ in groupby(cells)]


def _columns(canvas: Canvas) -> int:
    return 2 if min(canvas.width, canvas.height) < SMALL_SIDE_PX else 3


def _alternating(digits: Course, signs: Course) -> Course:
    course = [digits[0]]
    for sign, digit in zip(signs, digits[1:], strict=True):
        course += [sign, digit]
    return tuple(course)


def _left_to_right(symbols: Sequence[str]) -> int:
    """Return the result of a problem of digits and signs, without precedence."""
    value = int(symbols[0])
    for sign, digit in zip(symbols[1::2], symbols[2::2], strict=True):
        value = {"+": value + int(digit), "-": value - int(digit), "x": value * int(digit)}[sign]
    return value
