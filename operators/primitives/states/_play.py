"""What one game of hidden states is set up with, asks for, and is drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import UserError
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives.states._course import Course, Operation, State, Timing

MODES = ("forward", "retrodictive", "historical")
MIN_SIDE_PX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that is chosen before the operations: the state that is shown, what is asked, colors."""

    revealed: State
    facts: Facts
    num_answers: int  # the most different answers there can be


class Layout(NamedTuple):
    """The centers of all places, (N, 2) px, and the radius of what stands in them, in px."""

    places_xy: npt.NDArray[np.float64]
    radius_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One game as it is drawn and logged. ``states`` are those before the first operation and after each."""

    facts: Facts
    canvas: Canvas
    timing: Timing
    course: Course
    states: Sequence[State]
    revealed: State
    layout: Layout

    @property
    def steps(self) -> list[tuple[Operation, slice]]:
        """Each operation with its frames."""
        return self.timing.steps(self.course)


def choose_query(rng: np.random.Generator, num_operations: int) -> dict[str, Any]:
    """Choose which state is shown and which is asked for. The truth has no part in it."""
    mode = MODES[int(rng.integers(3 if num_operations > 1 else 2))]
    at_start = bool(rng.integers(2)) if mode == "historical" else mode == "forward"
    # A state near the one that is shown would need few operations, so one of the further half is asked for.
    away = int(rng.integers((num_operations + 1) // 2, max(2, num_operations)))
    between = away if at_start else num_operations - away
    asked_after = {"forward": num_operations, "retrodictive": 0, "historical": between}[mode]
    return {"mode": mode, "at_start": at_start, "asked_after": asked_after, "num_operations": num_operations}


def check_sides(canvas: Canvas, task: str) -> None:
    for name in ("width", "height"):
        if getattr(canvas, name) < MIN_SIDE_PX:
            raise UserError(
                f"canvas.{name}={getattr(canvas, name)} is too small for {task}; it needs {MIN_SIDE_PX} px or more"
            )
