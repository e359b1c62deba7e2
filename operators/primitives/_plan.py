"""What clips of every family are made of: a length, a backdrop, and events with their times."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.shapes import BACKGROUND_LEVELS
from temporay.operators.primitives._base import Choices, Facts
from temporay.operators.records import Address, Backdrop, Event, ScenePlan, Track
from temporay.operators.seeding import rng_at

MIN_FRAMES = 6  # fewer show no motion


def choose_num_frames(address: Address, canvas: Canvas, least: int = MIN_FRAMES) -> int:
    """Choose the length of a clip by a generator of its own, so that nothing about the answer can reach it.

    Args:
        least: frames that the course needs at this level. Where ``canvas.num_frames`` allows fewer, both its numbers
            rise by what is missing.
    """
    low, high = canvas.num_frames
    missing = max(0, least - low)
    return int(rng_at(*address.parts(), "num_frames").integers(low + missing, high + missing + 1))


def choose_backdrop(address: Address) -> Backdrop:
    """Choose a dark gray; ``backdrops.dress`` replaces it where the recipe asks for another backdrop."""
    level = int(rng_at(*address.parts(), "background").integers(*BACKGROUND_LEVELS))
    return Backdrop(color=(level, level, level))


def drawn_plan(choices: Choices, tracks: Sequence[Track], events: Sequence[Event], facts: Facts) -> ScenePlan:
    """Return a plan of drawn motion on the whole canvas, before a dark gray."""
    canvas = choices.canvas
    return ScenePlan(
        address=choices.address,
        width=canvas.width,
        height=canvas.height,
        fps=canvas.fps,
        num_frames=len(tracks[0].xy_T2),
        backdrop=choose_backdrop(choices.address),
        tracks=tuple(tracks),
        events=tuple(events),
        facts=facts,
    )


def shape_track(
    name: str,
    shape: str,
    color: tuple[int, int, int],
    radius_px: float,
    xy_T2: npt.NDArray[np.float64],
    visible_T: npt.NDArray[np.bool_] | None = None,
    *,
    label: str = "",
    angle_deg: float = 0.0,
) -> Track:
    """Return the track of a shape along these places, always visible by default."""
    return Track(
        name=name,
        shape=shape,
        color=color,
        radius_px=radius_px,
        xy_T2=xy_T2,
        visible_T=np.ones(len(xy_T2), np.bool_) if visible_T is None else visible_T,
        angle_deg_T=np.full(len(xy_T2), angle_deg) if angle_deg else None,
        label=label,
    )


def grid_of(columns: int, rows: int, width: float, height: float) -> tuple[npt.NDArray[np.float64], float]:
    """Return the centers of a grid's square cells row by row, (N, 2) px, in the middle of a frame, and half a side."""
    half_px = min(width / columns, height / rows) / 2
    down_RC, across_RC = np.mgrid[:rows, :columns]
    cells_N2 = np.stack([across_RC.ravel() - (columns - 1) / 2, down_RC.ravel() - (rows - 1) / 2], axis=1)
    return np.array([width / 2, height / 2]) + 2 * half_px * cells_N2, half_px


def frame_ms(frame: float, canvas: Canvas) -> float:
    """Return when a frame starts."""
    return 1000.0 * frame / canvas.fps


def event_in(canvas: Canvas, kind: str, subject: str, start: float, end: float, detail: str = "") -> Event:
    """Return an event that lasts from the start of one frame to the start of another."""
    start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
    return Event(kind=kind, subject=subject, start_ms=start_ms, end_ms=end_ms, detail=detail)
