from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.render import render
from temporay.operators.primitives.motion._panels import cells, halves, panel_track
from temporay.operators.primitives.motion._stage import choose_actors
from temporay.operators.records import Address, Backdrop, ScenePlan
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.seeding import rng_at

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


def test_what_leaves_a_panel_enters_it_again_and_is_not_seen_outside() -> None:
    actor = choose_actors(rng_at("panel"), CANVAS, 1)[0]
    for panel in (*halves(64, 50), *cells(64, 50, 2)):
        steps_T2 = np.tile((3.0, 2.0), (29, 1))
        track = panel_track(actor, panel, CANVAS, np.array([0.5, 0.5]), steps_T2)
        plan = ScenePlan(
            address=Address(task="largest_motion", split="train", index=0, seed=0, level=0),
            width=64,
            height=50,
            fps=8.0,
            num_frames=30,
            backdrop=Backdrop(),
            tracks=(track,),
        )
        frames_THWC = render(plan)
        inside = panel.crop(frames_THWC)
        assert inside.sum() == frames_THWC.sum(), "nothing is drawn outside"
        areas = (inside.max(axis=-1) > 120).sum(axis=(1, 2))
        assert areas.min() > 0.8 * areas.max(), "what one edge cuts off is shown at the opposite one"
