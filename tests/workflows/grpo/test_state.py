from __future__ import annotations

from temporay.workflows.grpo.state import StageClock


def test_seconds_move_without_loss() -> None:
    clock = StageClock(seconds={"train": 5.0})
    clock.move(1.5, "train", "sync")
    clock.move(0.5, "train", "sync")
    assert clock.seconds == {"train": 3.0, "sync": 2.0}
