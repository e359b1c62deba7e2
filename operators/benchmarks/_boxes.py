"""Boxes in pixels: left, top, right, bottom; how much two overlap, and how they are read from JSON in a reply."""

import json
import re
from collections.abc import Mapping
from typing import Any

Box = tuple[float, float, float, float]  # left, top, right, bottom
_JSON = re.compile(r"\{.*\}|\[.*\]", re.DOTALL)
MAX_CHARS = 20_000


def box_iou(said: Box | None, true: Box) -> float:
    """Return shared area over covered area; 0 without a box."""
    if said is None:
        return 0.0
    width = max(0.0, min(said[2], true[2]) - max(said[0], true[0]))
    height = max(0.0, min(said[3], true[3]) - max(said[1], true[1]))
    covered = _area(said) + _area(true) - width * height
    return width * height / covered if covered > 0 else 0.0


def boxes_in(text: str) -> dict[str, Box] | None:
    """Return the box of every second that a reply has as JSON: an object, or a list of objects; None without any.

    Seconds are keys as they are written, as in ``{"3": [10, 20, 50, 60]}``. What is no box of four finite numbers is
    left out.
    """
    match = _JSON.search(text[-MAX_CHARS:])
    if match is None:
        return None
    try:
        tree = json.loads(match[0].replace("'", '"'))
    except (ValueError, RecursionError):
        return None
    parts = tree if isinstance(tree, list) else [tree]
    found = {str(key): _box(value) for part in parts if isinstance(part, Mapping) for key, value in part.items()}
    return {second: box for second, box in found.items() if box is not None} or None


def _box(value: Any) -> Box | None:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(edge, int | float) and abs(edge) < 1e6 for edge in value):
        return None
    return (float(value[0]), float(value[1]), float(value[2]), float(value[3]))


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
