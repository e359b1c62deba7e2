"""Named curves that a shape can go along at constant speed, and how well one fits a path that is seen.

All of them are as long as the shape's way, so neither speed nor distance tells which one it is. A curve is sampled by
its arc length in a frame of its own; where it starts, how it lies and which way round it is gone are drawn apart.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.seeding import choose_one

Path = npt.NDArray[np.complex128]  # (T,) x + iy

LINE_PASSES = (2.0, 3.0)  # there and back, or there, back and there
ZIGZAG_LEGS = (4.0, 5.0)
ZIGZAG_ADVANCE = 0.55  # way along the zigzag per way gone; the rest is across
BULGE = 0.2  # how far a closed course is from an ellipse
COURSE_POINTS = 256  # of a closed course
NUM_PHASES = 48  # starts on a curve that ``curve_error`` tries


def curve(name: str, share_T: npt.NDArray[np.float64], phase: float, count: float = 3.0) -> Path:
    """Return points of a curve of length 1 at these shares of the way.

    Args:
        phase: where on the curve the way begins, in [0, 1).
        count: passes of the straight line or legs of the zigzag; the others are gone round once.

    Raises:
        ValueError: no curve has this name.
    """
    way_T = np.mod(share_T + phase, 1.0)
    points_T: npt.NDArray[Any]
    if name == "straight line":
        points_T = _there_and_back(count * share_T + 2 * phase) / count + 0j
    elif name == "zigzag":
        across_T = np.sqrt(1 - ZIGZAG_ADVANCE**2) * _there_and_back(count * share_T + 2 * phase) / count
        points_T = ZIGZAG_ADVANCE * share_T + 1j * across_T
    elif name == "circle":
        points_T = np.exp(2j * np.pi * way_T) / (2 * np.pi)
    elif name == "figure eight":
        loop_T = np.exp(4j * np.pi * way_T) - 1
        points_T = np.where(way_T < 0.5, loop_T, -loop_T) / (4 * np.pi)
    elif name in CORNERS:
        corners = np.exp(2j * np.pi * np.arange(CORNERS[name] + 1) / CORNERS[name])
        corners /= np.abs(np.diff(corners)).sum()
        at = np.linspace(0, 1, len(corners))
        points_T = np.interp(way_T, at, corners.real) + 1j * np.interp(way_T, at, corners.imag)
    else:
        raise ValueError(f"no curve is called {name!r}; curves are {', '.join(CURVES)}")
    return points_T.astype(np.complex128)


CORNERS = {"square": 4, "triangle": 3}
CURVES = ("straight line", "circle", "zigzag", "square", "figure eight", "triangle")


def choose_curve(rng: np.random.Generator, name: str, num_frames: int, sense: int = 0) -> npt.NDArray[np.float64]:
    """Choose a way of length 1 along the curve, from anywhere on it, turned at random: (T, 2).

    Args:
        sense: 1 for clockwise on the screen, -1 for the other way round, 0 for either.
    """
    phase, angle, spread = (float(v) for v in rng.uniform(0, 1, 3))
    mirrored = bool(rng.integers(2)) if sense == 0 else sense < 0
    path = curve(name, np.linspace(0, 1, num_frames), phase, _count(name, spread))
    path = (np.conj(path) if mirrored else path) * np.exp(2j * np.pi * angle)
    return np.stack([path.real, path.imag], axis=1)


def curve_error(xy_N2: npt.NDArray[np.float64], name: str, share_N: npt.NDArray[np.float64]) -> float:
    """Return the share of a path's variance that a curve leaves, at its best place, size, angle, phase and sense.

    Args:
        share_N: how much of the way is gone at each place, 0 to 1.
    """
    path_N = xy_N2[:, 0] + 1j * xy_N2[:, 1]
    return min(_left_over(path_N - path_N.mean(), name, count, share_N) for count in _counts(name))


def is_clockwise(xy_N2: npt.NDArray[np.float64]) -> bool:
    """Return whether a closed path goes round clockwise on the screen, where y grows downwards."""
    following_N2 = np.roll(xy_N2, -1, axis=0)
    return bool((xy_N2[:, 0] * following_N2[:, 1] - xy_N2[:, 1] * following_N2[:, 0]).sum() > 0)


def _left_over(path_N: Path, name: str, count: float, share_N: npt.NDArray[np.float64]) -> float:
    """Return the least share of variance left, over phases and both ways (complex least squares for turn and size)."""
    least = 1.0
    for phase in np.arange(NUM_PHASES) / NUM_PHASES:
        fitted = curve(name, share_N, float(phase), count)
        fitted = fitted - fitted.mean()
        energy = float((np.abs(fitted) ** 2).sum() * (np.abs(path_N) ** 2).sum())
        for candidate in (fitted, np.conj(fitted)):
            least = min(least, 1 - float(np.abs(np.vdot(candidate, path_N))) ** 2 / max(energy, 1e-12))
    return least


def _count(name: str, spread: float) -> float:
    low, high = {"straight line": LINE_PASSES, "zigzag": ZIGZAG_LEGS}.get(name, (1.0, 1.0))
    return low + spread * (high - low)


def _counts(name: str) -> tuple[float, ...]:
    return tuple(sorted({_count(name, spread) for spread in np.linspace(0, 1, 9)}))


def _there_and_back(way_T: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Go from 0 to 1 and back to 0, again and again, at constant speed."""
    return np.asarray(1 - np.abs(1 - np.mod(way_T, 2.0)))


def choose_closed_course(rng: np.random.Generator, canvas: Canvas, radius_px: float) -> npt.NDArray[np.float64]:
    """Choose a closed course around the middle of the frame: (COURSE_POINTS + 1, 2) px, evenly spaced along it."""
    angles = np.linspace(0, 2 * np.pi, 4 * COURSE_POINTS)
    bulge = 1 + BULGE * np.cos(int(rng.integers(2, 4)) * angles + float(rng.uniform(0, 2 * np.pi)))
    reach = np.array([canvas.width, canvas.height]) / 2 - radius_px - 1
    way = choose_one(rng, (1, -1))
    course = np.stack([np.cos(way * angles), np.sin(way * angles)], axis=1) * (bulge / (1 + BULGE))[:, None] * reach
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))])
    even = np.linspace(0, along[-1], COURSE_POINTS + 1)
    spaced = np.stack([np.interp(even, along, course[:, axis]) for axis in (0, 1)], axis=1)
    return spaced + np.array([canvas.width, canvas.height]) / 2
