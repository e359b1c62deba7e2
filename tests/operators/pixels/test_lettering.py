"""Text is read back from decoded frames as it was written, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.lettering import read_text, write_text
from temporay.operators.pixels.shapes import COLORS

LETTERS = "0123456789=+-*abceghimnopqrstuvxyz"
LINES = ("x = y + 37", "mv p home", "touch q", "z is gone", "a - b * 58", "")


@pytest.mark.parametrize("color", ["white", "yellow", "cyan"])
def test_decoded_text_is_read_as_written(color: str) -> None:
    frames_THWC = np.full((len(LINES), 80, 448, 3), 12, np.uint8)
    for frame_HWC, line in zip(frames_THWC, LINES, strict=True):
        write_text(frame_HWC, line, (30.0, 40.0), 34.0, COLORS[color])
    decoded_THWC = decode(encode(frames_THWC, 8.0, Codec(crf=20)).data)
    assert read_text(decoded_THWC, (30.0, 40.0), 34.0, 10, LETTERS) == list(LINES)


def test_what_is_no_letter_and_what_is_too_small_are_not_read() -> None:
    frames_THWC = np.full((1, 80, 448, 3), 12, np.uint8)
    frames_THWC[:, 10:70, 12:50] = 255
    assert read_text(frames_THWC, (30.0, 40.0), 34.0, 2, LETTERS) == ["?"]
    assert read_text(frames_THWC, (30.0, 40.0), 5.0, 2, LETTERS) is None


@pytest.mark.parametrize("half_px", [10.0, 10.3, 12.4, 17.9])
def test_small_text_is_read_wherever_it_stands_between_pixels(half_px: float) -> None:
    for offset in np.linspace(0, 1, 9).tolist():
        frames_THWC = np.full((len(LINES), 40, 260, 3), 12, np.uint8)
        xy = (20.0 + offset, 20.0 + offset / 2)
        for frame_HWC, line in zip(frames_THWC, LINES, strict=True):
            write_text(frame_HWC, line, xy, half_px, COLORS["yellow"])
        assert read_text(frames_THWC, xy, half_px, 10, LETTERS) == list(LINES), offset
