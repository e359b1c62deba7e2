"""Labels worked out again from decoded pixels, of every primitive and level: `make bench-labels`, half an hour.

Each clip is drawn, coded, decoded, and read twice by a witness that knows nothing of the log:

    whole    every frame of the clip
    sampled  the frames that a model is shown, two a second by default
    unsure   the witness gives no answer: too few pixels, or too few frames for what it measures
    wrong    the witness gives another answer than the log; 0 for all of them, or the command fails
"""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product

import tyro
from temporay.operators.dataset.label_check import Verdict, whole_and_shown
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.render import render
from temporay.operators.sampling import TWO_PER_SECOND

from tests.operators.primitives.planning import CLEAR, TASKS, load_scene, make_plan, make_primitive

CANVAS = replace(CLEAR, sampling=TWO_PER_SECOND)
HEADER = (
    "| primitive | clips | rejected | whole: agrees | unsure | wrong | sampled: agrees | unsure | wrong |\n"
    + "|---" * 9
    + "|"
)
Verdicts = Counter[tuple[Verdict, Verdict]]


@dataclass(frozen=True)
class Settings:
    num_each: int = 50  # clips of each primitive and level
    levels: tuple[int, ...] = (0, 1, 2, 3, 4)
    tasks: tuple[str, ...] = TASKS
    first_index: int = 1000  # of the addresses; tests look at those from 0 on
    num_processes: int = 2


def read_labels(task: str, level: int, first_index: int, num_clips: int) -> tuple[Verdicts, int]:
    """Return the verdicts of so many clips, whole and sampled, and how many addresses were rejected on the way."""
    primitive, verdicts, num_rejected, index = make_primitive(task), Verdicts(), 0, first_index
    while verdicts.total() < num_clips:
        index += 1
        try:
            plan = make_plan(task, index, level, CANVAS)
        except SampleRejected:
            num_rejected += 1
            continue
        clip = encode(render(plan, load_scene), plan.fps, Codec(crf=18))
        question, frames_THWC = primitive.ask(plan), decode(clip.data)
        verdicts[whole_and_shown(primitive, plan, question, frames_THWC, load_scene, CANVAS.sampling)] += 1
    return verdicts, num_rejected


def row(name: str, verdicts: Verdicts, num_rejected: int) -> str:
    """Return a line of the table."""
    sides = [Counter[Verdict](), Counter[Verdict]()]
    for pair, number in verdicts.items():
        for side, verdict in zip(sides, pair, strict=True):
            side[verdict] += number
    shown = [str(side[verdict]) for side in sides for verdict in (Verdict.AGREES, Verdict.UNSURE, Verdict.DIFFERS)]
    return f"| {name} | {verdicts.total()} | {num_rejected} | {' | '.join(shown)} |"


def main(settings: Settings) -> None:
    print(HEADER, flush=True)
    total, total_rejected = Verdicts(), 0
    with ProcessPoolExecutor(settings.num_processes) as pool:
        cells = {
            (task, level): pool.submit(read_labels, task, level, settings.first_index, settings.num_each)
            for task, level in product(settings.tasks, settings.levels)
        }
        for task in settings.tasks:
            found = [cells[task, level].result() for level in settings.levels]
            verdicts, num_rejected = sum((one for one, _ in found), Verdicts()), sum(number for _, number in found)
            print(row(task, verdicts, num_rejected), flush=True)
            total, total_rejected = total + verdicts, total_rejected + num_rejected
    print(row("all", total, total_rejected))
    if wrong := sum(number for pair, number in total.items() if Verdict.DIFFERS in pair):
        sys.exit(f"{wrong} of {total.total()} labels are contradicted by what is seen")


if __name__ == "__main__":
    main(tyro.cli(Settings))
