"""Parts of the frame that are small frames of their own: the two halves, the cells of a grid.

Lines are drawn between panels. A shape keeps to the inside of its panel, so it is always seen whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._plan import shape_track
from temporay.operators.records import Frames, Track

LINE_COLOR = (110, 110, 110)
LINE_WIDTH = 0.008  # parts of the frame's shorter side

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


def lines(panels: Sequence[Panel], canvas: Canvas, num_frames: int) -> list[Track]:
    """Return the lines between panels, as tracks that stand still."""
    half_px = max(1, round(LINE_WIDTH * min(canvas.width, canvas.height) / 2))
    upright = [(x - half_px, 0, x + half_px, canvas.height) for x in sorted({panel.left for panel in panels} - {0})]
    level = [(0, y - half_px, canvas.width, y + half_px) for y in sorted({panel.top for panel in panels} - {0})]
    middle = np.array([canvas.width, canvas.height]) / 2
    radius_px = float(max(canvas.width, canvas.height))
    line = shape_track("line", "square", LINE_COLOR, radius_px, np.tile(middle, (num_frames, 1)))
    return [replace(line, window_px=window_px) for window_px in (*upright, *level)]


def _cell_name(down: str, across: str) -> str:
    return "centre" if down == across == "middle" else f"{down} {across}"  # codespell:ignore centre
