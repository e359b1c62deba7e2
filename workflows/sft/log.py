"""What a finished fine-tuning run says of itself: shares of time and padding, and its datasets.

rows of metrics.jsonl, Inputs → summary.json
"""

from collections.abc import Mapping, Sequence
from typing import Any

from temporay.operators.errors import UserError
from temporay.workflows.learner.learner import MODEL
from temporay.workflows.sft.inputs import Inputs
from temporay.workflows.sft.mixture import Mixture, samples_drawn
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.token_counts import TooLong
from temporay.workflows.sft.unread import logged_unread, unread_summary


def summarize(config: SftConfig, inputs: Inputs, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what summary.json holds, but the best weights.

    Args:
        rows: the run's lines of metrics.jsonl.

    Raises:
        UserError: no step had a finite gradient.
    """
    steps = [row for row in rows if "loss" in row]
    if not steps:
        raise UserError("no step had a finite gradient, so nothing was learned; lower optimizer.lr or look at the data")
    skipped = [row for row in rows if "skipped_not_finite" in row]
    unread = logged_unread(rows)
    # "keys": a step that was left out
    num_steps = 1 + max(row["step"] for row in rows if "loss" in row or "keys" in row)
    summary = {
        "model": str(config.out / MODEL),
        "num_steps": num_steps,
        "loss": steps[-1]["loss"],
        "skipped_not_finite": len(skipped),
        **mean_shares(steps),
        "data": accounts(inputs, num_steps, unread),
        "unread": len(unread),
    }
    account = validation_account(config, inputs)
    return {**summary, "validation": account} if account else summary


def mean_shares(steps: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the share of time spent waiting for data, and the share of computed tokens that are padding."""
    seconds = sum(row["seconds"] for row in steps)
    computed = sum(row["input_tokens"] / (1 - row["padding"]) for row in steps)
    return {
        "wait": sum(row["wait"] * row["seconds"] for row in steps) / seconds,
        "padding": 1 - sum(row["input_tokens"] for row in steps) / computed,
    }


def accounts(inputs: Inputs, num_steps: int, unread: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return for every dataset what was taken from it, which lines gave no sample, and which samples were left out.

    Args:
        num_steps: after which training ended.
        unread: samples that could not be read while training went on, as their lines of metrics.jsonl name them.
    """
    mixture = Mixture.open(inputs.parts)
    taken = samples_drawn(inputs.parts, int(inputs.schedule.starts[num_steps]))
    summary = []
    for p, (part, count) in enumerate(zip(inputs.parts, taken, strict=True)):
        dropped = [one for one in inputs.dropped if mixture.part_of(one.row) == p]
        summary.append(
            {
                "path": str(part.path),
                "weight": part.weight,
                "num_samples": part.num_rows,
                "drawn": count,
                "epochs": count / (part.num_rows - len(dropped)),
                "dropped_lines": part.dropped_lines,
                "dropped_samples": dropped_summary(dropped, mixture),
                "unread_samples": unread_summary([one for one in unread if mixture.part_of(one["row"]) == p]),
            }
        )
    return summary


def validation_account(config: SftConfig, inputs: Inputs) -> dict[str, Any]:
    """Return how many samples were validated on, and which were left out; empty where nothing was."""
    if inputs.asked is not None:
        held_out = inputs.asked.held_out
        return {
            "path": str(config.validation),
            "benchmark": config.validation_benchmark,
            "num_samples": len(held_out.questions),
            "not_asked": held_out.not_asked,
        }
    if inputs.held_out is None:
        return {}
    mixture = Mixture.open((inputs.held_out.part,))
    return {
        "path": str(inputs.held_out.part.path),
        "num_samples": len(inputs.held_out.rows),
        "dropped_samples": dropped_summary(inputs.held_out.dropped, mixture),
    }


def dropped_summary(dropped: Sequence[TooLong], mixture: Mixture) -> dict[str, Any]:
    """Return by reason how many samples were left out, and the tokens of each by its key, as JSON values."""
    summary: dict[str, Any] = {}
    for one in dropped:
        entry = summary.setdefault(one.reason, {"count": 0, "tokens": {}})
        entry["count"] += 1
        entry["tokens"][mixture.sample(one.row).key] = one.tokens
    return summary
