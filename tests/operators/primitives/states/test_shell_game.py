"""The answer of the shell game, worked out again from where the cups are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.records import ScenePlan

from tests.operators.primitives.planning import LARGE, answer_of, make_plan


def cup_of_the_ball(plan: ScenePlan) -> str:
    """Find which cup is lifted, and in which slot it stands at the time that is asked about."""
    ball, *cups = plan.tracks
    cup_px = cups[0].radius_px
    reveal_frame = int(ball.visible_T.argmax())
    cups_xy = np.stack([cup.xy_T2 for cup in cups])
    off_xy = cups_xy[:, reveal_frame] - ball.xy_T2[reveal_frame]
    lifted = int(np.argmin(np.hypot(off_xy[:, 0], off_xy[:, 1] + 1.6 * cup_px)))
    assert off_xy[lifted, 0] == pytest.approx(0)
    slots_xy = cups_xy[:, reveal_frame].copy()
    slots_xy[lifted] = ball.xy_T2[reveal_frame]
    slots_xy = slots_xy[np.lexsort(slots_xy.T.round(3))]
    swaps = sorted((e for e in plan.events if e.kind == "swap"), key=lambda e: e.start_ms)
    slot = int(np.argmin(np.hypot(*(slots_xy - ball.xy_T2[reveal_frame]).T)))
    at_start = plan.facts["at_start"]
    for n, swap in enumerate(swaps if at_start else swaps[::-1], start=1):
        if n > (plan.facts["asked_after"] if at_start else len(swaps) - plan.facts["asked_after"]):
            break
        first, last = (round(ms * plan.fps / 1000) for ms in (swap.start_ms, swap.end_ms))
        frame = last - 1 if at_start else first  # the cup has nearly arrived, or has just left
        middle = (first + last) // 2
        away = [
            i for i, slot_xy in enumerate(slots_xy) if np.hypot(*(cups_xy[:, middle] - slot_xy).T).min() > cup_px / 2
        ]
        assert len(away) == 2, "two slots are empty in the middle of a swap"
        if slot in away:
            slot = min(away, key=lambda i: float(np.hypot(*(cups_xy[lifted, frame] - slots_xy[i]))))
    return f"position {slot + 1}"


@pytest.mark.parametrize("level", range(5))
def test_answer_holds_in_what_is_drawn(level: int) -> None:
    for index in range(40):
        plan = make_plan("shell_game", index, level, LARGE)
        assert answer_of(plan) == cup_of_the_ball(plan), plan.address
