"""Several videos, pictures and turns in a user's own line: what is read of each, and how it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from temporay.operators.dataset.own_media import first_path
from temporay.operators.dataset.rows import messages, plain_messages
from temporay.operators.dataset.video_qa import MAX_INDEX, VideoQa, VideoQaSettings
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.clip import Codec, encode
from temporay.operators.seeding import digest

from tests.own_lines import LINE, video_bytes

BOTH = {"video": ["a.mp4", "b.mp4"], "question": "Same?", "answer": "no"}
MIXED = {"video": "a.mp4", "image": "c.png", "question": "<image>\nThen <video>, is it?", "answer": "no"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a video of one second, one of two, and a picture that is wider than high."""
    (tmp_path / "a.mp4").write_bytes(video_bytes())
    levels_T = np.arange(20, dtype=np.uint8) * 10
    frames_THWC = np.broadcast_to(levels_T[:, None, None, None], (20, 48, 64, 3)).copy()
    (tmp_path / "b.mp4").write_bytes(encode(frames_THWC, 10.0, Codec(pad_bytes=1)).data)
    cv2.imwrite(str(tmp_path / "c.png"), np.full((40, 80, 3), 200, np.uint8))
    return tmp_path


def opened(folder: Path, *lines: dict[str, Any]) -> VideoQa:
    file = folder / "qa.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in (LINE, *lines)))
    return VideoQa.open(VideoQaSettings(file=file, fps=5.0, max_side=32))


def test_every_file_is_a_medium_of_its_own_size_and_times(folder: Path) -> None:
    data = opened(folder, BOTH, MIXED)
    for i, kinds, shapes in (
        (1, ["video", "video"], [(5, 32, 32, 3), (10, 24, 32, 3)]),
        (2, ["image", "video"], [(1, 16, 32, 3), (5, 32, 32, 3)]),
    ):
        sample, clips = data.sample(i), data.frames_shown(i)
        assert [medium.kind for medium in sample.media] == kinds
        assert [clip.shape for clip in clips] == [medium.shape for medium in sample.media] == shapes
        assert sample.num_frame_bytes == sum(clip.nbytes for clip in clips)
    assert [medium.shown is None for medium in data.sample(2).media] == [True, False]
    assert data.frames_shown(2)[0].min() == 200
    assert first_path(data.sample(2).facts) == str(folder / "c.png")
    assert len({data.sample(i).key for i in range(3)}) == 3


def test_a_line_about_one_video_keeps_its_key(folder: Path) -> None:
    index = opened(folder).sample(0).address.index
    assert index == digest("a.mp4", "Brighter?", ["yes", "no"], 0, 0.0) % MAX_INDEX


def test_each_of_several_videos_may_be_shown_in_part(folder: Path) -> None:
    late = {**BOTH, "video": [{"video": "a.mp4", "end_s": 0.4}, {"path": "b.mp4", "start_s": 1.0}]}
    data = opened(folder, BOTH, late)
    assert [medium.num_shown for medium in data.sample(2).media] == [2, 5]
    whole, part = data.frames_shown(1)[1], data.frames_shown(2)[1]
    assert part[0].mean() > whole[0].mean() + 50 and data.sample(1).key != data.sample(2).key


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({**BOTH, "start_s": 0.5}, "bad_window"),
        ({**MIXED, "end_s": 0.5}, "bad_window"),
        ({**LINE, "video": {"video": "a.mp4", "start_s": 0.5}, "end_s": 0.5}, "bad_window"),
        ({**BOTH, "video": ["a.mp4", "none.mp4"]}, "video_missing"),
        ({**MIXED, "image": "none.png"}, "image_missing"),
        ({**MIXED, "image": "a.mp4"}, "image_corrupt"),
        ({**MIXED, "image": "strip.png"}, "image_too_narrow"),
        ({**BOTH, "answer": [1.0, 9.0]}, "bad_answer"),
        (BOTH, "duplicate"),
    ],
)
def test_what_cannot_be_shown_is_dropped_by_name(folder: Path, line: dict[str, Any], expected: str) -> None:
    cv2.imwrite(str(folder / "strip.png"), np.zeros((2, 900, 3), np.uint8))
    (dropped,) = opened(folder, BOTH, line).dropped
    assert (dropped.line, dropped.reason) == (3, expected)


def test_a_span_may_be_in_the_longest_video(folder: Path) -> None:
    assert opened(folder, {**BOTH, "answer": [1.0, 1.9]}).dropped == ()


def test_a_picture_stands_upright_without_its_hidden_parts(folder: Path) -> None:
    turned = Image.fromarray(np.full((40, 80, 3), 100, np.uint8))
    turned.getexif()[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=turned.getexif())
    Image.fromarray(np.full((8, 8, 4), (250, 250, 250, 0), np.uint8)).save(folder / "clear.png")
    data = opened(folder, {**MIXED, "image": "turned.jpg"}, {**MIXED, "image": "clear.png"})
    assert data.frames_shown(1)[0].shape == (1, 32, 16, 3) and data.frames_shown(2)[0].max() == 0


def test_a_picture_that_is_exchanged_is_not_taken_for_the_old_one(folder: Path) -> None:
    data = opened(folder, MIXED)
    cv2.imwrite(str(folder / "c.png"), np.zeros((80, 40, 3), np.uint8))
    with pytest.raises(SampleRejected, match="image_changed"):
        data.frames_shown(1)


def test_media_stand_where_their_markers_are(folder: Path) -> None:
    """Those without one stand before everything; a blind prompt keeps the words alone."""
    told = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "A wall."}]
    told += [{"role": "user", "content": "And <image>?\n(A) yes\n(B) no"}, {"role": "assistant", "content": "B"}]
    data = opened(folder, MIXED, {"video": "a.mp4", "image": "c.png", "messages": [*told]})
    (turn,) = messages(data.sample(1))
    assert [part.get("text", part["type"]) for part in turn["content"]] == ["image", "Then ", "video", ", is it?"]
    assert data.dropped[0].reason == "file_without_marker"  # a video beside an image needs a marker, too
    told[0]["content"] = "<video>What?"
    sample = opened(folder, {"video": "a.mp4", "image": "c.png", "messages": told}).sample(1)
    chat = messages(sample, instruction="Say it.")
    assert [(turn["role"], [part["type"] for part in turn["content"]]) for turn in chat] == [
        ("user", ["video", "text"]),
        ("assistant", ["text"]),
        ("user", ["text", "image", "text"]),
    ]
    assert chat[2]["content"][2]["text"] == "?\n(A) yes\n(B) no\nSay it."
    blind = messages(sample, with_media=False)
    assert [part["type"] for turn in blind for part in turn["content"]] == ["text"] * 3
    assert blind[2]["content"][0]["text"].startswith("And ?")
    assert [turn["content"] for turn in plain_messages(sample)][:2] == ["<video>\nWhat?", "A wall."]
    assert plain_messages(replace(sample, earlier=()))[0]["content"].startswith("<video>\nAnd <image>?")
