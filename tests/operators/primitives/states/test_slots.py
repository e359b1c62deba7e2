"""Ways on which nothing touches another thing, and operations found by the places that were left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from temporay.operators.primitives.states._play import choose_timing, middle_shares, room_for, tells
from temporay.operators.primitives.states._slots import ROW_ARC, around, in_turn, pairs_seen, row_of
from temporay.operators.sampling import TWO_PER_SECOND

from tests.operators.primitives.planning import LARGE

GREEN = (40, 200, 60)


def test_things_that_trade_places_touch_no_other() -> None:
    """A witness can tell them apart in every frame, and the order of painting does not matter."""
    for num_slots in (3, 4, 5):
        slots_xy, radius_px = row_of(160, 120, num_slots)
        for a in range(num_slots):
            for b in range(a + 1, num_slots):
                over, under = around(slots_xy, a, b, np.linspace(0, 1, 200), ROW_ARC * radius_px)
                others = [np.tile(slots_xy[i], (200, 1)) for i in range(num_slots) if i not in (a, b)]
                for one, other in [(over, under), *((path, still) for path in (over, under) for still in others)]:
                    assert np.abs(one - other).max(axis=1).min() > 1.9 * radius_px
                assert over[:, 1].min() >= radius_px * 0.9


def test_a_pair_that_trades_places_is_seen_in_each_frame_that_tells() -> None:
    slots_xy, radius_px = row_of(160, 120, 4)
    shares = middle_shares(20)
    paths = around(slots_xy, 1, 3, shares, ROW_ARC * radius_px)
    frames_THWC = np.zeros((20, 120, 160, 3), np.uint8)
    still = [np.tile(slots_xy[i], (20, 1)) for i in (0, 2)]
    half_px = round(0.9 * radius_px)
    for path in (*paths, *still):
        for frame_HWC, (x, y) in zip(frames_THWC, path.round().astype(int), strict=True):
            frame_HWC[y - half_px : y + half_px + 1, x - half_px : x + half_px + 1] = GREEN
    seen = pairs_seen(frames_THWC, [GREEN], slots_xy, 0.4 * radius_px)
    assert [pair for pair, told in zip(seen, tells(shares), strict=True) if told] == [("2", "4")] * int(
        tells(shares).sum()
    )
    assert set(seen) <= {("2", "4"), None}


def test_an_operation_that_many_frames_show_is_one() -> None:
    a, b = ("swap", "1", "2"), ("swap", "2", "3")
    assert in_turn([None, a, a, None, a, b, None, a]) == [a, b, a]


def test_every_sampling_shows_a_frame_that_tells_each_operation() -> None:
    for fps, num_frames in ((8.0, (24, 48)), (30.0, (120, 240)), (30.0, (645, 945))):
        canvas = replace(LARGE, fps=fps, num_frames=num_frames, sampling=TWO_PER_SECOND)
        for num_operations in (3, 8, 15):
            room = room_for(canvas, num_operations)
            for length in range(room.clip, room.clip + num_frames[1] - num_frames[0], 7):
                timing = choose_timing(np.random.default_rng(length), length, room, fps, num_operations, True)
                assert timing.starts[-1] + timing.per_op <= length
                assert timing.reveal >= room.reveal
                for frames in canvas.sampling.choices(length, fps):
                    for start in timing.starts:
                        within = (np.array(frames) + 0.5 - start) / timing.per_op
                        assert tells(within).any(), (fps, length, num_operations)
