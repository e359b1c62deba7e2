"""Places that do not touch: inside the frame, apart from each other, and refused when there is no room."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.primitives.motion._layout import cell_room_px, place_apart
from temporay.operators.sampling import EVERY_FRAME


def canvas(width: int, height: int) -> Canvas:
    return Canvas(
        width=width,
        height=height,
        fps=8,
        num_frames=(8, 8),
        num_scenes=(2, 2),
        frames_per_scene=(2, 2),
        jitter="none",
        sampling=EVERY_FRAME,
    )


@pytest.mark.parametrize("size", [(48, 48), (160, 120), (64, 256)])
@pytest.mark.parametrize("num_shapes", range(1, 8))
def test_rooms_are_inside_the_frame_and_do_not_meet(num_shapes: int, size: tuple[int, int]) -> None:
    frame = canvas(*size)
    room_px = cell_room_px(frame, num_shapes)
    for seed in range(20):
        places = place_apart(np.random.default_rng(seed), frame, [room_px] * num_shapes)
        for place in places:
            assert np.all(place >= room_px) and np.all(place <= np.array(size) - room_px)
        for one, other in combinations(places, 2):
            assert np.linalg.norm(one - other) > 2 * room_px


def test_a_smaller_room_leaves_freedom_in_the_cell() -> None:
    places = [place_apart(np.random.default_rng(seed), canvas(160, 120), [5.0])[0] for seed in range(50)]
    assert np.ptp(np.stack(places), axis=0).min() > 60


def test_a_room_larger_than_its_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="its cell has"):
        place_apart(np.random.default_rng(0), canvas(48, 48), [20.0, 20.0])
