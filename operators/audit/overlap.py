"""What of one set of questions about videos is in another: names of videos, questions, near-equal frames.

    training data, benchmark → Fingerprint of every question → Overlap of a tested question with a trained one

Published models were trained on videos of the benchmarks that they report (TVBench among them), often without a word.
Equal questions are common where both sides use templates. Equal frames are not.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.media import Clips, Frames
from temporay.operators.pixels.likeness import MAX_BITS, hash_of

NUM_FRAMES = 5  # of each clip, evenly spread
MIN_SHARE = 0.5  # of a tested clip's frames that must be in one trained clip
WORD = re.compile(r"\w+")

Hashes = npt.NDArray[np.uint64]
OverlapKind = Literal["video name", "question", "frames"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What identifies a question about a video."""

    key: str
    video: str  # its file's name without folder and ending; "": it has none of its own
    words: str  # question and options in small letters, without punctuation
    hashes_T: Hashes  # of some of its frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A tested question of which something is in the training data."""

    tested: str
    trained: str
    kind: OverlapKind


def fingerprint(key: str, video: str, text: str, options: Sequence[str], clips: Clips) -> Fingerprint:
    """Return what identifies a question.

    Args:
        video: the path of its first video or picture, or "".
        clips: what they all show, uint8 RGB; none: frames are not compared.
    """
    return Fingerprint(
        key=key,
        video=PurePosixPath(video).stem.lower(),
        words=" ".join(WORD.findall(" ".join([text, *sorted(options, key=str.lower)]).lower())),
        hashes_T=np.concatenate([np.zeros(0, np.uint64), *map(frame_hashes, clips)]),
    )


def frame_hashes(frames_THWC: Frames) -> Hashes:
    """Hash some frames of a clip. Flat frames have no hash."""
    places = np.linspace(0, len(frames_THWC) - 1, min(NUM_FRAMES, len(frames_THWC))).round().astype(int)
    found = [hash_of(frame_HWC) for frame_HWC in frames_THWC[places]]
    return np.array([one for one in found if one is not None], np.uint64)


def overlaps(trained: Sequence[Fingerprint], tested: Sequence[Fingerprint]) -> list[Overlap]:
    """Return for every tested question the first trained one with its video's name, its words and its frames."""
    by_video = {one.video: one.key for one in reversed(trained) if one.video}
    by_words = {one.words: one.key for one in reversed(trained)}
    found = []
    for one in tested:
        if one.video in by_video:
            found.append(Overlap(tested=one.key, trained=by_video[one.video], kind="video name"))
        if one.words in by_words:
            found.append(Overlap(tested=one.key, trained=by_words[one.words], kind="question"))
    return found + list(_equal_frames(trained, tested))


def _equal_frames(trained: Sequence[Fingerprint], tested: Sequence[Fingerprint]) -> Iterator[Overlap]:
    """Yield tested clips of which a sufficient share of frames is near frames of one trained clip."""
    trained_F = np.concatenate([np.zeros(0, np.uint64), *(one.hashes_T for one in trained)])
    owner_F = np.repeat(np.arange(len(trained)), [len(one.hashes_T) for one in trained])
    for one in tested:
        if not len(one.hashes_T) or not len(trained_F):
            continue
        shares = np.zeros(len(trained))
        for tested_hash in one.hashes_T:
            is_near_F = np.bitwise_count(trained_F ^ tested_hash) <= MAX_BITS
            shares[np.unique(owner_F[is_near_F])] += 1.0 / len(one.hashes_T)
        if shares.max() >= MIN_SHARE:
            yield Overlap(tested=one.key, trained=trained[int(shares.argmax())].key, kind="frames")
