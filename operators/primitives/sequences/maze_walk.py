"""Ask on which cell of a maze a marker ends that is moved by arrows lit one after another.

Nothing moves in the maze: the marker is followed in thought. An arrow whose way is blocked does nothing, so the order
of the arrows matters. The options are where other orders of the same arrows lead, with the very same frames.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Phrases
from temporay.operators.primitives._plan import grid_of
from temporay.operators.primitives.motion._drawn_motion import MotionClip, Setting
from temporay.operators.primitives.sequences._flashes import DARK, FlashSequence, Key, Sequenced, still, with_lengths
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

COLUMNS_BY_LEVEL = (3, 3, 4, 4, 5)
NUM_BLOCKS_BY_LEVEL = (2, 2, 4, 4, 9)
NUM_ARROWS_BY_LEVEL = (3, 4, 6, 8, 11)
LETTERS = "KLMNOPQRSTUVWXYZ"  # of cells: none is the letter of an option
BLOCK = "#"
MOVES = {"left": (0, -1, 270.0), "up": (-1, 0, 0.0), "down": (1, 0, 180.0), "right": (0, 1, 90.0)}  # row, column, turn
NUM_OPTIONS = 4
MAZE_SHARE = 0.76  # of the frame's height; the arrows are below it
NUM_ORDERS, MAX_MAZES = 60, 200
GOOD_MAZES = 20  # tried for as many answers as there shall be options


class MazeWalk(FlashSequence):
    """Question about where a sequence of moves leads in a maze."""

    task = "maze_walk"
    free_form = True
    twin = "reordered"

    wordings = (
        "On which cell is the marker {when}?",
        "Where in the maze is the marker {when}?",
        "Follow the marker through the maze. Which cell is it on {when}?",
        "The arrows light up one after the other. Which cell does the marker stand on {when}?",
        "Move the marker in thought as the arrows say. On which cell is it {when}?",
        "Which letter is the marker on {when}?",
        "Which cell of the maze has the marker reached {when}?",
        "Find the cell on which the lit arrows have put the marker {when}.",
        "To which cell have the arrows led the marker {when}?",
    )
    legend = (
        "The marker starts on the {start_color} cell, {start}. Each arrow that lights up moves it by one cell, unless "
        "the border or a {block} block is in the way."
    )
    phrases: ClassVar[Phrases] = {
        "goes": (
            "From {start} s to {end} s the {d1} arrow is lit, so the marker goes from {d2} to {d3}.",
            "At {start} s the {d1} arrow lights up, and from {d2} the marker gets to {d3}.",
            "The arrow lit from {start} s to {end} s points {d1}: from {d2} to {d3}.",
        ),
        "blocked": (
            "From {start} s to {end} s the {d1} arrow is lit, but the way is blocked, so the marker stays on {d2}.",
            "At {start} s the {d1} arrow lights up, but the marker cannot leave {d2} that way.",
            "The arrow lit from {start} s to {end} s points {d1}, where the way is closed: still on {d2}.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "goes": ("Arrow {d1}, from {d2} to {d3}.",),
        "blocked": ("Arrow {d1}, blocked on {d2}.",),
    }

    def num_units(self, level: int) -> int:
        return 2 * NUM_ARROWS_BY_LEVEL[level] + 1

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        num_arrows = NUM_ARROWS_BY_LEVEL[level]
        number = num_arrows if rng.integers(2) else int(rng.integers(num_arrows // 2 + 1, num_arrows))
        asked = {"asked_after": number, "when": "at the end" if number == num_arrows else f"after {number} arrows"}
        best: dict[str, list[Sequenced]] = {}
        for attempt in range(MAX_MAZES):
            maze = _choose_maze(rng, level)
            found = self._by_answer(rng, {**asked, **maze}, num_arrows)
            if len(found) > len(best):
                best, asked = found, {**asked, **maze}
            if len(best) >= (NUM_OPTIONS if attempt < GOOD_MAZES else 2):
                break
        if len(best) < 2:
            raise SampleRejected("order_without_effect", f"{MAX_MAZES} mazes have one answer each")
        options = shuffled(rng, sorted(best))[:NUM_OPTIONS]
        arrows = choose_one(setting.rng_for("order"), best[setting.choose_truth(options)])
        light, block, start_color = shuffled(rng, list(COLORS))[:3]
        facts = {**asked, "light": light, "block": block, "start_color": start_color, "options": options}
        cells = self._cells(facts, setting.canvas.width, setting.canvas.height)
        named = {BLOCK: COLORS[block], facts["start"]: COLORS[start_color]}
        others = [still(cell, named.get(cell.name, DARK), setting.num_frames) for cell in cells]
        return self.stage(setting, with_lengths(setting, arrows), facts, others)

    def text(self, facts: Facts) -> str:
        return f"{self.legend.format(**facts)} {super().text(facts)}"

    def keys(self, facts: Facts, width: int, height: int) -> list[Key]:
        y, radius_px = (1 + MAZE_SHARE) / 2 * height, min((1 - MAZE_SHARE) * 0.45 * height, 0.1 * width)
        return [
            Key(name, ((i + 0.5) * width / len(MOVES), y), radius_px, shape="arrow", angle_deg=turn)
            for i, (name, (_, _, turn)) in enumerate(MOVES.items())
        ]

    def step(self, lit: Sequence[str], facts: Facts) -> tuple[str, str]:
        *_, before, after = _walk(lit, facts)
        return ("blocked", before) if before == after else ("goes", f"{before} {after}")

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        return list(super().told(plan))[: plan.facts["asked_after"]]

    def answer(self, measured: Sequenced, facts: Facts) -> str:
        return _walk(measured[: facts["asked_after"]], facts)[-1]

    def _by_answer(self, rng: np.random.Generator, facts: Facts, num_arrows: int) -> dict[str, list[Sequenced]]:
        """Choose arrows, and group some of their orders by where they lead."""
        arrows = [choose_one(rng, tuple(MOVES)) for _ in range(num_arrows)]
        found: dict[str, list[Sequenced]] = defaultdict(list)
        for order in sorted({tuple(shuffled(rng, arrows)) for _ in range(NUM_ORDERS)}):
            found[self.answer(order, facts)].append(order)
        return found

    def _cells(self, facts: Facts, width: int, height: int) -> list[Key]:
        places_xy, half_px = grid_of(facts["columns"], facts["columns"], width, MAZE_SHARE * height)
        placed = zip(facts["cells"], places_xy, strict=True)
        return [
            Key(cell, (float(x), float(y)), 0.95 * half_px, "" if cell == BLOCK else cell) for cell, (x, y) in placed
        ]


def _choose_maze(rng: np.random.Generator, level: int) -> dict[str, object]:
    columns, num_blocks = COLUMNS_BY_LEVEL[level], NUM_BLOCKS_BY_LEVEL[level]
    letters = shuffled(rng, LETTERS)[: columns**2 - num_blocks]
    cells = "".join(shuffled(rng, [*letters, *[BLOCK] * num_blocks]))
    return {"columns": columns, "cells": cells, "start": letters[0]}


def _walk(arrows: Sequence[str], facts: Facts) -> list[str]:
    """Return the letters of the cells that the marker is on, before the first move and after each."""
    cells, columns = facts["cells"], facts["columns"]
    row, column = divmod(cells.index(facts["start"]), columns)
    walked = [facts["start"]]
    for arrow in arrows:
        down, across = row + MOVES[arrow][0], column + MOVES[arrow][1]
        if 0 <= down < columns and 0 <= across < columns and cells[down * columns + across] != BLOCK:
            row, column = down, across
        walked.append(cells[row * columns + column])
    return walked
