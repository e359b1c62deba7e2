from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.render import render
from temporay.operators.primitives.motion._panels import cells, halves, lines
from temporay.operators.records import Address, Backdrop, ScenePlan
from temporay.operators.sampling import EVERY_FRAME

from tests.operators.primitives.planning import LARGE, make_plan

CANVAS = Canvas(
    width=64,
    height=50,
    fps=8.0,
    num_frames=(8, 8),
    num_scenes=(1, 1),
    frames_per_scene=(1, 1),
    jitter="none",
    sampling=EVERY_FRAME,
)


@pytest.mark.parametrize("num_rows", [2, 3])
def test_cells_cover_the_frame_once_and_have_different_names(num_rows: int) -> None:
    covered = np.zeros((50, 64), int)
    grid = cells(64, 50, num_rows)
    for cell in grid:
        covered[cell.top : cell.bottom, cell.left : cell.right] += 1
    assert (covered == 1).all()
    assert len({cell.name for cell in grid}) == num_rows**2
    assert (grid[0].name, grid[-1].name) == ("top left", "bottom right")


def test_lines_part_the_panels_and_shapes_keep_inside() -> None:
    for panels in (halves(64, 50), cells(64, 50, 2), cells(64, 50, 3)):
        plan = ScenePlan(
            address=Address(task="largest_motion", split="train", index=0, seed=0, level=0),
            width=64,
            height=50,
            fps=8.0,
            num_frames=1,
            backdrop=Backdrop(),
            tracks=tuple(lines(panels, CANVAS, 1)),
        )
        painted_HW = render(plan)[0].any(axis=-1)
        for panel in panels:
            assert not painted_HW[panel.top + 1 : panel.bottom - 1, panel.left + 1 : panel.right - 1].any()
        for one, other in pairwise(panels):
            if one.top == other.top:
                assert painted_HW[:, other.left].all()


@pytest.mark.parametrize("task", ["same_moment", "largest_motion"])
def test_a_shape_is_always_seen_whole_in_its_panel(task: str) -> None:
    for index in range(8):
        plan = make_plan(task, index, 4, LARGE)
        panels = cells(160, 120, 3) if task == "largest_motion" else halves(160, 120)
        for track in plan.tracks:
            if track.name == "line":
                continue
            inside = [
                (track.xy_T2 - track.radius_px >= (panel.left, panel.top)).all()
                and (track.xy_T2 + track.radius_px <= (panel.right, panel.bottom)).all()
                for panel in panels
            ]
            assert sum(map(bool, inside)) == 1
