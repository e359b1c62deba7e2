"""Which number was, or is, at a place of a sliding puzzle? (SynRL, arXiv 2603.17693, long-term: retrodictive identity.)

Tiles are blank while they slide and show their numbers in the reveal alone. The gap is seen all the time, so walks of
it cannot be cut up and put together in another order: a twin is staged anew, from the same gap, with another walk that
ends, where the board allows, at the same place.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import TwinKind
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._game import (
    Course,
    Facts,
    Operation,
    OperationsGame,
    Stage,
    State,
    by_answer,
    timed_wordings,
)
from temporay.operators.primitives.states._slots import COVER_COLOR, Timing, coverage, split_active
from temporay.operators.records import Track

SMALL_SIDE_PX = 64  # under it two rows and columns, else three
NUM_WALKS = 200  # of the gap, from which those of one sample are taken
GAP = "-"
PAPER_WORDINGS = {
    "forward": "Which number (shown at the start) is at position {place} at the end?",
    "retrodictive": "Which number (shown at the end) started at position {place}?",
    "historical": "Which number was at position {place} right after step {number}?",
}
TEMPLATES = (
    "which tile was at position {place} {when}?",
    "what was the number of the tile at position {place} {when}?",
    "position {place} of the puzzle: which number was there {when}?",
    "tiles slide face down. Which one lay at position {place} {when}?",
    "the tile at position {place} {when} had which number?",
    "which number would have been seen at position {place} {when}?",
    "follow the blank tiles. Which number did position {place} hold {when}?",
)


class SlidingPuzzle(OperationsGame):
    task: ClassVar[str] = "sliding_puzzle"
    twin: ClassVar[TwinKind] = "restaged"
    subject: ClassVar[str] = "tiles"
    legend: ClassVar[str] = "Positions are counted row by row from the top left; each slide is a step."
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]] = (3, 4, 6, 8, 12)
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the puzzle shows, row by row: {detail}.",
            "Between {start} s and {end} s the numbers are seen, row by row: {detail}.",
            "The board seen from {start} s to {end} s is, row by row, {detail}.",
        ),
        "slide": (
            "From {start} s to {end} s the tile at {d1} slides to {d2}; the board is {d3} before, {d4} after.",
            "Between {start} s and {end} s a tile slides from {d1} to {d2}, which turns {d3} into {d4}.",
            "The slide from {d1} to {d2}, from {start} s to {end} s: {d3} before it, {d4} after it.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Board {detail}.",),
        "slide": ("Tile {d1} to {d2}, {d3} before, {d4} after.",),
    }

    def stage(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage:
        columns = 2 if min(canvas.width, canvas.height) < SMALL_SIDE_PX else 3
        numbers = [str(n) for n in range(1, columns**2)]
        colors = [list(COLORS)[int(i)] for i in rng.choice(len(COLORS), len(numbers), replace=False)]
        board = [GAP, *numbers]
        revealed = tuple(board[i] for i in rng.permutation(len(board)))
        drawn = {"columns": columns, "tiles": dict(zip(numbers, colors, strict=True))}
        return Stage(revealed=revealed, facts=drawn, num_answers=len(numbers))

    def propose(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> Course:
        """A random walk of the gap from the shown state; back at once only in two columns, where few other ways are."""
        columns, gap, last, course = facts["columns"], stage.revealed.index(GAP), -1, list[Operation]()
        for _ in range(facts["num_operations"]):
            ways = [cell for cell in _neighbours(gap, columns) if cell != last or columns == 2]
            last, gap = gap, ways[int(rng.integers(len(ways)))]
            start, end = (gap, last) if facts["at_start"] else (last, gap)
            course.append(("slide", str(start + 1), str(end + 1)))
        return tuple(course if facts["at_start"] else course[::-1])

    def courses(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> tuple[Facts, dict[str, list[Course]]]:
        """Walks that end at the same place, by the number that they bring to a place at which many can be.

        Raises:
            SampleRejected: the walks drawn bring one number to each place.
        """
        walks = sorted({self.propose(rng, stage, facts) for _ in range(NUM_WALKS)})
        ends = [course[-1][1] if facts["at_start"] else course[0][2] for course in walks]
        ordered = [str(1 + int(i)) for i in rng.permutation(len(stage.revealed))]
        best: tuple[Facts, dict[str, list[Course]]] = (facts, {})
        for end in [*sorted(set(ends), key=lambda end: (-ends.count(end), ordered.index(end))), ""]:
            same = [course for course, its_end in zip(walks, ends, strict=True) if end in ("", its_end)]
            for place in ordered:
                asked = {**facts, "place": int(place)}
                found = by_answer(same, functools.partial(self.answer, asked, stage.revealed))
                best = (asked, found) if len(found) > len(best[1]) else best
            if len(best[1]) >= 2:
                return best
        raise SampleRejected("order_without_effect", f"{NUM_WALKS} walks bring one number to each place")

    def apply(self, state: State, operation: Operation) -> State | None:
        start, end = (int(word) - 1 for word in operation[1:])
        board = list(state)
        board[start], board[end] = board[end], board[start]
        return tuple(board) if state[end] == GAP else None

    def undo(self, state: State, operation: Operation) -> State | None:
        kind, start, end = operation
        return self.apply(state, (kind, end, start))

    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        number = states[facts["asked_after"]][facts["place"] - 1]
        return None if number == GAP else number

    def carried(self, facts: Facts, state: State) -> str:
        columns = facts["columns"]
        return "/".join("".join(state[row : row + columns]) for row in range(0, len(state), columns))

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return timed_wordings(TEMPLATES, facts, PAPER_WORDINGS)

    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]:
        """Blank tiles, which slide, and over them the numbered ones while nothing does."""
        cells_xy, radius_px = _layout(canvas.width, canvas.height, facts["columns"])
        tile_at = {cell: i for i, cell in enumerate(c for c, number in enumerate(states[0]) if number != GAP)}
        paths = np.stack([np.tile(cells_xy[cell], (timing.num_frames, 1)) for cell in tile_at])
        for operation, start_frame in zip(course, timing.starts, strict=True):
            start, end = (int(word) - 1 for word in operation[1:])
            tile, moving = tile_at.pop(start), slice(start_frame, start_frame + timing.per_op)
            tile_at[end] = tile
            paths[tile, moving] = cells_xy[start] + timing.shares[:, None] * (cells_xy[end] - cells_xy[start])
            paths[tile, moving.stop :] = cells_xy[end]
        everywhere = np.ones(timing.num_frames, np.bool_)
        blanks = [
            Track(name="tile", shape="square", color=COVER_COLOR, radius_px=radius_px, xy_T2=path, visible_T=everywhere)
            for path in paths
        ]
        shown = states[0 if timing.at_start else -1]
        faces = [
            Track(
                name=f"tile {number}",
                shape="square",
                color=COLORS[facts["tiles"][number]],
                radius_px=radius_px,
                xy_T2=np.tile(xy, (timing.num_frames, 1)),
                visible_T=timing.revealed_T,
                label=number,
            )
            for number, xy in zip(shown, cells_xy, strict=True)
            if number != GAP
        ]
        return (*blanks, *faces)

    def recover(self, witness: Witness) -> int | None:
        """By the colours of the tiles, and by the cell that each slide empties and the one that it fills."""
        frames_THWC, facts = witness.frames_THWC, witness.facts
        height, width = frames_THWC.shape[1:3]
        cells_xy, radius_px = _layout(width, height, facts["columns"])
        numbers = list(facts["tiles"])
        seen_NTC = np.stack(
            [coverage(frames_THWC, COLORS[color], cells_xy, 0.7 * radius_px) for color in facts["tiles"].values()]
        )
        revealed_T = seen_NTC.max(axis=2).min(axis=0) > 0.25
        blank_TC = coverage(frames_THWC, COVER_COLOR, cells_xy, 0.8 * radius_px)
        active_T = ~revealed_T & ((blank_TC > 0.95).sum(axis=1) < len(numbers))
        steps = split_active(active_T, facts["num_operations"])
        if not revealed_T.any() or steps is None:
            return None
        board = [GAP] * len(cells_xy)
        for number, cell in zip(numbers, seen_NTC[:, revealed_T].mean(axis=1).argmax(axis=1), strict=True):
            board[int(cell)] = number
        course = []
        for step in steps:
            change_C = blank_TC[step.stop - 1] - blank_TC[step.start]
            course.append(("slide", str(int(change_C.argmin()) + 1), str(int(change_C.argmax()) + 1)))
        answer = self.answer(facts, tuple(board), tuple(course)) if len(set(board)) == len(board) else None
        return witness.options.index(answer) if answer in witness.options else None


def _neighbours(cell: int, columns: int) -> list[int]:
    row, column = divmod(cell, columns)
    around = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
    return [r * columns + c for r, c in around if 0 <= r < columns and 0 <= c < columns]


def _layout(width: int, height: int, columns: int) -> tuple[npt.NDArray[np.float64], float]:
    """Centres of the cells row by row, (columns², 2) px, on the largest square in the middle, and a tile's radius."""
    pitch_px = min(width, height) / columns
    offsets = (np.arange(columns) - (columns - 1) / 2) * pitch_px
    rows, across = np.meshgrid(offsets, offsets, indexing="ij")
    return np.stack([across.ravel() + width / 2, rows.ravel() + height / 2], axis=1), 0.48 * pitch_px
