"""In which cell of a grid is the largest motion, and which way does it go? (ST-statistics, arXiv 1904.03597).

A shape goes round in every cell, from anywhere on its circle, so no single frame shows any motion. One makes many more
rounds than all others. Up to level 1 all go evenly: two moments tell speeds and directions, which is inherent. Options
are two cells by two directions, so none is the odd one out.

From level 2 on the shapes stop on their way and turn back once. So where one is at the end does not tell its way.
The speeds at which they go do not either. They differ by far more than the ways do. So the time for which a shape goes,
which is its way over its speed, says little: with it alone about half of the guesses are right, where chance is a
quarter. All go at both ends of the clip, so two moments there tell nothing. The way has to be followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._panels import Panel, cells, lines
from temporay.operators.primitives.motion._stage import Actor, can_be_followed, choose_actors, followed, to_track
from temporay.operators.records import Event, ScenePlan, Track
from temporay.operators.seeding import choose_one, random_cuts, shuffled

NUM_ROWS_BY_LEVEL = (2, 2, 2, 3, 3)
STOP_LEVEL = 2  # from this one on shapes stop on their way
RATIO_BY_LEVEL = (2.6, 2.0, 1.4, 1.4, 1.35)  # longest way over the second longest, at least
OTHERS = (0.75, 1.0)  # ways of the others, in parts of the longest that the second longest may be
STEP_DEG = (24.0, 140.0)  # slowest and fastest turn, in the longest gap between shown frames
EVEN_DEG = (50.0, 80.0)  # fastest turn in such a gap where none stops, by level
GOING = (0.7, 0.85)  # share of the clip that the shape with the longest way goes, at the slowest
NUM_STOPS = 2  # of each shape; after one of them it turns back
PLAY_DEG = 10.0  # a seen angle may vary by as much without any motion
ALL_WAYS = "altogether"  # in place of a direction
RADIUS, CIRCLE = (0.10, 0.13), 0.28  # of a shape and of its way, in parts of the cell's shorter side
MIN_RADIUS_PX = 3.0
WAYS = ("clockwise", "counter-clockwise")


class LargestMotion(DrawnMotion[tuple[str, str]]):
    """Question about the place, and up to level 1 the direction, of the largest motion."""

    task = "largest_motion"
    # The way gone is what is asked for; up to level 1 a speed is.
    inherent: ClassVar[Inherent] = {
        "two_frames": (1.0, 1.0, 0.0, 0.0, 0.0),
        "any_two_frames": (1.0, 1.0, 0.35, 0.35, 0.35),
        "first_and_last_frame": (1.0, 1.0, 0.3, 0.3, 0.3),
        "few_frames": (1.0, 1.0, 0.35, 0.35, 0.35),  # they show whether a shape goes then
        "one_number": (1.0, 1.0, 0.0, 0.0, 0.0),
        "mean_speed": 1.0,
        "mean_turn": 1.0,  # shapes turn as they go
        "path_length": 1.0,
        "net_displacement": (1.0, 1.0, 0.3, 0.3, 0.3),
        "bag_of_frames": 0.55,  # the time for which a shape goes
    }
    gaps_by_level = (8.0, 10.0, 23.0, 26.0, 30.0)
    notes_by_mode: ClassVar = {"cell": ("The shapes turn back: all of their way counts.",)}

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "direction": (
            "In which cell of the {n} by {n} grid is the largest motion, and which way round does it go?",
            "A shape goes round in each cell of the {n} by {n} grid. Which goes the farthest, and which way round?",
            "Lines divide the picture into {n} by {n} cells. In which cell is the most motion, and in which direction?",
            "Compare the {n} by {n} cells. Where does the shape go round the most, and in which direction?",
            "Which of the {n} by {n} cells has the fastest motion, and which way round does the shape go there?",
            "In which of the {n} by {n} cells does the shape make the most rounds, and which way round?",
            "Which option names the cell with the largest motion in the {n} by {n} grid, and its direction?",
            "Each cell of the {n} by {n} grid has a moving shape. Name the cell with most motion and its direction.",
        ),
        "cell": (
            "In which cell of the {n} by {n} grid is the largest motion in the whole video?",
            "A shape goes round in each cell of the {n} by {n} grid, with stops. In which cell does it get farthest?",
            "Lines divide the picture into {n} by {n} cells. In which cell is the most motion from start to end?",
            "Compare the {n} by {n} cells over the whole video. In which one does the shape go round the most?",
            "Shapes go round and stop in {n} by {n} cells. In which cell are the most rounds made by the end?",
            "In which of the {n} by {n} cells does the shape make the most rounds in all?",
            "Which option names the cell of the {n} by {n} grid in which the shape goes the longest way in all?",
            "Each cell of the {n} by {n} grid has a shape that moves and stops. Which one has the most motion in all?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "rounds": (
            "In the {subject} the shape goes round {d1} times, {d2}.",
            "The shape in the {subject} makes {d1} rounds {d2}.",
            "There are {d1} rounds {d2} in the {subject}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"rounds": ("In the {subject} {d1} rounds {d2}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, level = setting.rng, setting.canvas, setting.level
        grid = cells(canvas.width, canvas.height, NUM_ROWS_BY_LEVEL[level])
        stops = level >= STOP_LEVEL
        chosen = [int(cell) for cell in rng.permutation(len(grid))[: 4 if stops else 2]]
        asked = shuffled(rng, [(cell, way) for cell in chosen for way in (("",) if stops else WAYS)])
        largest, asked_way = setting.choose_truth(asked)
        ways = [choose_one(rng, WAYS) for _ in grid]
        ways[largest] = asked_way or ways[largest]
        actors = choose_actors(rng, grid[0].canvas(canvas), len(grid), level)
        tracks, events = lines(grid, canvas, setting.num_frames), []
        ways_deg = _choose_ways_deg(setting, len(grid), largest).tolist()
        going = setting.rng_for("going")  # how much it draws depends on the ways, so on the truth
        for cell, actor, way, way_deg in zip(grid, actors, ways, ways_deg, strict=True):
            gone_deg_T = _choose_going(going, setting, way_deg)
            tracks.append(_circling(setting, actor, cell, gone_deg_T if way == WAYS[0] else -gone_deg_T))
            events.append(setting.event("rounds", cell.name, f"{way_deg / 360:.1f} {ALL_WAYS if stops else way}"))
        facts = {
            "mode": "cell" if stops else "direction",
            "n": NUM_ROWS_BY_LEVEL[level],
            "cells": [grid[cell].name for cell in chosen],
            "options": [f"{grid[cell].name}, {way}" if way else grid[cell].name for cell, way in asked],
            "shapes": {grid[cell].name: actors[cell].name for cell in chosen},
        }
        return MotionClip(tracks, events, facts)

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether each shape can be followed round its circle: it turns as it goes."""
        return all(can_be_followed(track, frames, plan) for track in plan.tracks)

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        return [event for event in plan.events if event.subject in plan.facts["cells"]]

    def logged(self, events: Sequence[Event], facts: Facts) -> tuple[str, str]:
        """Return the cell of the most rounds, and their direction."""
        largest = max(events, key=lambda event: float(event.detail.split()[0]))
        return largest.subject, largest.detail.split()[1]

    def seen(self, witness: Witness, facts: Facts) -> tuple[str, str]:
        """Follow the color of the shape in each cell asked about around the middle of the cell."""
        height, width = witness.frames_THWC.shape[1:3]
        turned_deg: dict[str, tuple[float, float]] = {}
        for cell in (cell for cell in cells(width, height, facts["n"]) if cell.name in facts["cells"]):
            seen_T3 = followed(cell.crop(witness.frames_THWC), facts["shapes"][cell.name])
            x_T, y_T = (seen_T3[:, :2] - np.array([cell.right - cell.left - 1, cell.bottom - cell.top - 1]) / 2).T
            angle_deg_T = np.rad2deg(np.unwrap(np.arctan2(y_T, x_T)))
            turned_deg[cell.name] = _way_deg(angle_deg_T), angle_deg_T[-1] - angle_deg_T[0]
        largest = max(turned_deg, key=turned_deg.__getitem__)
        return largest, WAYS[0] if turned_deg[largest][1] > 0 else WAYS[1]

    def answer(self, measured: tuple[str, str], facts: Facts) -> str:
        return measured[0] if facts["mode"] == "cell" else ", ".join(measured)


def _choose_ways_deg(setting: Setting, num_cells: int, largest: int) -> npt.NDArray[np.float64]:
    """Choose how far each shape goes round in all, to and fro."""
    rng, level = setting.rng, setting.level
    step_deg = STEP_DEG[0] if level >= STOP_LEVEL else EVEN_DEG[level]
    longest_deg = rng.uniform(*GOING) * step_deg * (setting.num_frames - 1) / setting.gap
    ways_deg = longest_deg / RATIO_BY_LEVEL[level] * rng.uniform(*OTHERS, num_cells)
    ways_deg[largest] = longest_deg
    return np.asarray(ways_deg)


def _choose_going(rng: np.random.Generator, setting: Setting, way_deg: float) -> npt.NDArray[np.float64]:
    """Return how far a shape has got in every frame, in degrees: evenly, or with stops; at one it turns back."""
    num_steps = setting.num_frames - 1
    if setting.level < STOP_LEVEL:
        return np.linspace(0, way_deg, setting.num_frames)
    step_deg = float(np.exp(rng.uniform(*np.log(STEP_DEG))))
    going = max(NUM_STOPS + 1, min(num_steps - NUM_STOPS * setting.gap, round(way_deg / step_deg * setting.gap)))
    parts = random_cuts(rng, going, NUM_STOPS + 1, 1)
    rests = [*random_cuts(rng, num_steps - going, NUM_STOPS, setting.gap), 0]
    signs = np.where(np.arange(NUM_STOPS + 1) > rng.integers(NUM_STOPS), -1.0, 1.0)
    steps_T = np.concatenate([np.repeat([s, 0.0], [p, r]) for s, p, r in zip(signs, parts, rests, strict=True)])
    return np.concatenate([[0.0], np.cumsum(steps_T)]) * way_deg / going


def _way_deg(angle_deg_T: npt.NDArray[np.float64]) -> float:
    """Add up all turning, to and fro, without what is too small to be motion."""
    way_deg, at_deg = 0.0, float(angle_deg_T[0])
    for angle_deg in angle_deg_T.tolist():
        moved_deg = max(0.0, abs(angle_deg - at_deg) - PLAY_DEG)
        way_deg += moved_deg
        at_deg += float(np.copysign(moved_deg, angle_deg - at_deg))
    return way_deg


def _circling(setting: Setting, actor: Actor, cell: Panel, gone_deg_T: npt.NDArray[np.float64]) -> Track:
    """Let a shape go round the middle of its cell from anywhere, and turn with its way."""
    rng, side = setting.rng, min(cell.right - cell.left, cell.bottom - cell.top)
    own = replace(actor, radius_px=max(MIN_RADIUS_PX, side * float(rng.uniform(*RADIUS))))
    angle_deg_T = rng.uniform(0, 360) + gone_deg_T
    angle_T = np.deg2rad(angle_deg_T)
    middle = np.array([cell.left + cell.right - 1, cell.top + cell.bottom - 1]) / 2
    xy_T2 = middle + CIRCLE * side * np.stack([np.cos(angle_T), np.sin(angle_T)], axis=1)
    track = to_track(own, xy_T2, wraps=False)
    return replace(track, angle_deg_T=np.mod(angle_deg_T, 360.0), window_px=cell.window_px)
