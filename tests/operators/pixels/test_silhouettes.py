"""Painted shapes are recognized at their angle, size and color, and what changes between two frames is found."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.pixels.colors_seen import color_masks
from temporay.operators.pixels.shapes import COLORS, SHAPES, TURNED_SHAPES, paint
from temporay.operators.pixels.silhouettes import most_like, places_seen
from temporay.operators.records import Frames


def frame(*shapes: tuple[str, str, tuple[float, float], float, float]) -> Frames:
    """Paint each (shape, color, center, radius, angle) on a frame, (120, 160, 3)."""
    image_HWC = np.full((120, 160, 3), 40, np.uint8)
    for shape, color, xy, radius_px, angle_deg in shapes:
        paint(image_HWC, shape, COLORS[color], xy, radius_px, angle_deg)
    return image_HWC


@pytest.mark.parametrize("angle_deg", [0, 35, 140, 265])
@pytest.mark.parametrize("shape", TURNED_SHAPES)
def test_the_angle_of_a_turned_shape_is_seen(shape: str, angle_deg: int) -> None:
    mask_HW = color_masks(frame((shape, "red", (70.3, 50.8), 15.0, angle_deg))[None], COLORS["red"])[0]
    seen = most_like(mask_HW, TURNED_SHAPES, turned=True)
    assert seen is not None
    assert seen.shape == shape
    assert abs((seen.angle_deg - angle_deg + 180) % 360 - 180) <= 5


@pytest.mark.parametrize("radius_px", [7.0, 18.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_form_and_size_are_seen(shape: str, radius_px: float) -> None:
    mask_HW = color_masks(frame((shape, "blue", (60.0, 61.5), radius_px, 0.0))[None], COLORS["blue"])[0]
    seen = most_like(mask_HW, SHAPES, turned=False)
    assert seen is not None
    assert seen.shape == shape
    assert seen.radius_px == pytest.approx(radius_px, rel=0.15)


def test_an_empty_mask_is_no_shape() -> None:
    assert most_like(np.zeros((20, 20), np.bool_), SHAPES, turned=False) is None


@pytest.mark.parametrize(
    ("changed", "after"),
    [
        ("", ("star", "red", (30.0, 30.0), 14.0, 0.0)),
        ("color", ("star", "cyan", (30.0, 30.0), 14.0, 0.0)),
        ("size", ("star", "red", (30.0, 30.0), 8.0, 0.0)),
        ("form", ("cross", "red", (30.0, 30.0), 14.0, 0.0)),
        ("place", ("star", "red", (30.0, 90.0), 14.0, 0.0)),
    ],
)
def test_what_changes_is_seen(changed: str, after: tuple[str, str, tuple[float, float], float, float]) -> None:
    other = ("circle", "yellow", (120.0, 60.0), 12.0, 0.0)
    first, last = frame(("star", "red", (30.0, 30.0), 14.0, 0.0), other), frame(after, other)
    places = places_seen(np.stack([first, first, first, last, last]))
    assert places is not None
    found = {str(place.changed): place for place in places if place.form != "circle"}
    assert set(found) == {changed}
    assert not changed or found[changed].frame == 3
    assert [place.changed for place in places if place.form == "circle"] == [""]


def test_shapes_too_small_to_tell_are_not_guessed() -> None:
    assert places_seen(frame(("star", "red", (30.0, 30.0), 2.5, 0.0))[None]) is None
