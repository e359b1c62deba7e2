"""Ask under which cup the ball is (SynRL, arXiv 2603.17693, long-term: object tracking with occlusion).

All cups are alike, so a swap looks the same whichever cup hides the ball. A twin shows the same swaps in another order.
Cups on their way keep clear of all others, so a viewer can follow them.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Doubt, Facts, Phrases
from temporay.operators.primitives._plan import grid_of
from temporay.operators.primitives.states._game import OperationsGame
from temporay.operators.primitives.states._play import Course, Layout, Operation, Play, Setup, State, choose_pairs
from temporay.operators.primitives.states._slots import (
    GRID_ARC,
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

GRID_BY_LEVEL = ((3, 1), (3, 1), (4, 1), (3, 3), (4, 4))  # columns and rows of cups; the paper's is the last
GRID_SIDE_PX = 96  # a smaller frame has a row of cups at every level
LIFT = 1.6  # height of a lifted cup, in radii
WORDINGS = {
    "": TimedWordings(
        forward=("Where is the ball at the end?", "Follow the ball. At which position is it in the end?"),
        retrodictive=("Where was the ball at the start?", "Trace the ball back. Where was it in the beginning?"),
        historical=(
            "Where was the ball right after swap {number}?",
            "Which cup hid the ball just after swap {number}?",
        ),
        templates=(
            "The cups are swapped. At which position was the ball {when}?",
            "Which cup hid the ball {when}?",
            "Under which cup was the ball {when}?",
            "The ball is shown only once. Where was it {when}?",
            "At which position was the cup with the ball {when}?",
            "Watch all swaps. Which position had the ball {when}?",
        ),
    )
}


class ShellGame(OperationsGame):
    """A ball under one of several cups that are swapped."""

    task = "shell_game"
    subject = "cups"
    legend = "Positions are counted from the left, row by row from the top; each swap is a step."
    timed_wordings = WORDINGS
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the ball is seen at position {detail}.",
            "Between {start} s and {end} s a cup is lifted: the ball is at position {detail}.",
            "The ball shows at position {detail} from {start} s to {end} s.",
        ),
        "swap": (
            "From {start} s to {end} s the cups at {d1} and {d2} are swapped.",
            "Between {start} s and {end} s positions {d1} and {d2} trade cups.",
            "The cups at {d1} and {d2} change places from {start} s to {end} s.",
        ),
        **told_states("the ball is at position {detail}"),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Ball at {detail}.",),
        "swap": ("Swap {d1} and {d2}.",),
        **told_states("ball at {detail}"),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        columns, rows = GRID_BY_LEVEL[level]
        if min(canvas.width, canvas.height) < GRID_SIDE_PX:
            columns, rows = min(columns, 3), 1
        cup, ball = choose_colors(rng, 2)
        revealed = str(1 + int(rng.integers(columns * rows)))
        chosen = {"columns": columns, "rows": rows, "cup": cup, "ball": ball}
        return Setup(revealed=(revealed,), facts=chosen, num_answers=columns * rows)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        pairs = choose_pairs(rng, facts["columns"] * facts["rows"], facts["num_operations"])
        return tuple(("swap", str(1 + min(pair)), str(1 + max(pair))) for pair in pairs)

    def apply(self, state: State, operation: Operation) -> State:
        _, a, b = operation
        return ({a: b, b: a}.get(state[0], state[0]),)

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        return f"position {states[facts['asked_after']][0]}"

    def carried(self, facts: Facts, state: State) -> str:
        return state[0]

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        columns, rows = facts["columns"], facts["rows"]
        if rows == 1:
            return Layout(*row_of(width, height, columns))
        cells_xy, half_px = grid_of(columns, rows, width, height)
        return Layout(cells_xy, 0.56 * half_px)

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out the ball, seen only while its cup is lifted, and over it the cups."""
        timing, (slots_xy, radius_px) = play.timing, play.layout
        arc_px = radius_px * (ROW_ARC if play.facts["rows"] == 1 else GRID_ARC)
        paths = trade_places(slots_xy, play.course, timing, radius_px, arc_px)
        lifted = int(play.states[0][0]) - 1  # cups are numbered by their first slot
        paths[lifted, timing.revealed_T, 1] -= LIFT * radius_px
        ball_xy_T2 = np.tile(slots_xy[int(play.revealed[0]) - 1], (timing.num_frames, 1))
        ball, cup = (COLORS[play.facts[name]] for name in ("ball", "cup"))
        return (
            *alike("ball", "circle", ball, 0.6 * radius_px, ball_xy_T2[None], timing.revealed_T),
            *alike("cup", "cup", cup, radius_px, paths),
        )

    def see(self, frames_THWC: Frames, facts: Facts, layout: Layout) -> tuple[State, list[Operation]]:
        """Find the slot where the ball is seen, and each swap by the two slots that are empty during it."""
        places_xy, radius_px = layout
        x_T, y_T, area_T = follow(frames_THWC, COLORS[facts["ball"]]).T
        shown_T = area_T > 0.5 * area_T.max()
        if not shown_T.any():
            raise Doubt
        slot = nearest(places_xy, (float(np.median(x_T[shown_T])), float(np.median(y_T[shown_T]))))
        pairs = pairs_seen(frames_THWC[~shown_T], [COLORS[facts["cup"]]], places_xy, 0.4 * radius_px)
        return (str(slot + 1),), in_turn(("swap", *pair) if pair else None for pair in pairs)
