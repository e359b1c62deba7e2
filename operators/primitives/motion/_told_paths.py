"""Paths as events and in words: where shapes are at listed times, in tenths of the frame.

A told path gives positions as digits: "x 3 5 7 9 y 4 4 4 4". Each listed position is an ``at`` event of the log
("3 4"), so every digit of an explanation can be checked.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._claims import Claim
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives._stated import Value
from temporay.operators.primitives.motion._stage import EDGES
from temporay.operators.records import Event

TENTHS = "Places are in tenths of the frame: x counts from the left, y from the top."
NUM_LISTED_POSITIONS = 4


def spread_frames(num_frames: int, count: int = NUM_LISTED_POSITIONS) -> list[int]:
    """Return evenly spaced frames, the first and the last among them."""
    return [int(f) for f in np.rint(np.linspace(0, num_frames - 1, count))]


def in_tenths(xy_T2: npt.NDArray[np.float64], canvas: Canvas) -> npt.NDArray[np.int64]:
    """Return places in tenths of the frame, (T, 2)."""
    return np.asarray(np.clip(10 * xy_T2 / np.array([canvas.width, canvas.height]), 0, 9), np.int64)


def at_events(name: str, xy_T2: npt.NDArray[np.float64], canvas: Canvas, frames: Iterable[int]) -> list[Event]:
    """Log where a shape is in these frames; ``detail`` is the position in tenths of the frame, "x y"."""
    tenths_T2 = in_tenths(xy_T2, canvas)
    return [event_in(canvas, "at", name, frame, frame + 1, "{} {}".format(*tenths_T2[frame])) for frame in frames]


def edge_events(name: str, xy_T2: npt.NDArray[np.float64], canvas: Canvas) -> list[Event]:
    """Log at which edge a shape comes back whenever it leaves at the opposite one."""
    jumped_T2 = np.diff(xy_T2, axis=0) / np.array([canvas.width, canvas.height])
    return [
        event_in(canvas, "leaves", name, frame + 1, frame + 2, EDGES[axis][int(jumped_T2[frame, axis] > 0)])
        for frame, axis in np.argwhere(np.abs(jumped_T2) > 0.5).tolist()
    ]


# "red circle x 3 5 y 4 4 moves": a name of at most three words, and what the shape does, may be left out.
PATH = re.compile(
    r"(?:(?:^|(?<=, )|(?<=\. ))(?P<name>[^\W\d]\w*(?: [^\W\d]\w*){0,2}) |\b)"
    r"x (?P<x>\d\b(?: \d\b)*) y (?P<y>\d\b(?: \d\b)*)(?: (?P<does>moves|stays)\b)?"
)
UNTOLD = "?"  # in place of a number that a path leaves out
AT_PHRASES = (  # detailed phrases that tell ``at`` events
    "At {start} s the {subject} is at x {d1}, y {d2}.",
    "{start} s: the {subject} has reached x {d1}, y {d2}.",
    "The {subject} stands at x {d1}, y {d2} after {start} s.",
)

PLACE_PHRASES = {  # of a path on a frame whose edges are joined
    "at": AT_PHRASES,
    "leaves": (
        "The {subject} leaves the frame and comes back at the {detail} edge.",
        "Over the joined edges the {subject} comes back at the {detail} edge.",
        "The {subject} comes in again at the {detail} edge.",
    ),
}


def tell_path(events: Sequence[Event], name: str) -> str:
    """Tell the listed positions of one shape: "x 3 5 7 9 y 4 4 4 4"."""
    digits = [event.detail.split() for event in events if event.kind == "at" and event.subject == name]
    return f"x {' '.join(x for x, _ in digits)} y {' '.join(y for _, y in digits)}"


def tell_paths(events: Sequence[Event]) -> str:
    """Tell the path of every shape whose positions are listed, with its name if there are several."""
    names = list(dict.fromkeys(event.subject for event in events if event.kind == "at"))
    paths = [tell_path(events, name) for name in names]
    if len(names) == 1:
        return paths[0]
    return ", ".join(f"{name} {path}" for name, path in zip(names, paths, strict=True))


def read_paths(text: str) -> list[Claim]:
    """Read back the positions that the paths in a text claim, without their times, and what it says the shapes do."""
    claims: list[Claim] = []
    for path in PATH.finditer(text):
        places = list(zip_longest(path["x"].split(), path["y"].split(), fillvalue=UNTOLD))
        for n, place in enumerate(places):
            digits = [path.start(axis) + 2 * n for axis, told in zip("xy", place, strict=True) if told != UNTOLD]
            spans = tuple((at, at + 1) for at in digits)
            claims.append(Claim(kind="at", text=path[0], subject=path["name"], detail=" ".join(place), spans=spans))
        if path["does"]:
            claims.append(Claim(kind=path["does"], text=path["does"], subject=path["name"], spans=(path.span("does"),)))
    return claims


def place_of(detail: str) -> dict[str, Value]:
    """Return a position by its axes, without what is not told."""
    return {axis: told for axis, told in zip("xy", detail.split(), strict=False) if told != UNTOLD}
