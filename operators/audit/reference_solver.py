"""A reader of known weakness: how often it is right says how hard a level is.

It is shown a few frames, evenly spread, a number of its own for each sample. Where these keep the answer, it reads the
event log, but overlooks one event in ten. Otherwise it guesses. No pixel is drawn, and nothing is learned.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from temporay.operators.dataset.rows import SampleRow
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import ScenePlan
from temporay.operators.seeding import rng_at

FRAMES_SHOWN = (2, 32)  # fewest and most, each number as often
OVERLOOKED = 0.1  # of the events


def pass_rate(primitive: Primitive, plans: Sequence[ScenePlan], rows: Sequence[SampleRow]) -> float:
    """Return how often the reader is right; where it guesses, a sample counts as much as chance.

    Args:
        rows: what is asked about each plan, and its answer.
    """
    return float(np.mean([_credit(primitive, plan, row) for plan, row in zip(plans, rows, strict=True)]))


def _credit(primitive: Primitive, plan: ScenePlan, row: SampleRow) -> float:
    chance = 1.0 / len(row["options"])
    rng = rng_at(*plan.address.parts(), "reference_solver")
    few, many = FRAMES_SHOWN
    num_shown = min(plan.num_frames, int(rng.integers(few, many + 1)))
    frames = np.unique(np.rint(np.linspace(0, plan.num_frames - 1, num_shown)).astype(int)).tolist()
    noticed = tuple(event for event in plan.events if rng.random() >= OVERLOOKED)
    if not primitive.survives(plan, frames):
        return chance
    try:
        read = primitive.ask(replace(plan, events=noticed))
    except (
        ValueError,
        LookupError,
        StopIteration,
    ):  # a rule may take the log to be whole; from what is left it then finds no answer
        return chance
    return float(read.options[read.answer_index] == row["answer_text"])
