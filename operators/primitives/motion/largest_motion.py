"""In which cell of a grid is the largest motion, and which way does it go? (ST-statistics, arXiv 1904.03597).

Every cell of the frame holds one shape of its own color, which drifts over a cell whose edges are joined. One drifts
further than all the others. The four options are two cells by two opposite directions, so none is the odd one out. No
single frame shows any motion, and the same frames backwards have another of the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._stated import Value, direction_of
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._panels import Panel, cells, panel_track
from temporay.operators.primitives.motion._stage import OPPOSITE, VECTORS, Actor, choose_actors, followed_steps
from temporay.operators.records import Event, Track
from temporay.operators.seeding import choose_one, shuffled

NUM_ROWS_BY_LEVEL = (2, 2, 3, 3, 3)
NUM_DIRECTIONS_BY_LEVEL = (4, 8, 4, 8, 8)
MIN_RATIO_BY_LEVEL = (3.0, 2.6, 2.4, 2.1, 1.8)  # largest motion over the second largest
SLOW_TRAVEL = (0.10, 0.22)  # parts of the cell's shorter side in the whole clip
RADIUS_RANGE = (0.18, 0.26)  # parts of the cell's shorter side
MIN_RADIUS_PX = 4.0


class LargestMotion(DrawnMotion[tuple[str, str]]):
    """Question about the place and the direction of the largest motion."""

    task = "largest_motion"
    order_dependent = True
    twin = "reversed"

    wordings = (
        "The frame is divided into a grid of {n} by {n} cells. Which cell has the largest motion, and in which "
        "direction?",
        "In which cell of a {n} by {n} grid is the largest motion, and which way does it go?",
        "Divide the picture into {n} by {n} equal blocks. Where is the largest motion, and whither?",
        "Every block of a {n} by {n} grid has something moving in it. Which moves the most, and in what direction?",
        "Where in the {n} by {n} grid does the fastest motion happen, and where is it heading?",
        "Which option gives the place (of {n} by {n}) and the direction of the largest motion?",
        "Compare the motion in the {n} by {n} parts of the frame. Which is the strongest, and which way?",
        "Something moves in each of the {n} by {n} cells. Name the cell with the most motion and its direction.",
    )
    phrases: ClassVar[Phrases] = {
        "drifts": (
            "From {start} s to {end} s the shape in the {subject} drifts over {detail}.",
            "Between {start} s and {end} s there is a drift in the {subject} over {detail}.",
            "{start} s to {end} s, {subject}: the shape gets over {detail}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"drifts": ("In the {subject} a drift over {detail}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        grid = cells(canvas.width, canvas.height, NUM_ROWS_BY_LEVEL[level])
        names = list(VECTORS)[: NUM_DIRECTIONS_BY_LEVEL[level]]
        asked = _choose_asked(rng, len(grid), names)
        truth = choose_one(rng, asked)
        directions = _choose_directions(rng, len(grid), names, asked, truth)
        travels = rng.uniform(*SLOW_TRAVEL, len(grid))
        largest, _ = truth
        ratio = MIN_RATIO_BY_LEVEL[level] * float(rng.uniform(1.0, 1.2))
        travels[largest] = ratio * np.delete(travels, largest).max()
        actors = choose_actors(rng, grid[0].canvas(canvas), len(grid), level)
        tracks = [
            _drifting(setting, actor, cell, VECTORS[direction], float(travel))
            for actor, cell, direction, travel in zip(actors, grid, directions, travels, strict=True)
        ]
        if setting.address.twin:  # the same frames backwards
            tracks = [replace(track, xy_T2=track.xy_T2[::-1]) for track in tracks]
            directions = [OPPOSITE[direction] for direction in directions]
        events = [
            setting.event("drifts", cell.name, f"{round(100 * travel)} % of its cell {way}")
            for cell, travel, way in zip(grid, travels, directions, strict=True)
        ]
        facts = {
            "num_rows": NUM_ROWS_BY_LEVEL[level],
            "options": [[grid[cell].name, way] for cell, way in asked],
            "shapes": {cell.name: actor.name for cell, actor in zip(grid, actors, strict=True)},
        }
        return MotionClip(tracks, events, facts)

    def text(self, facts: Facts) -> str:
        return self.wordings[facts["wording"]].format(n=facts["num_rows"])

    def options_of(self, facts: Facts) -> tuple[str, ...]:
        return tuple(f"{cell}, moving {way}" for cell, way in facts["options"])

    def what_happens(self, kind: str, detail: str) -> Mapping[str, Value]:
        share, _, way = detail.partition(" % of its cell ")
        return {"share": float(share) if share.isdecimal() else share, **direction_of(way)}

    def logged(self, events: Sequence[Event], facts: Facts) -> tuple[str, str]:
        """Return the cell of the largest motion, and where it goes."""
        largest = max(events, key=lambda event: int(event.detail.split()[0]))
        return largest.subject, largest.detail.partition(" of its cell ")[2]

    def seen(self, witness: Witness, facts: Facts) -> tuple[str, str] | None:
        """Follow the color of the shape in each cell asked about: how far it gets, and which way."""
        height, width = witness.frames_THWC.shape[1:3]
        grid = {cell.name: cell for cell in cells(width, height, facts["num_rows"])}
        along: dict[tuple[str, str], float] = {}
        for cell, way in facts["options"]:
            step_xy_T2 = followed_steps(grid[cell].crop(witness.frames_THWC), facts["shapes"][cell])
            if step_xy_T2 is None:
                return None
            along[cell, way] = float(np.dot(VECTORS[way], step_xy_T2.sum(axis=0)))
        return max(along, key=along.__getitem__)

    def answer(self, measured: tuple[str, str], facts: Facts) -> str:
        return "{}, moving {}".format(*measured)


def _choose_asked(rng: np.random.Generator, num_cells: int, names: list[str]) -> list[tuple[int, str]]:
    """Choose the options: two cells by two opposite directions, in any order."""
    way = choose_one(rng, names)
    chosen = [int(cell) for cell in rng.choice(num_cells, 2, replace=False)]
    pairs = [(cell, direction) for cell in chosen for direction in (way, OPPOSITE[way])]
    return shuffled(rng, pairs)


def _choose_directions(
    rng: np.random.Generator, num_cells: int, names: list[str], asked: list[tuple[int, str]], truth: tuple[int, str]
) -> list[str]:
    """Choose where the shape of every cell goes; in both cells asked about it goes one of the two ways asked about."""
    directions = [choose_one(rng, names) for _ in range(num_cells)]
    for cell, way in dict(asked).items():
        directions[cell] = choose_one(rng, (way, OPPOSITE[way]))
    cell, way = truth
    directions[cell] = way
    return directions


def _drifting(setting: Setting, actor: Actor, cell: Panel, vector: tuple[float, float], travel: float) -> Track:
    """Let a shape start anywhere and cross ``travel`` of its cell's shorter side in even steps."""
    rng, num_steps = setting.rng, setting.num_frames - 1
    side = min(cell.right - cell.left, cell.bottom - cell.top)
    larger = replace(actor, radius_px=max(MIN_RADIUS_PX, side * float(rng.uniform(*RADIUS_RANGE))))
    steps_T2 = np.tile(np.array(vector) * side * travel / num_steps, (num_steps, 1))
    return panel_track(larger, cell, setting.canvas, rng.uniform(0.0, 1.0, 2), steps_T2)
