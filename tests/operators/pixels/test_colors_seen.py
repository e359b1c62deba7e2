"""Where a color is, how much of a place it covers, and when something turns."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.pixels.colors_seen import color_masks, coverage, follow, mask_centers
from temporay.operators.pixels.shapes import COLORS

RED = COLORS["red"]


def frames_with_squares() -> np.ndarray:
    """Move a red square of 5 px by 2 px per frame to the right, around the joined edges: (10, 40, 60, 3)."""
    frames_THWC = np.full((10, 40, 60, 3), 30, np.uint8)
    for t, frame_HWC in enumerate(frames_THWC):
        frame_HWC[18:23, np.arange(50 + 2 * t, 55 + 2 * t) % 60] = RED
    return frames_THWC


def test_a_color_is_followed_around_joined_edges() -> None:
    seen_T3 = follow(frames_with_squares(), RED)
    assert seen_T3[:, 0] == pytest.approx(np.mod(52 + 2 * np.arange(10), 60))
    assert seen_T3[:, 1] == pytest.approx(20)
    assert (seen_T3[:, 2] == 25).all()


def test_masks_have_centers_and_absent_colors_have_none() -> None:
    masks_THW = color_masks(frames_with_squares()[:2], RED)
    assert mask_centers(masks_THW).tolist() == [[52.0, 20.0], [54.0, 20.0]]
    assert np.isnan(mask_centers(masks_THW, min_area_px=26)).all()
    assert np.isnan(follow(frames_with_squares(), COLORS["blue"])[:, :2]).all()


def test_coverage_is_the_share_of_a_square_that_has_the_color() -> None:
    centers_xy = np.array([[52.0, 20.0], [55.0, 20.0], [10.0, 10.0]])
    assert coverage(frames_with_squares()[:1], RED, centers_xy, 2.0)[0] == pytest.approx([1.0, 0.4, 0.0])


@pytest.mark.parametrize(("difference", "is_near"), [(74, True), (75, False)])
def test_one_tolerance_decides_what_is_near_a_color(difference: int, is_near: bool) -> None:
    frame_HWC = np.array([[[RED[0] - 40, RED[1] + difference - 40, RED[2]]]], np.uint8)
    assert bool(color_masks(frame_HWC[None], RED)[0, 0, 0]) == is_near
