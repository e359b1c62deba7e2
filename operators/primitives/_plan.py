"""What clips of every family are made of: a length, a backdrop, and events with their times."""

from collections.abc import Mapping, Sequence
from typing import Any

from temporay.operators.canvas import Canvas
from temporay.operators.pixels.shapes import BACKGROUND_LEVELS
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


def drawn_plan(
    address: Address,
    canvas: Canvas,
    num_frames: int,
    *,
    tracks: Sequence[Track],
    events: Sequence[Event],
    facts: Mapping[str, Any],
) -> ScenePlan:
    """Return a plan of drawn motion on the whole canvas, before a dark gray."""
    return ScenePlan(
        address=address,
        width=canvas.width,
        height=canvas.height,
        fps=canvas.fps,
        num_frames=num_frames,
        backdrop=choose_backdrop(address),
        tracks=tuple(tracks),
        events=tuple(events),
        facts=facts,
    )


def frame_ms(frame: float, canvas: Canvas) -> float:
    """Return when a frame starts."""
    return 1000.0 * frame / canvas.fps


def event_in(canvas: Canvas, kind: str, subject: str, start: float, end: float, detail: str = "") -> Event:
    """Return an event that lasts from the start of one frame to the start of another."""
    start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
    return Event(kind=kind, subject=subject, start_ms=start_ms, end_ms=end_ms, detail=detail)
