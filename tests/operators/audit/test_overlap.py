"""Near-equal frames are found after scaling and encoding, and unlike ones are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from temporay.operators.audit.overlap import Fingerprint, fingerprint, frame_hashes, overlaps
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.records import Frames

NUM_CLIPS = 60


def clip(seed: int, side: int = 64) -> Frames:
    """Draw frames of soft blobs, as photographs have them."""
    rng = np.random.default_rng(seed)
    frames = [cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (side, side)) for _ in range(6)]
    return np.stack(frames)


def of(key: str, frames_THWC: Frames | None, *, video: str = "", text: str = "What?") -> Fingerprint:
    return fingerprint(key, video, text, ["up", "down"], (frames_THWC,))


TRAINED = [of(f"trained{n}", clip(n), text=f"Question {n}?") for n in range(NUM_CLIPS)]


def re_encoded(frames_THWC: Frames) -> Frames:
    return decode(encode(frames_THWC, 4.0, Codec(crf=30)).data)


def scaled(frames_THWC: Frames) -> Frames:
    return np.stack([cv2.resize(frame, (150, 100)) for frame in frames_THWC])


def brighter(frames_THWC: Frames) -> Frames:
    return (frames_THWC * 0.8 + 40).astype(np.uint8)


@pytest.mark.parametrize("change", [re_encoded, scaled, brighter, lambda frames: frames[1:5]])
def test_the_same_frames_are_found_however_they_were_stored(change: object) -> None:
    tested = [of(f"tested{n}", change(clip(n))) for n in range(0, NUM_CLIPS, 7)]  # type: ignore[operator]
    found = {(one.tested, one.trained) for one in overlaps(TRAINED, tested) if one.kind == "frames"}
    assert found == {(f"tested{n}", f"trained{n}") for n in range(0, NUM_CLIPS, 7)}


def test_other_frames_are_not_found() -> None:
    tested = [of(f"tested{n}", clip(1000 + n)) for n in range(NUM_CLIPS)]
    assert overlaps(TRAINED, tested) == []


def test_flat_frames_are_like_all_others_and_say_nothing() -> None:
    flat = np.full((4, 32, 32, 3), 90, np.uint8)
    assert len(frame_hashes(flat)) == 0
    assert overlaps([of("a", flat, text="One?")], [of("b", flat, text="Two?")]) == []


def test_one_frame_of_five_is_not_the_clip() -> None:
    mixed = np.concatenate([clip(3)[:1], clip(2000)[1:]])
    assert overlaps(TRAINED, [of("tested", mixed)]) == []


def test_names_and_questions_are_compared_without_folders_case_and_order_of_options() -> None:
    trained = [fingerprint("a", "train/Dog Run.mp4", "What  happens?", ["x", "y"], ())]
    tested = [
        fingerprint("b", "videos/dog run.webm", "Who?", ["x", "y"], ()),
        fingerprint("c", "", "what happens", ["Y", "x"], ()),
        fingerprint("d", "", "What happens?", ["x", "z"], ()),
    ]
    assert [(one.tested, one.kind) for one in overlaps(trained, tested)] == [("b", "video name"), ("c", "question")]
