"""Arms of an evaluation: what a model is shown and asked, all or less.

A gain in ``ordered`` alone is a gain in reasoning about time. ``shuffled`` keeps the frames but not their order,
``reversed`` turns it round, ``single_frame`` keeps one frame, ``blind`` keeps none (arXiv 2506.06928 and 2603.17693
report shuffled and single frames). The last two keep the clip and change the options: ``options_shuffled`` asks with
the same options in another order, ``right_removed`` with words that stand for none of them in the right one's place.
"""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from temporay.operators.errors import SampleRejected
from temporay.operators.media import Clips, Frames
from temporay.operators.records import Address, Question
from temporay.operators.seeding import rng_at

FrameArm = Literal["ordered", "shuffled", "reversed", "single_frame", "blind"]
OptionArm = Literal["options_shuffled", "right_removed", "numbered"]
LogArm = Literal["caption_only", "oracle_frames", "slow_motion"]
Arm = FrameArm | OptionArm | LogArm
ARMS: tuple[Arm, ...] = ("ordered", "shuffled", "single_frame", "blind")  # without a choice of the user's
FRAME_ARMS: tuple[Arm, ...] = get_args(FrameArm)
OPTION_ARMS: tuple[Arm, ...] = get_args(OptionArm)
LOG_ARMS: tuple[Arm, ...] = get_args(LogArm)
EVERY_ARM: tuple[Arm, ...] = (*FRAME_ARMS, *OPTION_ARMS, *LOG_ARMS)
WHOLE_CLIP: frozenset[Arm] = frozenset({"ordered", *OPTION_ARMS, "slow_motion"})  # they show every frame in its place
NO_VIDEO: frozenset[Arm] = frozenset({"blind", "caption_only"})
NONE_OF_THEM = "none of the other options"


def apply_arm(arm: Arm, clips: Clips, address: Address) -> Clips:
    """Return the frames of one arm, which depend on the address alone; none where no video is shown.

    Every video is changed by itself. Pictures are shown as they are by every arm that shows something.
    ``oracle_frames`` takes frames by the event log (``log_arms.deciding_places``) and not here.
    """
    if arm in NO_VIDEO:
        return ()
    # The first video draws from the address alone.
    return tuple(_changed(arm, clip, (*address.parts(), *([n] if n else []))) for n, clip in enumerate(clips))


def _changed(arm: Arm, frames_THWC: Frames, parts: tuple[object, ...]) -> Frames:
    num_frames = len(frames_THWC)
    if arm == "shuffled":
        shuffled_THWC: Frames = frames_THWC[_permutation(num_frames, parts, "shuffle")]
        return shuffled_THWC
    if arm == "reversed":
        return frames_THWC[::-1]
    if arm == "single_frame":
        frame = int(rng_at(*parts, "single_frame").integers(num_frames))
        return np.repeat(frames_THWC[frame : frame + 1], num_frames, axis=0)
    return frames_THWC


def asked_under(arm: Arm, question: Question, address: Address) -> Question:
    """Return the question of one arm. Numbers in place of letters change how it is written and read, and not itself.

    Raises:
        SampleRejected: the arm changes options, and the question lists none.
    """
    if arm in OPTION_ARMS and not question.lists_options:
        raise SampleRejected("no_options", "its prompt lists no options")
    if arm == "options_shuffled":
        order = _permutation(len(question.options), address.parts(), "options").tolist()
        return replace(
            question,
            options=tuple(question.options[i] for i in order),
            values=tuple(question.values[i] for i in order) if question.values else (),
            answer_index=order.index(question.answer_index),
        )
    if arm != "right_removed":
        return question
    options = list(question.options)
    options[question.answer_index] = NONE_OF_THEM
    return replace(question, options=tuple(options), kind="choice", values=())


def _permutation(length: int, parts: tuple[object, ...], purpose: str) -> np.ndarray:
    rng = rng_at(*parts, purpose)
    while length > 1:
        order = rng.permutation(length)
        if not np.array_equal(order, np.arange(length)):
            return order
    return np.arange(length)
