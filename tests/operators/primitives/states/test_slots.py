"""Ways on which nothing touches another thing, and operations found by what was seen to move."""

from __future__ import annotations

import numpy as np
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.primitives.states._recovery import seen_pair, split_active
from temporay.operators.primitives.states._slots import arc_px, around, row_of


def test_things_that_trade_places_touch_no_other() -> None:
    """A witness can tell them apart in every frame, and the order of painting does not matter."""
    for num_slots in (3, 4, 5):
        slots_xy, radius_px = row_of(160, 120, num_slots)
        for a in range(num_slots):
            for b in range(a + 1, num_slots):
                over, under = around(slots_xy, a, b, np.linspace(0, 1, 200), arc_px(radius_px))
                others = [np.tile(slots_xy[i], (200, 1)) for i in range(num_slots) if i not in (a, b)]
                for one, other in [(over, under), *((path, still) for path in (over, under) for still in others)]:
                    assert np.abs(one - other).max(axis=1).min() > 1.9 * radius_px
                assert over[:, 1].min() >= radius_px * 0.9


def test_operations_are_centered_on_the_motion_seen() -> None:
    active_T = np.zeros(30, np.bool_)
    active_T[8:27] = True  # the slow frames at both ends passed for rest
    assert split_active(active_T, 3) == [slice(5, 13), slice(13, 21), slice(21, 29)]
    assert split_active(np.zeros(30, np.bool_), 3) is None


def test_a_pair_that_trades_places_is_recognized() -> None:
    slots_xy, radius_px = row_of(160, 120, 4)
    paths = around(slots_xy, 1, 3, (np.arange(6) + 0.5) / 6, arc_px(radius_px))
    frames_THWC = np.zeros((6, 120, 160, 3), np.uint8)
    for path in paths:
        for frame_HWC, (x, y) in zip(frames_THWC, path.round().astype(int), strict=True):
            frame_HWC[y - 4 : y + 5, x - 4 : x + 5] = (40, 200, 60)
    assert seen_pair(frames_THWC, (40, 200, 60), slots_xy, radius_px, 3.0) == (1, 3)
    assert coverage(frames_THWC[:1], (40, 200, 60), paths[:, 0], 3.0).tolist() == [[1.0, 1.0]]
