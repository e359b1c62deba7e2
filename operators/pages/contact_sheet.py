"""Samples as one picture: a row each, frames from left to right, the question and its answer beneath.

frames_THWC, question -> row_HWC -> sheet_HWC
"""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from temporay.operators.records import LETTERS, Frames, Sample

WIDTH = 1120
MARGIN, GAP, ROW_GAP = 28, 6, 26
MAX_FRAMES = 8  # frames of a clip, evenly spaced from the first to the last
TITLE_PX, TEXT_PX = 15, 17
LINE_PX, MAX_LINES = 25, 40
GROUND, INK, SOFT, MARK, RIGHT = (250, 249, 246), (31, 35, 40), (106, 111, 118), (180, 83, 42), (44, 122, 75)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(samples: Sequence[tuple[Sample, Frames]]) -> Frames:
    """Put all samples under each other, sheet_HWC uint8 RGB.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("a contact sheet of no samples")
    rows = [sample_row(sample, frames_THWC) for sample, frames_THWC in samples]
    bottom_HWC = np.full((ROW_GAP, WIDTH, 3), GROUND, np.uint8)
    return np.concatenate([*rows, bottom_HWC], axis=0)


def sample_row(sample: Sample, frames_THWC: Frames) -> Frames:
    """Return one sample, row_HWC: frames, question, and options with the right one marked."""
    text = Image.new("RGB", (WIDTH - 2 * MARGIN, MAX_LINES * LINE_PX), GROUND)
    used = _write(text, sample)
    inner_HWC = np.concatenate([film(frames_THWC), np.asarray(text)[:used]], axis=0)
    row_HWC: Frames = np.full((ROW_GAP + len(inner_HWC), WIDTH, 3), GROUND, np.uint8)
    row_HWC[ROW_GAP:, MARGIN:-MARGIN] = inner_HWC
    return row_HWC


def film(frames_THWC: Frames) -> Frames:
    """Put evenly spaced frames side by side, scaled to the sheet's width."""
    shown = np.unique(np.linspace(0, len(frames_THWC) - 1, MAX_FRAMES).round().astype(int))
    width = (WIDTH - 2 * MARGIN - (MAX_FRAMES - 1) * GAP) // MAX_FRAMES
    height = max(1, round(width * frames_THWC.shape[1] / frames_THWC.shape[2]))
    strip_HWC: Frames = np.full((height, WIDTH - 2 * MARGIN, 3), GROUND, np.uint8)
    how = cv2.INTER_NEAREST if frames_THWC.shape[2] < width else cv2.INTER_AREA  # enlarged, or made smaller
    for n, t in enumerate(shown):
        left = n * (width + GAP)
        strip_HWC[:, left : left + width] = cv2.resize(frames_THWC[t], (width, height), interpolation=how)
    return strip_HWC


def _write(image: Image.Image, sample: Sample) -> int:
    """Write the words under the frames and return their height in pixels."""
    pen = ImageDraw.Draw(image)
    title, font = ImageFont.load_default(TITLE_PX), ImageFont.load_default(TEXT_PX)
    pen.text((0, 8), sample.address.task, fill=MARK, font=title)
    seconds = f"{sample.clip.num_frames} frames, {sample.clip.num_frames / sample.clip.fps:.1f} s"
    pen.text((pen.textlength(sample.address.task, font=title) + 14, 8), seconds, fill=SOFT, font=title)
    top = 8.0 + LINE_PX
    for line in _wrapped(pen, sample.question.text, font, image.width):
        pen.text((0, top), line, fill=INK, font=font)
        top += LINE_PX
    left = 0.0
    for n, option in enumerate(sample.question.options):
        lines = _wrapped(pen, f"{LETTERS[n]}  {option}", font, image.width)
        width = pen.textlength(lines[0], font=font)
        if left and left + width > image.width:
            left, top = 0.0, top + LINE_PX
        right = n == sample.question.answer_index
        for line in lines:
            pen.text((left, top), line, fill=RIGHT if right else SOFT, font=font)
            top += LINE_PX
        top -= LINE_PX
        if right:
            pen.line((left, top + LINE_PX - 3, left + width, top + LINE_PX - 3), fill=RIGHT, width=2)
        left += width + 30
    return round(top + LINE_PX + 4)


def _wrapped(pen: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if pen.textlength(longer, font=font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
