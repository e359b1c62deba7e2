"""Ask how many cells of a grid light up, how many times in all, or how often one of them does.

How long cells are lit in all is chosen apart from how often they are; so is the time for which the asked cell is lit.
The numbers of flashes and of different cells are the same for all options, unless the question is about them.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives._plan import grid_of
from temporay.operators.primitives._stated import Stated
from temporay.operators.primitives.motion._drawn_motion import MotionClip, Setting
from temporay.operators.primitives.sequences._flashes import (
    FlashSequence,
    Key,
    Sequenced,
    choose_lit_frames,
    uneven_parts,
    unit_frames,
)
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, random_parts, shuffled

COLUMNS_BY_LEVEL = (2, 2, 3, 3, 4)
NUM_FLASHES_BY_LEVEL = (5, 7, 9, 10, 12)  # at most
NUM_OPTIONS_BY_LEVEL = (3, 4, 4, 4, 4)


class CellCount(FlashSequence):
    """Question about the number of flashes, or of cells that flash."""

    task = "cell_count"
    free_form = True
    # Each flash is an event; which cells flash needs no order.
    inherent: ClassVar[Inherent] = {"num_events": 1.0, "different bag_of_frames": 1.0}
    answer_kind = "number"
    order_dependent = False  # any order of the frames shows as many different cells
    name_words = 2
    notes = ("Rows are counted from the top, columns from the left.",)

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "one": (
            "How many times does the cell in {cell} light up?",
            "How often is the cell in {cell} lit?",
            "Watch the cell in {cell}. How many times does it light up?",
            "Cells light up one after another. How often is it the one in {cell}?",
            "Count the flashes of the cell in {cell}. How many are there?",
            "What is the number of times that the cell in {cell} comes on?",
            "How many flashes does the cell in {cell} give?",
            "Of all the flashes, how many are in {cell}?",
        ),
        "all": (
            "How many times does a cell light up in all?",
            "Cells light up one after another, some more than once. How many flashes are there in all?",
            "Count every time that any cell lights up. What is the total?",
            "What is the total number of flashes in the grid?",
            "How often does the grid light up, whichever cell it is?",
            "How many activations are there, counting a cell again each time?",
            "Add up the flashes of all cells. How many do you get?",
            "How many flashes does the whole grid show?",
        ),
        "different": (
            "How many different cells light up?",
            "Cells light up one after another, some more than once. How many different ones are there?",
            "How many cells of the grid are lit at least once?",
            "Count the cells that light up, each only once. How many are there?",
            "In how many different places of the grid is there a flash?",
            "How many of the cells come on at some time?",
            "What is the number of different cells that flash?",
            "Leaving out repetitions, how many cells light up?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "one": (
            "From {start} s to {end} s the cell in row {d1}, column {d2} is lit: count {d3}.",
            "The cell in row {d1}, column {d2} lights up at {start} s, which makes {d3}.",
            "Row {d1}, column {d2} is lit from {start} s to {end} s; that is number {d3}.",
        ),
        "all": (
            "From {start} s to {end} s row {d1}, column {d2} is lit: flash {d3}.",
            "At {start} s row {d1}, column {d2} lights up, flash number {d3}.",
            "A flash in row {d1}, column {d2} from {start} s to {end} s makes {d3} in all.",
        ),
        "different": (
            "From {start} s to {end} s row {d1}, column {d2} is lit, flash {d3}: different cells so far {d4}.",
            "At {start} s flash {d3} comes, in row {d1}, column {d2}; the count of different cells is then {d4}.",
            "Flash {d3}, from {start} s to {end} s, is in row {d1}, column {d2}: the different cells come to {d4}.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "one": ("Row {d1} column {d2}, count {d3}.",),
        "all": ("Row {d1} column {d2}, flash {d3}.",),
        "different": ("Row {d1} column {d2}, flash {d3}, different so far {d4}.",),
    }

    def num_units(self, level: int) -> int:
        return 2 * NUM_FLASHES_BY_LEVEL[level] + NUM_OPTIONS_BY_LEVEL[level]

    def arrange(self, setting: Setting) -> MotionClip:
        rng, columns = setting.rng, COLUMNS_BY_LEVEL[setting.level]
        most, num_cells = NUM_FLASHES_BY_LEVEL[setting.level], columns**2
        num_options = NUM_OPTIONS_BY_LEVEL[setting.level]
        mode = choose_one(rng, tuple(self.wordings_by_mode))
        highest = {"one": most - 1, "all": most, "different": min(most - 1, num_cells)}[mode]
        lowest = int(rng.integers(1 if mode == "different" else 2, highest - num_options + 2))
        counts = shuffled(rng, range(lowest, lowest + num_options))
        cells = shuffled(rng, [f"{row} {column}" for row in range(1, columns + 1) for column in range(1, columns + 1)])
        options, light = [str(count) for count in counts], choose_one(rng, tuple(COLORS))
        facts = {"mode": mode, "columns": columns, "light": light, "asked": cells[0], "options": options}
        num_lit = choose_lit_frames(setting, most + num_options - 1, most + 1)
        unit = unit_frames(setting)
        # The asked cell is lit as long for every count, and all others together are too.
        spare = num_lit - (most + num_options - 1) * unit
        num_asked = unit * max(counts) + int(rng.integers(spare + 1))
        truth = setting.choose_truth(counts)
        rng = setting.rng_for("flashes")  # how much it draws depends on the truth
        if mode == "one":
            flashes = [*zip([cells[0]] * truth, uneven_parts(rng, num_asked, truth, unit), strict=True)]
            names, num_lit = _chosen(rng, cells[1 : 1 + most - max(counts)], most - truth), num_lit - num_asked
        else:
            flashes, num_different = [], truth if mode == "different" else min(lowest, num_cells)
            names = _chosen(rng, cells[:num_different], truth if mode == "all" else most)
        flashes += zip(names, uneven_parts(rng, num_lit, len(names), unit), strict=True)
        return self.stage(setting, shuffled(rng, flashes), facts)

    def text(self, facts: Facts) -> str:
        row, column = facts["asked"].split()
        return super().text({**facts, "cell": f"row {row}, column {column}"})

    def keys(self, facts: Facts, width: int, height: int) -> list[Key]:
        places_xy, half_px = grid_of(facts["columns"], facts["columns"], width, height)
        return [
            Key(f"{1 + i // facts['columns']} {1 + i % facts['columns']}", (float(x), float(y)), 0.9 * half_px)
            for i, (x, y) in enumerate(places_xy)
        ]

    def step(self, lit: Sequence[str], facts: Facts) -> tuple[str, str]:
        mode, number = facts["mode"], len(lit)
        if mode == "one":
            number = _count(lit, facts) if lit[-1] == facts["asked"] else 0
        return mode, f"{number} {_count(lit, facts)}" if mode == "different" else str(number)

    def stated(self, kind: str, subject: str | None, detail: str | None) -> Stated:
        """Return the number of a flash as what is meant; of the asked cell its place, because the question gives it."""
        row, column, number, so_far = [*(detail or "").split(), *[""] * 4][:4]
        if kind == "one":
            return Stated(about=frozenset({f"{row} {column}"}), when={"number": number})
        different = {"different": so_far} if kind == "different" else {}
        return Stated(about=frozenset({f"flash {number}"}), what={"row": row, "column": column, **different})

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        """Leave out the flashes of other cells where one cell is asked for."""
        asked = plan.facts["asked"] if plan.facts["mode"] == "one" else ""
        return [event for event in super().told(plan) if event.detail.startswith(asked)]

    def answer(self, measured: Sequenced, facts: Facts) -> str:
        return str(_count(measured, facts))


def _count(lit: Sequence[str], facts: Facts) -> int:
    return {"one": lit.count(facts["asked"]), "all": len(lit), "different": len(set(lit))}[facts["mode"]]


def _chosen(rng: np.random.Generator, cells: Sequence[str], count: int) -> list[str]:
    """Light up each of these cells, and some of them again, until the count is reached."""
    again = random_parts(rng, count - len(cells), len(cells))
    return [cell for cell, more in zip(cells, again, strict=True) for _ in range(1 + more)]
