"""What the process reward gives a sample's own reasoning, and spoiled reasoning: `make bench-process`, some minutes.

For every primitive and style of reasoning, at every level and on two canvases:

    own        the reasoning that fine-tuning teaches; 1 for all of them, or the command fails
    one wrong  the same with one field of one claim changed, for every field in turn
    another's  the reasoning of another clip of the same task
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

import tyro
from temporay.operators.primitives._base import Style
from temporay.operators.rewards.process import readings, tally_of

from tests.operators.primitives.planning import TASKS, make_primitive
from tests.operators.rewards.spoiling import STYLES, samples_of, spoiled

HEADER = (
    "| primitive | style | samples | claims | own, lowest | one wrong, mean (range) | another's, mean |\n"
    + "|---" * 7
    + "|"
)


@dataclass(frozen=True)
class Settings:
    num_each: int = 4  # samples of each level and canvas
    tasks: tuple[str, ...] = TASKS


def row(task: str, style: Style, num_each: int) -> tuple[str, bool]:
    """Return a line of the table, and whether every sample's own reasoning is worth 1."""
    primitive, samples = make_primitive(task), list(samples_of(task, style, num_each))

    def value(i: int, thought: str) -> float:
        return tally_of(primitive, thought, samples[i]).value

    claims = [len(readings(primitive, sample.rationale, sample.events)) for sample in samples]
    own = [value(i, sample.rationale) for i, sample in enumerate(samples)]
    wrong = [value(i, thought) for i, sample in enumerate(samples) for thought in spoiled(sample)]
    others = [value(i, samples[i - 2].rationale) for i in range(len(samples))]
    line = (
        f"| {task} | {style} | {len(samples)} | {min(claims)} to {max(claims)} | {min(own):.3f} "
        f"| {statistics.fmean(wrong):.2f} ({min(wrong):.2f} to {max(wrong):.2f}) | {statistics.fmean(others):.2f} |"
    )
    return line, min(own) == max(own) == 1.0


def main(settings: Settings) -> None:
    print(HEADER)
    failed = []
    for task in settings.tasks:
        for style in STYLES:
            line, all_one = row(task, style, settings.num_each)
            print(line, flush=True)
            failed += [] if all_one else [f"{task} {style}"]
    if failed:
        sys.exit(f"the own reasoning is not worth 1: {', '.join(failed)}")


if __name__ == "__main__":
    main(tyro.cli(Settings))
