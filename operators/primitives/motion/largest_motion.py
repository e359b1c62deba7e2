"""In which cell of a grid is the largest motion, and which way does it go? (ST-statistics, arXiv 1904.03597.)

Every cell of the frame holds one shape of its own colour, which drifts over a cell whose edges are joined; one drifts
further than all the others. The four options are two cells by two opposite directions, so none is the odd one out, no
single frame shows any motion, and backwards the same frames have another answer among them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, total_steps
from temporay.operators.primitives._base import Primitive, Twin
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.motion._panels import Panel, cells, panel_track
from temporay.operators.primitives.motion._stage import (
    OPPOSITE,
    VECTORS,
    Actor,
    choose_actors,
    choose_num_frames,
    color_of,
    drawn_plan,
)
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

NUM_ROWS_BY_LEVEL = (2, 2, 3, 3, 3)
NUM_DIRECTIONS_BY_LEVEL = (4, 8, 4, 8, 8)
MIN_RATIO_BY_LEVEL = (3.0, 2.6, 2.4, 2.1, 1.8)  # largest motion over the second largest
SLOW_TRAVEL = (0.10, 0.22)  # of the cell's shorter side in the whole clip
RADIUS_RANGE = (0.18, 0.26)  # of the cell's shorter side
MIN_RADIUS_PX = 4.0
WORDINGS = (
    "The frame is divided into a grid of {n} by {n} cells. Which cell has the largest motion, and in which direction?",
    "In which cell of a {n} by {n} grid is the largest motion, and which way does it go?",
    "Divide the picture into {n} by {n} equal blocks. Where is the largest motion, and whither?",
    "Every block of a {n} by {n} grid has something moving in it. Which moves the most, and in what direction?",
    "Where in the {n} by {n} grid does the fastest motion happen, and where is it heading?",
    "Which option gives the place (of {n} by {n}) and the direction of the largest motion?",
    "Compare the motion in the {n} by {n} parts of the frame. Which is the strongest, and which way?",
    "Something moves in each of the {n} by {n} cells. Name the cell with the most motion and its direction.",
)


class LargestMotion(Primitive):
    task: ClassVar[str] = "largest_motion"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "reversed"
    phrases: ClassVar[Phrases] = {
        "drifts": (
            "From {start} s to {end} s the shape in the {subject} drifts over {detail}.",
            "Between {start} s and {end} s there is a drift in the {subject} over {detail}.",
            "{start} s to {end} s, {subject}: the shape gets over {detail}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"drifts": ("In the {subject} a drift over {detail}.",)}

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        grid = cells(canvas.width, canvas.height, NUM_ROWS_BY_LEVEL[address.level])
        names = list(VECTORS)[: NUM_DIRECTIONS_BY_LEVEL[address.level]]
        asked = _choose_asked(rng, len(grid), names)
        truth = int(rng.integers(len(asked)))
        directions = _choose_directions(rng, len(grid), names, asked, truth)
        travels = rng.uniform(*SLOW_TRAVEL, len(grid))
        largest = asked[truth][0]
        ratio = MIN_RATIO_BY_LEVEL[address.level] * float(rng.uniform(1.0, 1.2))
        travels[largest] = ratio * np.delete(travels, largest).max()
        num_frames = choose_num_frames(address, canvas)
        actors = choose_actors(rng, grid[0].canvas(canvas), len(grid), address.level)
        tracks = [
            _track(rng, actor, cell, canvas, VECTORS[direction], float(travel), num_frames)
            for actor, cell, direction, travel in zip(actors, grid, directions, travels, strict=True)
        ]
        if address.twin:  # the same frames backwards
            tracks = [replace(track, xy_T2=track.xy_T2[::-1]) for track in tracks]
            directions = [OPPOSITE[direction] for direction in directions]
        end_ms = 1000.0 * num_frames / canvas.fps
        drifts = zip(grid, travels, directions, strict=True)
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=tuple(tracks),
            events=tuple(
                Event(
                    kind="drifts",
                    subject=cell.name,
                    start_ms=0.0,
                    end_ms=end_ms,
                    detail=f"{round(100 * travel)} % of its cell {way}",
                )
                for cell, travel, way in drifts
            ),
            facts={
                "num_rows": NUM_ROWS_BY_LEVEL[address.level],
                "options": [[grid[cell].name, way] for cell, way in asked],
                "shapes": {cell.name: actor.name for cell, actor in zip(grid, actors, strict=True)},
                "wording": int(rng.integers(len(WORDINGS))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        largest = max(
            (event for event in plan.events if event.kind == "drifts"), key=lambda event: int(event.detail.split()[0])
        )
        way = largest.detail.partition(" of its cell ")[2]
        options = plan.facts["options"]
        return Question(
            text=WORDINGS[plan.facts["wording"]].format(n=plan.facts["num_rows"]),
            options=tuple(f"{cell}, moving {way}" for cell, way in options),
            answer_index=options.index([largest.subject, way]),
        )

    def recover(self, witness: Witness) -> int | None:
        """By the colour of the shape in each asked-about cell: how far it gets, and which way."""
        height, width = witness.frames_THWC.shape[1:3]
        grid = {cell.name: cell for cell in cells(width, height, witness.facts["num_rows"])}
        along = []
        for cell, way in witness.facts["options"]:
            color = color_of(witness.facts["shapes"][cell])
            step_xy = None if color is None else total_steps(grid[cell].crop(witness.frames_THWC), color)
            if step_xy is None:
                return None
            along.append(float(np.dot(VECTORS[way], step_xy)))
        return int(np.argmax(along))


def _choose_asked(rng: np.random.Generator, num_cells: int, names: list[str]) -> list[tuple[int, str]]:
    """The options: two cells by two opposite directions, shuffled."""
    way = names[int(rng.integers(len(names)))]
    chosen = [int(cell) for cell in rng.choice(num_cells, 2, replace=False)]
    pairs = [(cell, direction) for cell in chosen for direction in (way, OPPOSITE[way])]
    return [pairs[i] for i in rng.permutation(len(pairs))]


def _choose_directions(
    rng: np.random.Generator, num_cells: int, names: list[str], asked: list[tuple[int, str]], truth: int
) -> list[str]:
    """Where the shape of every cell goes; in both asked-about cells one of the two ways asked about."""
    directions = [names[int(rng.integers(len(names)))] for _ in range(num_cells)]
    for cell, way in dict(asked).items():
        directions[cell] = (way, OPPOSITE[way])[int(rng.integers(2))]
    cell, way = asked[truth]
    directions[cell] = way
    return directions


def _track(
    rng: np.random.Generator,
    actor: Actor,
    cell: Panel,
    canvas: Canvas,
    vector: tuple[float, float],
    travel: float,
    num_frames: int,
) -> Track:
    """A shape that crosses ``travel`` of its cell's shorter side in even steps, from anywhere."""
    side = min(cell.right - cell.left, cell.bottom - cell.top)
    larger = replace(actor, radius_px=max(MIN_RADIUS_PX, side * float(rng.uniform(*RADIUS_RANGE))))
    steps_T2 = np.tile(np.array(vector) * side * travel / (num_frames - 1), (num_frames - 1, 1))
    return panel_track(larger, cell, canvas, rng.uniform(0.0, 1.0, 2), steps_T2)
