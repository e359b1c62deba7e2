"""Read a pattern that is seen cell by cell: which patterns the pieces that are shown fit into."""

from collections.abc import Mapping, Sequence

import numpy as np
from temporay.operators.audit.ideal_states import Thing, Watched
from temporay.operators.audit.readings.reading import OptionScores, Shown
from temporay.operators.primitives._base import Facts, Primitive
from temporay.operators.records import ScenePlan

BESIDE = {"to the right of": (0, 1), "to the left of": (0, -1), "below": (1, 0), "above": (-1, 0)}  # rows, columns

GridCell = tuple[int, int]  # row and column
Piece = Mapping[GridCell, str]  # the color of every cell that a run of frames shows


def read_pattern(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score options by the pieces of the pattern that the runs of frames show."""
    facts, options = watched.plan.facts, watched.row["options"]
    pieces = [_piece(watched, block) for block in shown.blocks()]
    placed = [piece for block, piece in zip(shown.blocks(), pieces, strict=True) if block[0] == 0 and shown.timed]
    if facts["mode"] == "count":
        counts = [sum(color == facts["color"] for color in piece.values()) for piece in pieces]
        seen = max(counts)
        return {
            "not below what is seen": [float(int(option) >= seen) for option in options],
            "as many as seen": [-abs(float(option) - seen) for option in options],
        }
    if facts["mode"] == "beside":
        beside = [color for piece in pieces for color in _beside(piece, facts)]
        return {"seen there": [float(beside.count(option) > 0) - float(len(beside) > 0) for option in options]}
    patterns = [_pattern(option) for option in options]
    return {
        "pieces that fit": [float(np.mean([_fits(piece, pattern) for piece in pieces])) for pattern in patterns],
        "placed pieces that fit": [float(all(_agrees(p, pattern, (0, 0)) for p in placed)) for pattern in patterns],
    }


def _piece(watched: Watched, block: Sequence[int]) -> dict[GridCell, str]:
    """Put together the cells that a run of frames shows; the first is where the window starts.

    Two cells in view say where they lie from each other. From one frame to the next a cell is followed.
    """
    start = (watched.plan.facts["row"] - 1, watched.plan.facts["column"] - 1)
    cells = [thing for thing in watched.things if thing.window]
    piece, followed = dict[GridCell, str](), dict[int, GridCell]()
    for frame in block:
        in_view = [n for n, cell in enumerate(cells) if cell.visible_T[frame]]
        followed = {n: place for n, place in followed.items() if n in in_view}  # what comes again may be another
        known = next(iter(followed), in_view[0] if in_view else 0)
        for n in in_view:
            row, column = followed.get(known, start)
            down, across = _apart(cells[known], cells[n], frame, watched.plan)
            followed.setdefault(n, (row + down, column + across))
            piece[followed[n]] = cells[n].names[0].split()[0]
    return piece


def _apart(one: Thing, other: Thing, frame: int, plan: ScenePlan) -> GridCell:
    """Return how many rows and columns one cell is from another, by where both are in a frame."""
    left, top, right, bottom = one.window or (0, 0, plan.width, plan.height)
    pitch_2 = np.array([(right - left) / plan.width, (bottom - top) / plan.height])
    across, down = np.rint((other.xy_T2[frame] - one.xy_T2[frame]) / pitch_2).astype(int).tolist()
    return down, across


def _beside(piece: Piece, facts: Facts) -> list[str]:
    """Return the colors seen on the asked side of the asked color."""
    down, across = BESIDE[facts["side"]]
    next_to = [(row + down, column + across) for (row, column), color in piece.items() if color == facts["color"]]
    return [piece[cell] for cell in next_to if cell in piece]


def _pattern(option: str) -> dict[GridCell, str]:
    rows = [row.split() for row in option.split(" / ")]
    return {(i, j): color for i, row in enumerate(rows) for j, color in enumerate(row)}


def _agrees(piece: Piece, pattern: Piece, by: GridCell) -> bool:
    return all(pattern.get((row + by[0], column + by[1])) == color for (row, column), color in piece.items())


def _fits(piece: Piece, pattern: Piece) -> bool:
    """Return whether a piece is somewhere in a pattern."""
    reach = range(-max(row + column for row, column in pattern), max(row + column for row, column in pattern) + 1)
    return any(_agrees(piece, pattern, (down, across)) for down in reach for across in reach)
