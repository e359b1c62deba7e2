"""What is a pattern that is never seen whole? (Video-MME-Logical: structural composition from partial views).

A window shows one colored cell at a time and goes from cell to cell. On its way both cells are partly seen.

The colors are chosen first, in the order in which they come into view. Different ways of the window over the same
colors make different patterns. Their answers are the options, and one of them is made true. So all options show the
same colors for the same times: only the moves, put together, tell the answer.

A color that is counted alternates with one other color, and comes into view equally often for every count, because
cells are seen again. Ways for different counts have the same neighbors: as often is this color to the left of the
other, to the right of it, above and below. So frames without their order tell nothing of the count.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from math import ceil
from typing import ClassVar, NamedTuple

import numpy as np
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import Witness, color_masks, mask_centers
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS
from temporay.operators.primitives._base import Facts, Inherent, Phrases, by_start
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import DARK_COLOR, EASY_LEVEL, WALL_COLOR, square_track
from temporay.operators.records import Event, ScenePlan, Track
from temporay.operators.seeding import choose_one, random_cuts, shuffled

GRID_BY_LEVEL = ((2, 2), (2, 3), (2, 4), (3, 3), (3, 4))  # rows and columns; as many views as cells
MODES_BY_LEVEL = (("beside", "whole"),) * 2 + (("beside", "whole", "count"),) * 3
MOVES = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}  # in rows and columns
SIDES = {"to the right of": "right", "to the left of": "left", "below": "down", "above": "up"}
INTROS = (
    "A window moves over a pattern of colored cells, from each cell to the next.",
    "The pattern is seen one cell at a time.",
    "Put the views of the cells together.",
    "The pattern is never shown whole, only cell by cell.",
)
ASKS = {
    "beside": ("What color is the cell directly {side} the {color} one?", "Which color lies directly {side} {color}?"),
    "whole": ("What is the whole pattern, row by row from the top?", "Which option is the pattern, row by row?"),
    "count": (
        "How many different {color} cells are seen? A cell that is seen again counts once.",
        "How many of its cells are seen to be {color}, if each is counted once?",
    ),
}
MAX_OPTIONS = 4
GOOD_TRIES, MAX_TRIES = 15, 300  # orders of colors looked at for all options, and for two of them
NUM_WALKS = 200  # ways that see cells again, looked at for each order of colors
MOVE_GAPS = 1.7  # how long a move lasts, in the longest gaps between shown frames
CLEAR = 0.2  # share of a move, at both of its ends, in which one of the cells is hardly seen
WINDOW_SIDE, FRAME_SIDE = 0.6, 0.68  # of the window and of the frame around it, in parts of the shorter side
CELL_SIDE = 0.9  # in parts of the window
SEEN_SHARE = 0.1  # of the window

Cell = tuple[int, int]  # row and column, from 0
Walk = tuple[Cell, ...]


class View(NamedTuple):
    """The move by which the window came to a cell, "" for the first one, and the cell's color."""

    move: str
    color: str


class PartialViews(DrawnMotion[list[View]]):
    """Question about a pattern that is seen cell by cell."""

    task = "partial_views"
    # A move shows two cells at once. So moves in any order are put together like pieces of a puzzle. The count is not:
    # its colors repeat, and its moves are the same for every answer.
    inherent: ClassVar[Inherent] = {"whole bag_of_frames": 1.0, "beside bag_of_frames": 1.0}
    order_dependent = False
    gaps_by_level = tuple(3.0 * rows * columns for rows, columns in GRID_BY_LEVEL)
    wordings_by_mode: ClassVar = {m: [f"{intro} {ask}" for intro in INTROS for ask in ASKS[m]] for m in ASKS}
    notes = ("The pattern has {rows} rows and {columns} columns. The window starts at row {row}, column {column}.",)
    phrases: ClassVar[Phrases] = {
        "first": (
            "From {start} s to {end} s row {d1}, column {d2} is {d3}.",
            "The window stays on row {d1}, column {d2} from {start} s to {end} s, which is {d3}.",
            "Between {start} s and {end} s row {d1}, column {d2} is in view and is {d3}.",
        ),
        "view": (
            "It moves {d1} to row {d2}, column {d3}, which is {d4} from {start} s to {end} s.",
            "One cell {d1} lies row {d2}, column {d3}: {d4}, from {start} s to {end} s.",
            "After a move {d1} row {d2}, column {d3} shows {d4} between {start} s and {end} s.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "first": ("Row {d1}, column {d2}: {d3}.",),
        "view": ("Then {d1}, row {d2}, column {d3}: {d4}.",),
    }

    def arrange(self, setting: Setting) -> MotionClip:
        """Choose what is asked and an order of colors, then the truth among the answers of its ways, then a way."""
        rng, (rows, columns) = setting.rng, GRID_BY_LEVEL[setting.level]
        palette = EASY_COLORS if setting.level <= EASY_LEVEL else tuple(COLORS)
        mode = choose_one(rng, MODES_BY_LEVEL[setting.level])
        row, column = choose_one(rng, [start for start, found in tours(rows, columns).items() if len(found) > 1])
        size = {"mode": mode, "rows": rows, "columns": columns, "row": row + 1, "column": column + 1}
        facts: Facts = {}
        order, ways = list[str](), dict[str, list[Walk]]()
        for attempt in range(MAX_TRIES):
            color = choose_one(rng, palette)
            asked = {**size, "color": color, "side": choose_one(rng, tuple(SIDES))}
            colors = _choose_order(rng, palette, color, rows * columns, often=mode == "count")
            found = self._ways(rng, asked, colors, setting.level)
            if len(found) > len(ways):
                facts, order, ways = asked, colors, found
            if len(ways) >= (MAX_OPTIONS if attempt < GOOD_TRIES else 2):
                break
        if len(ways) < 2:
            raise SampleRejected("order_without_effect", f"{MAX_TRIES} orders of colors lead to one answer each")
        options = shuffled(rng, sorted(ways))[:MAX_OPTIONS]
        possible = ways[setting.choose_truth(options)]
        walk = possible[int(rng.uniform() * len(possible))]
        move = ceil(MOVE_GAPS * setting.gap)
        stays = random_cuts(rng, setting.num_frames - move * (len(walk) - 1), len(walk), setting.gap)
        starts = np.cumsum([0, *(stay + move for stay in stays[:-1])])
        spans = [(int(start), int(start) + stay) for start, stay in zip(starts, stays, strict=True)]
        events = [_event(setting, *step) for step in zip(spans, _views(walk, order), walk, strict=True)]
        return MotionClip(_tracks(setting, walk, order, spans), events, {**facts, "options": options})

    def _ways(self, rng: np.random.Generator, facts: Facts, order: Sequence[str], level: int) -> dict[str, list[Walk]]:
        """Group ways of the window over these colors by the answer that they lead to."""
        start, size = (facts["row"] - 1, facts["column"] - 1), (facts["rows"], facts["columns"])
        again = facts["mode"] == "count"
        walks = _choose_walks(rng, start, len(order), *size) if again else tours(*size)[start]
        together = [{a, b} for a, b in pairwise(order)] if level > 1 and facts["mode"] == "beside" else []
        alike: dict[frozenset[tuple[object, int]], dict[str, list[Walk]]] = {}
        for walk in walks:
            answer = self.answer(_views(walk, order), facts)
            if answer and {facts["color"], answer} not in together:  # one frame would show both
                found = alike.setdefault(_neighbors(walk, order) if again else frozenset(), {})
                found.setdefault(answer, []).append(walk)
        return max(alike.values(), key=len, default={})

    def logged(self, events: Sequence[Event], facts: Facts) -> list[View]:
        words = [event.detail.split() for event in by_start(events)]
        return [View(word[0] if len(word) == 4 else "", word[-1]) for word in words]

    def seen(self, witness: Witness, facts: Facts) -> list[View] | None:
        """Read the colors in the window, and while there are two of them, on which side the new one is."""
        left, top, right, bottom = _window_px(witness.frames_THWC.shape[2], witness.frames_THWC.shape[1])
        inside_THWC, least_px = witness.frames_THWC[:, top:bottom, left:right], SEEN_SHARE * (right - left) ** 2
        places = {name: mask_centers(color_masks(inside_THWC, rgb), least_px) for name, rgb in COLORS.items()}
        shown = [tuple(n for n in COLORS if not np.isnan(places[n][t, 0])) for t in range(len(inside_THWC))]
        views, move = list[View](), ""
        for names, frames in groupby(range(len(shown)), key=shown.__getitem__):
            if len(names) == 1 and (not views or names[0] != views[-1].color):
                views.append(View(move, names[0]))
                move = ""
            elif len(names) == 2 and views and views[-1].color in names:
                new = names[names[0] == views[-1].color]
                at = [*frames]
                x, y = (places[new][at] - places[views[-1].color][at]).mean(axis=0)
                move = ("left", "right")[int(x > 0)] if abs(x) > abs(y) else ("up", "down")[int(y > 0)]
        is_whole = len(views) == facts["rows"] * facts["columns"] and all(view.move for view in views[1:])
        return views if is_whole else None

    def answer(self, measured: list[View], facts: Facts) -> str:
        cells = _cells(measured, facts)
        if facts["mode"] == "count":
            return str(sum(color == facts["color"] for color in cells.values()))
        if facts["mode"] == "whole":
            rows = [[cells.get((r, c), "") for c in range(facts["columns"])] for r in range(facts["rows"])]
            return " / ".join(" ".join(row) for row in rows)
        row, column = next(cell for cell, color in cells.items() if color == facts["color"])
        down, across = MOVES[SIDES[facts["side"]]]
        return cells.get((row + down, column + across), "")

    def summary(self, plan: ScenePlan) -> str:
        """Say where the cells lie that the answer follows from."""
        facts, cells = plan.facts, _cells(self.logged(plan.events, plan.facts), plan.facts)
        mine = [cell for cell, color in cells.items() if color == facts["color"]]
        if facts["mode"] == "beside":
            down, across = MOVES[SIDES[facts["side"]]]
            asked = (mine[0][0] + down, mine[0][1] + across)
            return f"The cell {facts['side']} the {facts['color']} one is at {_place(asked)}."
        listed = "; ".join(map(_place, mine))
        return f"The {facts['color']} cells are {listed}." if facts["mode"] == "count" else ""

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether every view, and every move with both of its cells, is seen in one of these frames."""
        shown_ms, frame_ms = plan.shown_ms(frames), 1000.0 / plan.fps
        for one, other in pairwise(by_start(plan.events)):
            share = (shown_ms - one.end_ms + frame_ms) / (other.start_ms - one.end_ms + frame_ms)
            if not ((share > CLEAR) & (share < 1 - CLEAR)).any():
                return False
        return super().survives(plan, frames)


@functools.cache
def tours(rows: int, columns: int) -> dict[Cell, list[Walk]]:
    """Return all ways through every cell of a grid, each cell once, by the cell where they start."""
    walks: list[Walk] = [((row, column),) for row in range(rows) for column in range(columns)]
    for _ in range(rows * columns - 1):
        walks = [(*walk, to) for walk in walks for to in _next_to(walk[-1], rows, columns) if to not in walk]
    return {start: list(found) for start, found in groupby(walks, key=lambda walk: walk[0])}


@functools.cache
def _next_to(cell: Cell, rows: int, columns: int) -> tuple[Cell, ...]:
    near = [(cell[0] + down, cell[1] + across) for down, across in MOVES.values()]
    return tuple((row, column) for row, column in near if 0 <= row < rows and 0 <= column < columns)


def _choose_order(
    rng: np.random.Generator, palette: Sequence[str], color: str, length: int, *, often: bool
) -> list[str]:
    """Choose the colors of the views, never one twice in a row; a color comes in turn with another one, or once."""
    others = shuffled(rng, [name for name in palette if name != color])
    pool, order = [color, others[0]] if often else others, [choose_one(rng, (color, others[0])) if often else ""]
    while len(order) <= length:
        order.append(choose_one(rng, [name for name in pool if name != order[-1]]))
    if not often:
        order[1 + int(rng.integers(length))] = color
    return order[1:]


def _choose_walks(rng: np.random.Generator, start: Cell, length: int, rows: int, columns: int) -> list[Walk]:
    """Choose ways that may come back to cells; on a way, two colors in turn never meet in one cell."""
    walks = []
    for shares in rng.random((NUM_WALKS, length - 1)).tolist():
        walk = [start]
        for share in shares:
            near = _next_to(walk[-1], rows, columns)
            walk.append(near[int(share * len(near))])
        walks.append(tuple(walk))
    return walks


def _neighbors(walk: Walk, order: Sequence[str]) -> frozenset[tuple[object, int]]:
    """Return which colors are seen side by side or one above the other, and how often: what a bag of frames shows."""
    steps = [sorted(pair) for pair in pairwise(zip(walk, order, strict=True))]
    return frozenset(Counter((one[1], other[1], one[0][0] == other[0][0]) for one, other in steps).items())


def _views(walk: Walk, order: Sequence[str]) -> list[View]:
    names = {step: name for name, step in MOVES.items()}
    moves = ["", *(names[b[0] - a[0], b[1] - a[1]] for a, b in pairwise(walk))]
    return [View(move, color) for move, color in zip(moves, order, strict=True)]


def _cells(views: Sequence[View], facts: Facts) -> dict[Cell, str]:
    """Put the views together: the color of every cell that was seen."""
    row, column = facts["row"] - 1, facts["column"] - 1
    cells = {}
    for view in views:
        down, across = MOVES.get(view.move, (0, 0))
        row, column = row + down, column + across
        cells[row, column] = view.color
    return cells


def _place(cell: Cell) -> str:
    return f"row {cell[0] + 1}, column {cell[1] + 1}"


def _event(setting: Setting, span: tuple[int, int], view: View, cell: Cell) -> Event:
    detail = f"{view.move} {cell[0] + 1} {cell[1] + 1} {view.color}".strip()
    return setting.event_in("view" if view.move else "first", "window", *span, detail)


def _window_px(width: int, height: int) -> tuple[int, int, int, int]:
    half = round(WINDOW_SIDE * min(width, height) / 2)
    return width // 2 - half, height // 2 - half, width // 2 + half, height // 2 + half


def _tracks(setting: Setting, walk: Walk, order: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[Track]:
    """Lay out the window's frame, and in it the cells as they pass."""
    window_px = left, top, right, bottom = _window_px(setting.canvas.width, setting.canvas.height)
    center, pitch_px = np.array([left + right, top + bottom]) / 2, right - left
    knots, frames_T = np.array([(start, end - 1) for start, end in spans]).ravel(), np.arange(setting.num_frames)
    at_T2 = np.stack([np.interp(frames_T, knots, np.repeat(axis, 2)) for axis in np.array(walk).T], axis=1)
    still_T2 = np.tile(center, (setting.num_frames, 1))
    frame = [(WALL_COLOR, FRAME_SIDE / WINDOW_SIDE), (DARK_COLOR, 1.0)]
    tracks = [square_track("frame", color, share * pitch_px, still_T2) for color, share in frame]
    for cell, color in dict(zip(walk, order, strict=True)).items():
        xy_T2 = center + pitch_px * (np.array(cell) - at_T2)[:, ::-1]
        track = square_track(f"{color} cell", COLORS[color], CELL_SIDE * pitch_px, xy_T2)
        tracks.append(replace(track, window_px=window_px))
    return tracks
