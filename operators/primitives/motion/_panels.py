"""Parts of the frame that are small frames of their own: the two halves, the cells of a grid.

A shape in a panel is cut off at the panel's edges, which may be joined like those of the whole frame: then no single
picture of a panel says how anything in it moves.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.primitives.motion._stage import Actor, to_track, torus_path
from temporay.operators.records import Frames, Track

ROWS = {2: ("top", "bottom"), 3: ("top", "middle", "bottom")}
COLUMNS = {2: ("left", "right"), 3: ("left", "middle", "right")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A rectangle of the frame, in pixels."""

    name: str  # what questions call it: "left half", "top middle"
    left: int
    top: int
    right: int  # exclusive
    bottom: int  # exclusive

    @property
    def window_px(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom

    def canvas(self, canvas: Canvas) -> Canvas:
        """Return the canvas as if this were the whole frame."""
        return replace(canvas, width=self.right - self.left, height=self.bottom - self.top)

    def crop(self, frames_THWC: Frames) -> Frames:
        return frames_THWC[:, self.top : self.bottom, self.left : self.right]


def halves(width: int, height: int) -> tuple[Panel, Panel]:
    """Return the left and the right half of a frame."""
    middle = width // 2
    left = Panel(name="left half", left=0, top=0, right=middle, bottom=height)
    return left, Panel(name="right half", left=middle, top=0, right=width, bottom=height)


def cells(width: int, height: int, num_rows: int) -> tuple[Panel, ...]:
    """Return the cells of a square grid of 2 or 3 rows, row by row."""
    x, y = (np.rint(np.linspace(0, side, num_rows + 1)).astype(int).tolist() for side in (width, height))
    return tuple(
        Panel(name=_cell_name(down, across), left=x[j], top=y[i], right=x[j + 1], bottom=y[i + 1])
        for i, down in enumerate(ROWS[num_rows])
        for j, across in enumerate(COLUMNS[num_rows])
    )


def panel_track(
    actor: Actor,
    panel: Panel,
    canvas: Canvas,
    start_share: npt.NDArray[np.float64],
    step_xy_T2: npt.NDArray[np.float64],
) -> Track:
    """Move a shape by these steps in px on a panel whose edges are joined.

    Args:
        start_share: where it starts, (2,) in shares of the panel's width and height.
    """
    own = panel.canvas(canvas)
    origin = np.array([panel.left, panel.top])
    path_T2 = origin + torus_path(start_share * (own.width, own.height), step_xy_T2, own)
    return replace(to_track(actor, path_T2, wraps=True), window_px=panel.window_px)


def _cell_name(down: str, across: str) -> str:
    return "centre" if down == across == "middle" else f"{down} {across}"  # codespell:ignore centre
