"""The answer of the shell game, worked out again from where the cups are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.records import ScenePlan

from tests.operators.primitives.planning import answer_of, make_plan


def cup_of_the_ball(plan: ScenePlan) -> str:
    """Find which cup is lifted, and in which slot it stands at the time that is asked about."""
    ball, *cups = plan.tracks
    x_NT = np.stack([cup.xy_T2[:, 0] for cup in cups])
    reveal_frame = int(ball.visible_T.argmax())
    lifted = int(np.argmin([cup.xy_T2[reveal_frame, 1] for cup in cups]))
    assert x_NT[lifted, reveal_frame] == pytest.approx(ball.xy_T2[reveal_frame, 0])
    slot_xs = np.sort(x_NT[:, reveal_frame])
    if plan.facts["mode"] == "retrodictive":
        # a swap may be under way in frame 0 already, so the slot is read when that swap has ended
        first_swap = min((e for e in plan.events if e.kind == "swap"), key=lambda e: e.start_ms)
        a, b = (int(n) - 1 for n in first_swap.detail.split()[:2])
        end_slot = int(np.argmin(np.abs(slot_xs - x_NT[lifted, round(first_swap.end_ms * plan.fps / 1000) - 1])))
        return f"position {({a: b, b: a}.get(end_slot, end_slot)) + 1}"
    frame = plan.num_frames - 1
    if plan.facts["mode"] == "historical":
        swap_ends = sorted(event.end_ms for event in plan.events if event.kind == "swap")
        frame = round(swap_ends[plan.facts["asked_after"] - 1] * plan.fps / 1000) - 1
    return f"position {int(np.argmin(np.abs(slot_xs - x_NT[lifted, frame]))) + 1}"


@pytest.mark.parametrize("level", range(5))
def test_answer_holds_in_what_is_drawn(level: int) -> None:
    for index in range(40):
        plan = make_plan("shell_game", index, level)
        assert answer_of(plan) == cup_of_the_ball(plan), plan.address
