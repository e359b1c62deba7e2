"""What ``temporay run`` prints at its end.

summary.json -> accuracies with intervals, shares of unread and of reasoned answers, the rewards of GRPO
"""

from collections.abc import Mapping, Sequence
from typing import Any

from temporay.operators.scoring.arms import ARMS
from temporay.operators.scoring.metrics import TableRow, render_table
from temporay.workflows.grpo.log import reward_phrase
from temporay.workflows.reports.accuracies import bar_of
from temporay.workflows.reports.sample_cards import MODELS

COLUMNS = (*MODELS, *(arm for arm in ARMS if arm != "ordered"))
STAR = "* most of these answers name no option; they count as guesses, which are near chance\n"


def final_table(summary: Mapping[str, Any]) -> str:
    """Return what a run ends with: accuracies with intervals, then the rewards of GRPO."""
    rows = [table_row(task, entry) for task, entry in summary["accuracy"].items()]
    rl = summary["grpo"]
    return (
        f"{render_table(rows, arms=COLUMNS)}\n{STAR if any(row.starred for row in rows) else ''}"
        "answers that name no option (wrong; in the last three columns a guess): "
        f"{shares(summary, 'unread', COLUMNS)}\nanswers after a chain of thought: "
        f"{shares(summary, 'reasoned', tuple(MODELS))}\nread leniently, a thought inside the answer's tag let pass: "
        f"{shares(summary, 'lenient', tuple(MODELS))}\ngrpo: {reward_phrase(rl)}; engine {summary['engine']}, parity "
        f"{rl['parity_max_abs']:.1e}, decodes per prompt {rl['decodes_per_prompt']:g}"
    )


def table_row(task: str, entry: Mapping[str, Any]) -> TableRow:
    """Return the accuracies of one primitive, those of mostly guessed answers with a star."""
    bars = {column: bar_of(entry, column) for column in entry["intervals"]}
    return TableRow(
        name=task,
        n=entry["n"],
        chance=entry["chance"],
        arms={column: bar.interval for column, bar in bars.items()},
        starred=tuple(column for column, bar in bars.items() if bar.is_mostly_guessed),
    )


def shares(summary: Mapping[str, Any], name: str, columns: Sequence[str]) -> str:
    """Return a share of the answers of every primitive in some columns, in percent, where it is known."""
    return "; ".join(
        f"{task} " + ", ".join(f"{c} {100 * entry[name][c]:.0f} %" for c in columns if entry[name][c] is not None)
        for task, entry in summary["accuracy"].items()
    )
