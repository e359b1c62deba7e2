"""Ask which number is at a place of a sliding puzzle (SynRL, arXiv 2603.17693: retrodictive identity).

Tiles are blank while they slide and show their numbers in the reveal alone. The gap is seen all the time, so its walks
cannot be cut up and put together in another order. A twin is staged anew: from the same gap, with another walk that
ends at the same place if the board allows it.
"""

import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._course import Course, Operation, State, exchanged
from temporay.operators.primitives.states._faces import FaceGame
from temporay.operators.primitives.states._game import Layout, Play, Setup, by_answer
from temporay.operators.primitives.states._recovery import split_active
from temporay.operators.primitives.states._slots import COVER_COLOR, alike, choose_colors, grid_xy
from temporay.operators.primitives.states._wordings import TimedWordings
from temporay.operators.records import Frames, Track

SMALL_SIDE_PX = 64  # two rows and columns under it, else three
NUM_WALKS = 200  # walks of the gap, from which those of one sample are taken
GAP = "-"
WORDINGS = {
    "": TimedWordings(
        paper={
            "forward": ("Which number (shown at the start) is at position {place} at the end?",),
            "retrodictive": ("Which number (shown at the end) started at position {place}?",),
            "historical": ("Which number was at position {place} right after step {number}?",),
        },
        templates=(
            "which tile was at position {place} {when}?",
            "what was the number of the tile at position {place} {when}?",
            "position {place} of the puzzle: which number was there {when}?",
            "tiles slide face down. Which one lay at position {place} {when}?",
            "the tile at position {place} {when} had which number?",
            "which number would have been seen at position {place} {when}?",
            "follow the blank tiles. Which number did position {place} hold {when}?",
        ),
    ),
}


class SlidingPuzzle(FaceGame):
    """A sliding puzzle whose tiles are blank while they slide."""

    task = "sliding_puzzle"
    twin = "restaged"
    subject = "tiles"
    faces_fact = "tiles"
    face_prefix = "tile "
    legend = "Positions are counted row by row from the top left; each slide is a step."
    timed_wordings = WORDINGS
    num_operations_by_level = (3, 4, 6, 8, 12)
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

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        columns = 2 if min(canvas.width, canvas.height) < SMALL_SIDE_PX else 3
        numbers = [str(n) for n in range(1, columns**2)]
        colors = choose_colors(rng, len(numbers))
        board = [GAP, *numbers]
        revealed = tuple(board[i] for i in rng.permutation(len(board)))
        chosen = {"columns": columns, "tiles": dict(zip(numbers, colors, strict=True))}
        return Setup(revealed=revealed, facts=chosen, num_answers=len(numbers))

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        """Walk the gap at random from the shown state. Only in two columns, with few ways, it may turn back at once."""
        columns, gap, last, course = facts["columns"], setup.revealed.index(GAP), -1, list[Operation]()
        for _ in range(facts["num_operations"]):
            ways = [cell for cell in _neighbors(gap, columns) if cell != last or columns == 2]
            last, gap = gap, ways[int(rng.integers(len(ways)))]
            start, end = (gap, last) if facts["at_start"] else (last, gap)
            course.append(("slide", str(start + 1), str(end + 1)))
        return tuple(course if facts["at_start"] else course[::-1])

    def courses(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> tuple[Facts, dict[str, list[Course]]]:
        """Find walks that end at the same place, by the number that they bring to a place where many can be.

        Raises:
            SampleRejected: the chosen walks bring one number to each place.
        """
        walks = sorted({self.propose(rng, setup, facts) for _ in range(NUM_WALKS)})
        ends = [course[-1][1] if facts["at_start"] else course[0][2] for course in walks]
        ordered = [str(1 + int(i)) for i in rng.permutation(len(setup.revealed))]
        best: tuple[Facts, dict[str, list[Course]]] = (facts, {})
        for end in [*sorted(set(ends), key=lambda end: (-ends.count(end), ordered.index(end))), ""]:
            same = [course for course, its_end in zip(walks, ends, strict=True) if end in ("", its_end)]
            for place in ordered:
                asked = {**facts, "place": int(place)}
                found = by_answer(same, functools.partial(self.answer, asked, setup.revealed))
                best = (asked, found) if len(found) > len(best[1]) else best
            if len(best[1]) >= 2:
                return best
        raise SampleRejected("order_without_effect", f"{NUM_WALKS} walks bring one number to each place")

    def apply(self, state: State, operation: Operation) -> State | None:
        start, end = (int(word) - 1 for word in operation[1:])
        return exchanged(state, start, end) if state[end] == GAP else None

    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        number = states[facts["asked_after"]][facts["place"] - 1]
        return None if number == GAP else number

    def carried(self, facts: Facts, state: State) -> str:
        columns = facts["columns"]
        return "/".join("".join(state[row : row + columns]) for row in range(0, len(state), columns))

    def cells(self, carried: str) -> tuple[str, ...]:
        return tuple(carried.replace("/", ""))

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return the cells row by row, on the largest square in the middle."""
        pitch_px = min(width, height) / facts["columns"]
        offsets = np.float64(pitch_px) * (np.arange(facts["columns"]) - (facts["columns"] - 1) / 2)
        return Layout(grid_xy(offsets + width / 2, offsets + height / 2), 0.48 * pitch_px)

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out blank tiles, which slide, and over them the numbered ones, which show while nothing slides."""
        cells_xy, timing = play.layout.places_xy, play.timing
        tile_at = {cell: i for i, cell in enumerate(c for c, number in enumerate(play.states[0]) if number != GAP)}
        paths = np.stack([np.tile(cells_xy[cell], (timing.num_frames, 1)) for cell in tile_at])
        for operation, moving in play.steps:
            start, end = (int(word) - 1 for word in operation[1:])
            tile_at[end] = tile = tile_at.pop(start)
            paths[tile, moving] = cells_xy[start] + timing.shares[:, None] * (cells_xy[end] - cells_xy[start])
            paths[tile, moving.stop :] = cells_xy[end]
        return (*alike("tile", "square", COVER_COLOR, play.layout.radius_px, paths), *self.face_tracks(play))

    def moves(
        self, frames_THWC: Frames, facts: Facts, layout: Layout, hidden_T: npt.NDArray[np.bool_]
    ) -> list[Operation]:
        """Find each slide by the cell that it empties and the one that it fills."""
        places_xy, radius_px = layout
        blank_TC = coverage(frames_THWC, COVER_COLOR, places_xy, 0.8 * radius_px)
        active_T = hidden_T & ((blank_TC > 0.95).sum(axis=1) < len(facts["tiles"]))
        steps = split_active(active_T, facts["num_operations"]) or []
        changes = [blank_TC[step.stop - 1] - blank_TC[step.start] for step in steps]
        return [("slide", str(int(change_C.argmin()) + 1), str(int(change_C.argmax()) + 1)) for change_C in changes]


def _neighbors(cell: int, columns: int) -> list[int]:
    row, column = divmod(cell, columns)
    around = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
    return [r * columns + c for r, c in around if 0 <= r < columns and 0 <= c < columns]
