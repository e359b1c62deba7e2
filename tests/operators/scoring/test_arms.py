"""Each arm takes away what it says, and gives the same frames every time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from temporay.operators.records import Address, Frames
from temporay.operators.scoring.arms import apply_arm


def make_frames(num_frames: int) -> Frames:
    return np.arange(num_frames, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def make_address(index: int) -> Address:
    return Address(task="first_last", split="test", index=index, seed=0, level=0)


def order(frames_THWC: Frames | None) -> list[int]:
    assert frames_THWC is not None
    return [int(n) for n in frames_THWC[:, 0, 0, 0]]


@pytest.mark.parametrize("num_frames", [2, 3, 8])
def test_shuffled_keeps_the_frames_and_never_their_order(num_frames: int) -> None:
    frames = make_frames(num_frames)
    for index in range(50):
        shuffled = order(apply_arm("shuffled", frames, make_address(index)))
        assert sorted(shuffled) == list(range(num_frames)) != shuffled
        assert shuffled == order(apply_arm("shuffled", frames, make_address(index)))


def test_single_frame_is_one_frame_of_the_clip_for_its_whole_length() -> None:
    chosen = Counter(order(apply_arm("single_frame", make_frames(4), make_address(i)))[0] for i in range(400))
    assert set(chosen) == {0, 1, 2, 3} and max(chosen.values()) < 150
    assert len(set(order(apply_arm("single_frame", make_frames(4), make_address(0))))) == 1
    assert len(order(apply_arm("single_frame", make_frames(4), make_address(0)))) == 4


def test_ordered_keeps_the_clip_and_blind_has_none() -> None:
    frames = make_frames(5)
    assert order(apply_arm("ordered", frames, make_address(0))) == [0, 1, 2, 3, 4]
    assert apply_arm("blind", frames, make_address(0)) is None


def test_a_clip_of_one_frame_cannot_be_shuffled() -> None:
    with pytest.raises(ValueError, match="no other order"):
        apply_arm("shuffled", make_frames(1), make_address(0))
