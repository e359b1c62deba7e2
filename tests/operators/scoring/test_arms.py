"""Each arm takes away what it says, and gives the same frames every time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.media import Clips
from temporay.operators.records import Address, Frames, Question
from temporay.operators.scoring.arms import (
    EVERY_ARM,
    FRAME_ARMS,
    LOG_ARMS,
    NONE_OF_THEM,
    OPTION_ARMS,
    Arm,
    apply_arm,
    asked_under,
)


def make_frames(num_frames: int) -> Clips:
    return (_frames(num_frames),)


def _frames(num_frames: int) -> Frames:
    return np.arange(num_frames, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def make_address(index: int) -> Address:
    return Address(task="first_last", split="test", index=index, seed=0, level=0)


def order(clips: Clips, place: int = 0) -> list[int]:
    frames_THWC = clips[place]
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
    assert apply_arm("blind", frames, make_address(0)) == ()


def test_reversed_turns_the_clip_round() -> None:
    assert order(apply_arm("reversed", make_frames(4), make_address(0))) == [3, 2, 1, 0]


@pytest.mark.parametrize("arm", ["ordered", "shuffled", "reversed", "single_frame"])
def test_one_frame_has_no_other_order(arm: Arm) -> None:
    assert order(apply_arm(arm, make_frames(1), make_address(0))) == [0]


def test_every_video_is_changed_by_itself() -> None:
    """The first one as if it were alone. A picture between them stays as it is."""
    clips = (*make_frames(6), *make_frames(1), *make_frames(6))
    for arm in ("shuffled", "single_frame", "reversed"):
        changed = apply_arm(arm, clips, make_address(0))
        assert order(changed) == order(apply_arm(arm, make_frames(6), make_address(0)))
        assert order(changed, 1) == [0] and len(order(changed, 2)) == 6
        assert order(changed, 2) != list(range(6))
    assert order(apply_arm("shuffled", clips, make_address(0))) != order(
        apply_arm("shuffled", clips, make_address(0)), 2
    )
    assert apply_arm("blind", clips, make_address(0)) == ()


ORDER = Question(
    text="?",
    options=("a, b", "b, a"),
    answer_index=1,
    kind="order",
    values=(("a", "b"), ("b", "a")),
    answer_format="text",
)


def test_shuffled_options_keep_the_right_one_and_its_value() -> None:
    seen = set()
    for index in range(20):
        asked = asked_under("options_shuffled", ORDER, make_address(index))
        assert asked.options == ("b, a", "a, b") and asked.answer_index == 0 and asked.values == ORDER.values[::-1]
        seen.add(asked)
    assert len(seen) == 1  # two options have one other order


def test_the_right_option_is_taken_out() -> None:
    asked = asked_under("right_removed", ORDER, make_address(0))
    assert asked.options == ("a, b", NONE_OF_THEM) and asked.answer_index == 1 and asked.values == ()


@pytest.mark.parametrize("arm", [*FRAME_ARMS, *LOG_ARMS, "numbered"])
def test_other_arms_ask_with_the_same_options(arm: Arm) -> None:
    assert asked_under(arm, ORDER, make_address(0)) is ORDER


@pytest.mark.parametrize("arm", OPTION_ARMS)
def test_a_question_without_options_has_none_to_change(arm: Arm) -> None:
    with pytest.raises(SampleRejected, match="no_options"):
        asked_under(arm, replace(ORDER, answer_format="free"), make_address(0))


def test_every_arm_is_of_one_kind_and_two_show_no_video() -> None:
    assert sorted(EVERY_ARM) == sorted({*FRAME_ARMS, *OPTION_ARMS, *LOG_ARMS}) and len(EVERY_ARM) == 11
    assert [arm for arm in EVERY_ARM if apply_arm(arm, make_frames(4), make_address(0)) == ()] == [
        "blind",
        "caption_only",
    ]
