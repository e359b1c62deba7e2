"""Recognize which picture a frame shows. The frames of pseudo-videos are jittered and h264-coded pictures.

    pictures -> bank of small warped copies -> nearest copy of each frame -> refined where two are near -> runs of shots

Every warp that ``choose_affine`` can choose lies close to a copy in the bank. So a frame's distance to the right
picture is small, and to any other it is large. A frame for which this does not hold is left unnamed.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives.scenes._shots import (
    MAX_ROTATION_DEG,
    MAX_SCALE_CHANGE,
    MAX_TRANSLATION,
    affine_matrices,
)
from temporay.operators.records import Frames

BANK_SIDE = 24  # px of the longer side of the copies, at which a coarse grid of warps is enough
FINE_SIDE = 96  # px at which warps are refined
FINE_SIGMA = 1.2  # px of the blur before comparing, which hides what coding and resampling change
# The limits are for squared distances, measured on photographs and drawn scenes under the paper's jitter. In the bank,
# the right picture was always the nearest, at no more than 0.61 of the distance of the next one. After refining, the
# right picture left at most 0.03 of a frame's contrast unexplained and a wrong one at least 0.10.
SURE_RATIO = 0.5  # distance to the best picture in the bank over that to the second best
SURE_SHARE = 0.25  # share of a frame's contrast that the best picture in the bank may leave unexplained
ALIKE_RATIO = 0.75  # two pictures may be nearly equal from this ratio of their distances on
REFINED_SHARE = 0.05  # share of a frame's contrast left after refining; only a nearly equal picture comes so near
DOUBTFUL_SHARE = 0.15  # the same share, enough where the second best left at least twice as much
ROTATIONS_DEG = (-12.0, -6.0, 0.0, 6.0, 12.0)
GROWTHS = (-0.07, 0.0, 0.07)
FIRST_STEPS = (3.0, 0.035, 0.02, 0.02)  # degrees, scale, shares of width and height
NUM_HALVINGS = 3
MAX_MOVES = 24
LIMITS = np.array([MAX_ROTATION_DEG, MAX_SCALE_CHANGE, MAX_TRANSLATION, MAX_TRANSLATION]) * 1.02
Warp = npt.NDArray[np.float64]  # (4,): degrees, growth, shift right and down in shares of the frame
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizedFrame:
    """The likeliest caption of one frame, the next one, and whether the first is beyond doubt."""

    caption: str
    runner_up: str
    sure: bool


def recognize(frames_THWC: Frames, pictures: Mapping[str, Frames]) -> list[RecognizedFrame]:
    """Name every frame by itself.

    Args:
        frames_THWC: decoded, uint8 RGB.
        pictures: caption -> (H, W, 3) uint8 picture as it lies in the frame before any warp.
    """
    captions = list(pictures)
    fine_N = [_shrink(pictures[caption], FINE_SIDE) for caption in captions]
    banks = [_bank(fine_HWC) for fine_HWC in fine_N]
    shrunk_T = [_shrink(frame_HWC, FINE_SIDE) for frame_HWC in frames_THWC]
    small_TD = np.stack([_coarse(fine_HWC).ravel() for fine_HWC in shrunk_T])
    norms_T = np.einsum("td,td->t", small_TD, small_TD)
    nearest_TN, distances_TN = np.empty((len(small_TD), len(banks)), np.int64), np.empty((len(small_TD), len(banks)))
    for n, (bank_BD, _) in enumerate(banks):
        squares_TB = norms_T[:, None] - 2 * small_TD @ bank_BD.T + np.einsum("bd,bd->b", bank_BD, bank_BD)
        nearest_TN[:, n] = squares_TB.argmin(axis=1)
        distances_TN[:, n] = squares_TB.min(axis=1)
    contrast_T = ((small_TD - small_TD.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    seen = []
    for t, distances_N in enumerate(distances_TN):
        ranked = [int(n) for n in np.argsort(distances_N)[:2]]
        best, second = ranked[0], ranked[-1]
        sure = distances_N[best] < SURE_SHARE * contrast_T[t]
        if second != best:
            sure = sure and distances_N[best] < SURE_RATIO * distances_N[second]
        if not sure:
            fits = [(fine_N[n], banks[n][1][nearest_TN[t, n]]) for n in dict.fromkeys(ranked)]
            are_alike = second != best and distances_N[best] > ALIKE_RATIO * distances_N[second]
            sure = _is_first(shrunk_T[t], fits, are_alike=bool(are_alike))
        seen.append(RecognizedFrame(caption=captions[best], runner_up=captions[second], sure=bool(sure)))
    return seen


def shots_seen(seen: list[RecognizedFrame]) -> list[tuple[str, int, int]] | None:
    """Return runs of equal captions with first frame and last frame + 1; None when a doubt could hide a shot.

    A doubtful frame is harmless where both captions that it may show are those of its sure neighbors.
    """
    sure = [t for t, one in enumerate(seen) if one.sure]
    if not sure:
        return None
    for t, one in enumerate(seen):
        before = max((s for s in sure if s <= t), default=sure[0])
        after = min((s for s in sure if s >= t), default=sure[-1])
        if not one.sure and not {one.caption, one.runner_up} <= {seen[before].caption, seen[after].caption}:
            return None
    runs: list[tuple[str, int, int]] = []
    for t in sure:
        if runs and runs[-1][0] == seen[t].caption:
            runs[-1] = (runs[-1][0], runs[-1][1], t + 1)
        else:
            runs.append((seen[t].caption, t, t + 1))
    return runs


def captions_seen(witness: Witness) -> list[str] | None:
    """Return the captions of the shots in the order shown; None where frames leave a doubt."""
    if not witness.images:
        return None
    runs = shots_seen(recognize(witness.frames_THWC, witness.images))
    return None if runs is None else [caption for caption, _, _ in runs]


def _is_first(frame_HWC: Pixels, fits: Sequence[tuple[Pixels, Warp]], *, are_alike: bool) -> bool:
    """Return whether the first picture is shown, after fitting its warp and, if necessary, that of the second.

    Args:
        fits: the likeliest pictures and the warps to start from.
        are_alike: the pictures may be nearly equal, so the second must be tried in any case.
    """
    contrast = float(((frame_HWC - frame_HWC.mean(axis=(0, 1))) ** 2).sum())
    left = _fit_warp(frame_HWC, *fits[0])
    if left < REFINED_SHARE * contrast and not are_alike:
        return True
    if left > DOUBTFUL_SHARE * contrast:
        return False
    return all(2 * left < _fit_warp(frame_HWC, *fit) for fit in fits[1:])


def _fit_warp(frame_HWC: Pixels, picture_HWC: Pixels, start: Warp) -> float:
    """Return the least squared distance between frame and warped picture, by pattern search with halved steps."""
    at, steps = start, np.array(FIRST_STEPS)
    least = _distance(frame_HWC, picture_HWC, at)
    halvings = 0
    for _ in range(MAX_MOVES):
        tries = [np.clip(at + sign * np.eye(4)[i] * steps[i], -LIMITS, LIMITS) for i in range(4) for sign in (-1, 1)]
        distances = [_distance(frame_HWC, picture_HWC, warp) for warp in tries]
        if min(distances) < least:
            at, least = tries[int(np.argmin(distances))], min(distances)
        elif halvings == NUM_HALVINGS:
            break
        else:
            steps, halvings = steps / 2, halvings + 1
    return least


def _distance(frame_HWC: Pixels, picture_HWC: Pixels, warp: Warp) -> float:
    height, width = picture_HWC.shape[:2]
    return float(((cv2.warpAffine(picture_HWC, _matrix(warp, width, height), (width, height)) - frame_HWC) ** 2).sum())


def _bank(fine_HWC: Pixels) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """Return warped copies at the coarse size, flat, (B, D), and their warps, (B, 4)."""
    height, width = fine_HWC.shape[:2]
    copies: list[Pixels] = []
    warps: list[tuple[float, float, float, float]] = []
    rows, columns = _coarse_size(height, width)
    down, right = (int(np.ceil(MAX_TRANSLATION * side)) for side in (rows, columns))
    for degrees, growth in itertools.product(ROTATIONS_DEG, GROWTHS):
        turned = cv2.warpAffine(
            fine_HWC, _matrix(np.array([degrees, growth, 0.0, 0.0]), width, height), (width, height)
        )
        padded = np.pad(_coarse(turned), ((down, down), (right, right), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns, padded.shape[2]))
        copies.append(windows.reshape(-1, rows * columns * padded.shape[2]))
        shifts = itertools.product(range(down, -down - 1, -1), range(right, -right - 1, -1))
        warps.extend((degrees, growth, x / columns, y / rows) for y, x in shifts)
    return np.concatenate(copies), np.array(warps)


def _matrix(warp: Warp, width: int, height: int) -> npt.NDArray[np.float64]:
    degrees, growth, right, down = warp
    matrix: npt.NDArray[np.float64] = affine_matrices(
        np.array([[np.deg2rad(degrees), growth, right, down]]), width, height
    )[0]
    return matrix


def _shrink(image_HWC: Frames, side: int) -> Pixels:
    """Shrink to at most ``side`` px, blur a little, and scale values to 0..1."""
    height, width = image_HWC.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image_HWC, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(small, (0, 0), FINE_SIGMA), np.float32)


def _coarse(fine_HWC: Pixels) -> Pixels:
    rows, columns = _coarse_size(*fine_HWC.shape[:2])
    return np.asarray(cv2.resize(fine_HWC, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _coarse_size(height: int, width: int) -> tuple[int, int]:
    scale = BANK_SIDE / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
