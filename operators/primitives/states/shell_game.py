"""Ask under which cup the ball is (SynRL, arXiv 2603.17693, long-term: object tracking with occlusion).

All cups are alike, so a swap looks the same whichever cup hides the ball. A twin shows the same swaps in another order.
Cups on their way keep clear of all others, so a viewer can follow them.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import coverage, follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._course import Course, Operation, State, choose_pairs
from temporay.operators.primitives.states._game import Layout, OperationsGame, Play, Setup
from temporay.operators.primitives.states._recovery import nearest
from temporay.operators.primitives.states._slots import alike, arc_px, choose_colors, row_of, trade_places
from temporay.operators.primitives.states._wordings import TimedWordings
from temporay.operators.records import Frames, Track

NUM_CUPS_BY_LEVEL = (3, 3, 4, 4, 5)
LIFT = 1.6  # height of a lifted cup, in radii
WORDINGS = {
    "": TimedWordings(
        paper={
            "forward": ("Where is the ball at the end?", "Follow the ball. At which position is it in the end?"),
            "retrodictive": ("Where was the ball at the start?", "Trace the ball back. Where was it in the beginning?"),
            "historical": (
                "Where was the ball right after swap {number}?",
                "Which cup hid the ball just after swap {number}?",
            ),
        },
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
    legend = "Positions are counted from the left, each swap is a step."
    timed_wordings = WORDINGS
    num_operations_by_level = (3, 3, 4, 6, 8)
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the ball is seen at position {d1}.",
            "Between {start} s and {end} s a cup is lifted: the ball is at position {d1}.",
            "The ball shows at position {d1} from {start} s to {end} s.",
        ),
        "swap": (
            "From {start} s to {end} s the cups at {d1} and {d2} are swapped; the ball is at {d3} before, {d4} after.",
            "Between {start} s and {end} s positions {d1} and {d2} trade cups, which takes the ball from {d3} to {d4}.",
            "The swap of {d1} and {d2} from {start} s to {end} s has the ball at {d3} before it and at {d4} after it.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Ball {d1}.",),
        "swap": ("Swap {d1} {d2}, ball {d3} before, {d4} after.",),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        num_cups = min(NUM_CUPS_BY_LEVEL[level], max(3, facts["num_operations"] + 1))  # more would never move
        cup, ball = choose_colors(rng, 2)
        revealed = str(1 + int(rng.integers(num_cups)))
        chosen = {"num_cups": num_cups, "cup": cup, "ball": ball}
        return Setup(revealed=(revealed,), facts=chosen, num_answers=num_cups)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        pairs = choose_pairs(rng, facts["num_cups"], facts["num_operations"])
        return tuple(("swap", str(1 + min(pair)), str(1 + max(pair))) for pair in pairs)

    def apply(self, state: State, operation: Operation) -> State:
        _, a, b = operation
        return ({a: b, b: a}.get(state[0], state[0]),)

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        return f"position {states[facts['asked_after']][0]}"

    def carried(self, facts: Facts, state: State) -> str:
        return state[0]

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        return Layout(*row_of(width, height, facts["num_cups"]))

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out the ball, seen only while its cup is lifted, and over it the cups."""
        timing, (slots_xy, radius_px) = play.timing, play.layout
        shares = np.arange(1, timing.per_op + 1) / timing.per_op  # every swap ends at rest
        paths = trade_places(slots_xy, play.course, timing, shares, arc_px(radius_px))
        lifted = int(play.states[0][0]) - 1  # cups are numbered by their first slot
        paths[lifted, timing.revealed_T, 1] -= LIFT * radius_px
        ball_xy_T2 = np.tile(slots_xy[int(play.revealed[0]) - 1], (timing.num_frames, 1))
        ball, cup = (COLORS[play.facts[name]] for name in ("ball", "cup"))
        return (
            *alike("ball", "circle", ball, 0.6 * radius_px, ball_xy_T2[None], timing.revealed_T),
            *alike("cup", "cup", cup, radius_px, paths),
        )

    def see(self, frames_THWC: Frames, facts: Facts, layout: Layout) -> tuple[State, list[Operation]] | None:
        """Find the slot where the ball is seen, and each swap by the two slots that are empty during it."""
        places_xy, radius_px = layout
        x_T, y_T, area_T = follow(frames_THWC, COLORS[facts["ball"]]).T
        shown_T = area_T > 0.5 * area_T.max()
        if not shown_T.any():
            return None
        slot = nearest(places_xy, (float(np.median(x_T[shown_T])), float(np.median(y_T[shown_T]))))
        return (str(slot + 1),), _seen_swaps(frames_THWC[~shown_T], COLORS[facts["cup"]], places_xy, radius_px)


def _seen_swaps(
    frames_THWC: Frames, color: tuple[int, int, int], slots_xy: npt.NDArray[np.float64], radius_px: float
) -> list[Operation]:
    """Find a swap in each run of frames in which a slot is empty: of the two slots that are emptiest in it."""
    covered_TN = coverage(frames_THWC, color, slots_xy, 0.4 * radius_px)
    moving_T = np.concatenate([[False], (covered_TN < 0.5).any(axis=1), [False]])
    starts, ends = (np.nonzero(np.diff(moving_T.astype(int)) == sign)[0] for sign in (1, -1))
    pairs = [sorted(np.argsort(covered_TN[a:b].mean(axis=0))[:2]) for a, b in zip(starts, ends, strict=True)]
    return [("swap", str(int(a) + 1), str(int(b) + 1)) for a, b in pairs]
