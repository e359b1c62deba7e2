"""Text in a grid of equally wide letters: written into frames, and read back from them.

A letter is read by comparing its cell with a picture of every letter it may be, as they are written in that size and
place. Letters stand on whole pixels, so in small text half a pixel can make a 6 of an e.
"""

import functools

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.shapes import LABEL_FONT
from temporay.operators.records import Frames

ASPECT = 0.62  # width of a cell over its height
CAPITAL_PX = 22.0  # height of a capital letter at scale 1
SMALLEST_PX = 20.0  # height of a cell from which on letters can be told apart
PATCH = (12, 20)  # width and height to which a cell is scaled before it is compared
GROUND = 0.2  # brightness that counts as dark
MIN_INK, MIN_LIKENESS = 0.15, 0.75  # brightest place of a cell with a letter; correlation with the letter's picture


def write_text(
    frame_HWC: Frames, text: str, xy: tuple[float, float], half_px: float, color: tuple[int, int, int]
) -> None:
    """Write a text in place.

    Args:
        xy: center of its first cell.
        half_px: half the height of a cell.
    """
    scale, thickness = 1.1 * half_px / CAPITAL_PX, max(1, round(0.13 * half_px))
    for i, letter in enumerate(text):
        (width, _), _ = cv2.getTextSize(letter, LABEL_FONT, scale, thickness)
        origin = (round(xy[0] + 2 * i * ASPECT * half_px - width / 2), round(xy[1] + 0.4 * half_px))
        cv2.putText(frame_HWC, letter, origin, LABEL_FONT, scale, color, thickness, cv2.LINE_AA)


def read_text(
    frames_THWC: Frames, xy: tuple[float, float], half_px: float, num_letters: int, letters: str
) -> list[str] | None:
    """Read a line of bright text on dark ground in every frame, "" where there is none; None if letters are too small.

    A cell that is like no letter is read as "?".
    """
    if 2 * half_px < SMALLEST_PX:
        return None
    patches_TNP = np.stack([_cells(frame_HWC, xy, half_px, num_letters) for frame_HWC in frames_THWC])
    offset = (round(xy[0] % 2, 4), round(xy[1] % 2, 4))  # halves are rounded to even pixels
    templates_NLP = _templates(letters, num_letters, offset, round(half_px, 4))
    inked_TN = patches_TNP.max(axis=2) > MIN_INK
    likeness_TNL = np.einsum("tnp,nlp->tnl", _unit(patches_TNP), templates_NLP)
    best_TN, sure_TN = likeness_TNL.argmax(axis=2), likeness_TNL.max(axis=2) > MIN_LIKENESS
    lines = []
    for best_N, inked_N, sure_N in zip(best_TN, inked_TN, sure_TN, strict=True):
        line = [(letters[b] if s else "?") if i else " " for b, i, s in zip(best_N, inked_N, sure_N, strict=True)]
        lines.append("".join(line).rstrip())
    return lines


def _cells(frame_HWC: Frames, xy: tuple[float, float], half_px: float, num_letters: int) -> npt.NDArray[np.float64]:
    """Return the cells of a line as (N, P) brightness in [0, 1]."""
    width, height = PATCH
    finer = max(1, round(2 * half_px / height))  # sampled as finely as it is shown, then averaged
    scale_x, scale_y = finer * width / (2 * ASPECT * half_px), finer * height / (2 * half_px)
    left, top = xy[0] - ASPECT * half_px, xy[1] - half_px
    affine = np.array([[scale_x, 0, (0.5 - left) * scale_x - 0.5], [0, scale_y, (0.5 - top) * scale_y - 0.5]])
    fine_HW = cv2.warpAffine(frame_HWC.max(axis=2), affine, (finer * num_letters * width, finer * height))
    line_HW = cv2.resize(fine_HW, (num_letters * width, height), interpolation=cv2.INTER_AREA)
    cells = line_HW.reshape(height, num_letters, width).transpose(1, 0, 2).reshape(num_letters, -1) / 255.0
    return np.asarray(np.maximum(0.0, cells - GROUND))


@functools.lru_cache(maxsize=64)
def _templates(letters: str, num_letters: int, offset: tuple[float, float], half_px: float) -> npt.NDArray[np.float64]:
    """Return unit vectors (N, L, P), a picture of each letter in each cell of a line that begins so far off a pixel."""
    margin = 2 * int(half_px) + 2
    x, y = margin + offset[0], margin + offset[1]
    size = (int(2 * y) + 1, int(x + 2 * ASPECT * half_px * num_letters) + margin, 3)
    rows = []
    for letter in letters:
        frame_HWC = np.zeros(size, np.uint8)
        write_text(frame_HWC, letter * num_letters, (x, y), half_px, (255, 255, 255))
        rows.append(_cells(frame_HWC, (x, y), half_px, num_letters))
    return _unit(np.stack(rows, axis=1))


def _unit(patches: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale the vectors along the last axis to length 1."""
    return np.asarray(patches / np.maximum(1e-9, np.linalg.norm(patches, axis=-1, keepdims=True)))
