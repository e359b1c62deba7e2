"""Ask which number is at a place of a sliding puzzle (SynRL, arXiv 2603.17693: retrodictive identity).

Tiles are blank while they slide and show their numbers in the reveal alone. The gap is seen all the time, so most walks
of the gap are fixed by the slides that they have. Here it walks around two loops or more that share a cell. They can be
walked in another order with the same slides, and that leaves the tiles elsewhere. Eight slides are the fewest.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.primitives._base import Facts, Phrases
from temporay.operators.primitives._plan import grid_of
from temporay.operators.primitives.states._faces import COLUMNS, GridGame
from temporay.operators.primitives.states._game import MAX_OPTIONS
from temporay.operators.primitives.states._play import Course, Layout, Operation, Play, Setup, State, exchanged
from temporay.operators.primitives.states._slots import COVER_COLOR, alike, choose_colors, in_turn
from temporay.operators.primitives.states._wordings import TimedWordings, told_states
from temporay.operators.records import Frames, Track
from temporay.operators.seeding import choose_one

NUM_SLIDES_BY_LEVEL = ((8, 8), (9, 9), (10, 10), (12, 12), (14, 14))
NUM_SETS = 8  # sets of slides that are looked at
GAP = "_"
QUICK_START = 0.12  # a tile leaves its cell fast and enters the other one fast, so that few frames look like rest
WHOLE = 0.92  # share of a cell that is covered where a tile lies in it
WORDINGS = {
    "": TimedWordings(
        forward=("Which number (shown at the start) is at position {place} at the end?",),
        retrodictive=("Which number (shown at the end) started at position {place}?",),
        historical=("Which number was at position {place} right after step {number}?",),
        templates=(
            "which tile was at position {place} {when}?",
            "what was the number of the tile at position {place} {when}?",
            "position {place} of the puzzle: which number was there {when}?",
            "tiles slide face down. Which one lay at position {place} {when}?",
            "the tile at position {place} {when} had which number?",
            "which number would have been seen at position {place} {when}?",
            "follow the blank tiles. Which number did position {place} hold {when}?",
        ),
    )
}


class SlidingPuzzle(GridGame):
    """A sliding puzzle whose tiles are blank while they slide."""

    task = "sliding_puzzle"
    free_form = True
    subject = "tiles"
    faces_fact = "tiles"
    face_prefix = "tile "
    legend = "Positions are counted row by row from the top left; each slide is a step."
    timed_wordings = WORDINGS
    num_operations_by_level = NUM_SLIDES_BY_LEVEL
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the puzzle shows, row by row: {detail}.",
            "Between {start} s and {end} s the numbers are seen, row by row: {detail}.",
            "The board seen from {start} s to {end} s is, row by row, {detail}.",
        ),
        "slide": (
            "From {start} s to {end} s the tile at {d1} slides to {d2}.",
            "Between {start} s and {end} s a tile slides from {d1} to {d2}.",
            "A tile moves from {d1} to {d2} from {start} s to {end} s.",
        ),
        **told_states("the board is {detail}"),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Board: {detail}.",),
        "slide": ("Slide {d1} to {d2}.",),
        **told_states("board {detail}"),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        numbers = [str(n) for n in range(1, COLUMNS**2)]
        colors = choose_colors(rng, len(numbers))
        board = [GAP, *numbers]
        revealed = tuple(board[i] for i in rng.permutation(len(board)))
        chosen = {"tiles": dict(zip(numbers, colors, strict=True))}
        return Setup(revealed=revealed, facts=chosen, num_answers=len(numbers))

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        """Choose a walk of the gap, whether or not another one has the same slides."""
        walks = _walks(setup.revealed.index(GAP), facts["num_operations"])
        return self._course(choose_one(rng, walks), facts["at_start"])

    def courses(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> tuple[Facts, dict[str, list[Course]]]:
        """Find walks with the same slides, by the number that they bring to a place where many can be."""
        num_slides, at_start = facts["num_operations"], facts["at_start"]
        sets = _alike_walks(setup.revealed.index(GAP), num_slides)
        ordered = [int(i) for i in 1 + rng.permutation(len(setup.revealed))]
        between = range(1, num_slides) if facts["mode"] == "historical" else ()  # where the first choice leads nowhere
        best: tuple[Facts, dict[str, list[Course]]] = (facts, {})
        for asked_after in (facts["asked_after"], *between):
            for i in rng.integers(len(sets), size=NUM_SETS):
                walks = [self._course(walk, at_start) for walk in sets[int(i)]]
                for place in ordered:
                    asked = {**facts, "place": place, "asked_after": asked_after}
                    found: dict[str, list[Course]] = {}
                    for walk in walks:
                        if (answer := self.answer((setup.revealed, walk), asked)) is not None:
                            found.setdefault(answer, []).append(walk)
                    best = (asked, found) if len(found) > len(best[1]) else best
                if len(best[1]) >= MAX_OPTIONS:
                    return best
            if len(best[1]) >= 2:
                return best
        raise SampleRejected("order_without_effect", f"{NUM_SETS} sets of slides bring one number to each place")

    def _course(self, walk: Sequence[int], at_start: bool) -> Course:
        """Return the slides of the gap's walk, which goes back from the shown state if that is the last one."""
        steps = [(there, here) if at_start else (here, there) for here, there in pairwise(walk)]
        slides = tuple(("slide", str(start + 1), str(end + 1)) for start, end in steps)
        return slides if at_start else slides[::-1]

    def apply(self, state: State, operation: Operation) -> State | None:
        start, end = (int(word) - 1 for word in operation[1:])
        return exchanged(state, start, end) if state[end] == GAP else None

    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        number = states[facts["asked_after"]][facts["place"] - 1]
        return None if number == GAP else number

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return the cells row by row, on the largest square in the middle."""
        cells_xy, half_px = grid_of(COLUMNS, COLUMNS, width, height)
        return Layout(cells_xy, 0.96 * half_px)

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out blank tiles, which slide, and over them the numbered ones, which show while nothing slides."""
        cells_xy, timing = play.layout.places_xy, play.timing
        tile_at = {cell: i for i, cell in enumerate(c for c, number in enumerate(play.states[0]) if number != GAP)}
        paths = np.stack([np.tile(cells_xy[cell], (timing.num_frames, 1)) for cell in tile_at])
        for operation, moving in play.steps:
            start, end = (int(word) - 1 for word in operation[1:])
            tile_at[end] = tile = tile_at.pop(start)
            gone = timing.shares + QUICK_START * np.sin(2 * np.pi * timing.shares)
            paths[tile, moving] = cells_xy[start] + gone[:, None] * (cells_xy[end] - cells_xy[start])
            paths[tile, moving.stop :] = cells_xy[end]
        return (*alike("tile", "square", COVER_COLOR, play.layout.radius_px, paths), *self.face_tracks(play))

    def moves(self, frames_THWC: Frames, facts: Facts, layout: Layout, revealed: State) -> list[Operation]:
        """Find each slide by the two cells that a tile lies across."""
        places_xy, radius_px = layout
        blank_TC = coverage(frames_THWC, COVER_COLOR, places_xy, 0.8 * radius_px)
        across = [np.flatnonzero(blank_C < WHOLE) for blank_C in blank_TC]
        return in_turn(("slide", *(str(cell + 1) for cell in cells)) if len(cells) == 2 else None for cells in across)


@functools.cache
def _walks(start: int, num_slides: int) -> tuple[tuple[int, ...], ...]:
    """Return all walks of the gap from this cell that never turn back."""
    walks: list[tuple[int, ...]] = [(start,)]
    for _ in range(num_slides):
        walks = [(*walk, cell) for walk in walks for cell in _neighbors(walk[-1]) if cell not in walk[-2:-1]]
    return tuple(walks)


@functools.cache
def _alike_walks(start: int, num_slides: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Return the walks that have the same slides as another one, in sets."""
    by_slides: dict[frozenset[tuple[tuple[int, int], int]], list[tuple[int, ...]]] = {}
    for walk in _walks(start, num_slides):
        by_slides.setdefault(frozenset(Counter(pairwise(walk)).items()), []).append(walk)
    return tuple(tuple(alike) for alike in by_slides.values() if len(alike) > 1)


def _neighbors(cell: int) -> list[int]:
    row, column = divmod(cell, COLUMNS)
    around = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
    return [r * COLUMNS + c for r, c in around if 0 <= r < COLUMNS and 0 <= c < COLUMNS]
