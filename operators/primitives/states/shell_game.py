"""Under which cup is the ball? (SynRL, arXiv 2603.17693, long-term: object tracking with occlusion.)

All cups are alike, so every swap looks the same whichever of them hides the ball, and a twin shows the same swaps in
another order. Cups on their way keep clear of all others: who only watches can follow them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, follow
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
from temporay.operators.primitives.states._slots import Timing, arc_px, coverage, row_of, trade_places
from temporay.operators.records import Frames, Track

NUM_CUPS_BY_LEVEL = (3, 3, 4, 4, 5)
LIFT = 1.6  # radii
WORDINGS = {
    "forward": ("Where is the ball at the end?", "Follow the ball. At which position is it in the end?"),
    "retrodictive": ("Where was the ball at the start?", "Trace the ball back. Where was it in the beginning?"),
    "historical": ("Where was the ball right after swap {number}?", "Which cup hid the ball just after swap {number}?"),
}
TEMPLATES = (
    "The cups are swapped. At which position was the ball {when}?",
    "Which cup hid the ball {when}?",
    "Under which cup was the ball {when}?",
    "The ball is shown only once. Where was it {when}?",
    "At which position was the cup with the ball {when}?",
    "Watch all swaps. Which position had the ball {when}?",
)


class ShellGame(OperationsGame):
    task: ClassVar[str] = "shell_game"
    subject: ClassVar[str] = "cups"
    legend: ClassVar[str] = "Positions are counted from the left, each swap is a step."
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]] = (3, 3, 4, 6, 8)
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

    def stage(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage:
        num_cups = min(NUM_CUPS_BY_LEVEL[level], max(3, facts["num_operations"] + 1))  # else some would never move
        cup, ball = (list(COLORS)[i] for i in rng.choice(len(COLORS), 2, replace=False))
        revealed = str(1 + int(rng.integers(num_cups)))
        drawn = {"num_cups": num_cups, "cup": cup, "ball": ball}
        return Stage(revealed=(revealed,), facts=drawn, num_answers=num_cups)

    def propose(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> Course:
        num_cups = stage.facts["num_cups"]
        pairs = [sorted(rng.choice(num_cups, 2, replace=False)) for _ in range(facts["num_operations"])]
        return tuple(("swap", str(1 + int(a)), str(1 + int(b))) for a, b in pairs)

    def apply(self, state: State, operation: Operation) -> State:
        _, a, b = operation
        return ({a: b, b: a}.get(state[0], state[0]),)

    def undo(self, state: State, operation: Operation) -> State:
        return self.apply(state, operation)

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        return f"position {states[facts['asked_after']][0]}"

    def carried(self, facts: Facts, state: State) -> str:
        return state[0]

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return [*WORDINGS[facts["mode"]], *timed_wordings(TEMPLATES, facts)]

    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]:
        """The ball, seen only while its cup is lifted, and over it the cups."""
        slots_xy, radius_px = row_of(canvas.width, canvas.height, facts["num_cups"])
        shares = np.arange(1, timing.per_op + 1) / timing.per_op  # every swap ends at rest
        cups = trade_places(slots_xy, course, timing, shares, arc_px(radius_px))
        shown_slot = int(states[0 if timing.at_start else -1][0]) - 1
        cups[int(states[0][0]) - 1, timing.revealed_T, 1] -= LIFT * radius_px  # cups are numbered by their first slot
        ball = Track(
            name="ball",
            shape="circle",
            color=COLORS[facts["ball"]],
            radius_px=0.6 * radius_px,
            xy_T2=np.tile(slots_xy[shown_slot], (timing.num_frames, 1)),
            visible_T=timing.revealed_T,
        )
        everywhere = np.ones(timing.num_frames, np.bool_)
        color = COLORS[facts["cup"]]
        return ball, *(
            Track(name="cup", shape="cup", color=color, radius_px=radius_px, xy_T2=cup, visible_T=everywhere)
            for cup in cups
        )

    def recover(self, witness: Witness) -> int | None:
        """By the slots that are empty while two cups are on their way, and where the ball is seen."""
        frames_THWC, facts = witness.frames_THWC, witness.facts
        height, width = frames_THWC.shape[1:3]
        slots_xy, radius_px = row_of(width, height, facts["num_cups"])
        seen_T3 = follow(frames_THWC, COLORS[facts["ball"]])
        area_T = np.nan_to_num(seen_T3[:, 2])
        shown_T = area_T > 0.5 * area_T.max()
        if not shown_T.any():
            return None
        slot = int(np.argmin(np.abs(slots_xy[:, 0] - np.median(seen_T3[shown_T, 0]))))
        course = _seen_swaps(frames_THWC[~shown_T], COLORS[facts["cup"]], slots_xy, radius_px)
        if len(course) != facts["num_operations"]:
            return None
        answer = self.answer(facts, (str(slot + 1),), course)
        return witness.options.index(answer) if answer in witness.options else None


def _seen_swaps(
    frames_THWC: Frames, color: tuple[int, int, int], slots_xy: npt.NDArray[np.float64], radius_px: float
) -> Course:
    """One swap for each run of frames in which a slot is empty, between the two slots that are the emptiest in it."""
    covered_TN = coverage(frames_THWC, color, slots_xy, 0.4 * radius_px)
    moving_T = np.concatenate([[False], (covered_TN < 0.5).any(axis=1), [False]])
    starts, ends = (np.nonzero(np.diff(moving_T.astype(int)) == sign)[0] for sign in (1, -1))
    pairs = [sorted(np.argsort(covered_TN[a:b].mean(axis=0))[:2]) for a, b in zip(starts, ends, strict=True)]
    return tuple(("swap", str(int(a) + 1), str(int(b) + 1)) for a, b in pairs)
