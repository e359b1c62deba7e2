"""The accuracies of a run: models on frames in order, and the last model with time taken away, against chance.

summary.json, Answers -> table, bars
"""

from collections.abc import Mapping
from dataclasses import asdict
from statistics import fmean
from typing import Any

from temporay.operators.pages.charts import Bar, Tone, accuracy_words, bar_chart, interval_mark
from temporay.operators.pages.page import cell_table, escape, why
from temporay.operators.scoring.arms import WHOLE_CLIP
from temporay.operators.scoring.metrics import ConfidenceInterval
from temporay.workflows.reports.sample_cards import MODELS, TONES, Answers

UNREAD_WORDS = (
    "Unread is the share of answers that name no option, from 5 % on. With frames in order they count as wrong. With "
    "the time taken away they count as guesses, because a model that falls silent would else seem to need time. So a "
    "gray figure, of mostly unread answers, is near chance by this rule: it says only that the model fell silent."
)


def mean_chance(result: Mapping[str, Any]) -> float:
    """Return the mean chance over tasks."""
    return fmean(float(entry["chance"]) for entry in result["accuracy"].values())


def bar_of(entry: Mapping[str, Any], column: str) -> Bar:
    """Return the accuracy of a model, or of the last model under an arm."""
    other: Tone = "grpo" if column == "ordered" else "soft"
    return Bar(
        name=column.replace("_", " "),
        interval=ConfidenceInterval(**entry["intervals"][column]),
        tone=TONES.get(column, other),
        unread=entry.get("unread", {}).get(column, 0.0),  # runs of earlier versions did not count them
        guessed=column not in (*MODELS, *WHOLE_CLIP),
    )


def accuracy_table(result: Mapping[str, Any], answers: Answers) -> str:
    """Return the table of accuracies: per primitive chance, the three models, and the other arms."""
    accuracy = result["accuracy"]
    others = list(dict.fromkeys(arm for entry in accuracy.values() for arm in entry["arms"] if arm != "ordered"))
    columns = (*MODELS, *others)
    entries = dict(accuracy) if len(accuracy) == 1 else {**accuracy, "mean": mean_entry(result, answers, columns)}
    rows = [
        [escape(name), str(entry["n"]), f"{100 * entry['chance']:.1f}", *(cell(entry, column) for column in columns)]
        for name, entry in entries.items()
    ]
    header = ("primitive", "n", "chance", *MODELS.values(), *(arm.replace("_", " ") for arm in others))
    kinds = ["", *["number narrow"] * 2, *["number"] * len(columns)]
    groups = f'<th class="group" colspan="3"></th><th class="group" colspan="{len(MODELS)}">frames in order</th>'
    if others:
        groups += f'<th class="group" colspan="{len(others)}">after GRPO, time taken away</th>'
    return f'<div class="card headline">{cell_table(header, rows, kinds, above=f"<tr>{groups}</tr>")}</div>' + why(
        "In percent, with the half-width of the 95 % interval (Wilson; for the mean: stratified). The line in a "
        f"bar is the interval, and the dashed tick is chance. {UNREAD_WORDS}"
    )


def cell(entry: Mapping[str, Any], column: str) -> str:
    """Return an accuracy in numbers and as a bar against chance."""
    bar = bar_of(entry, column)
    mark = interval_mark(bar.interval, entry["chance"], bar.tone, faint=bar.is_mostly_guessed)
    return f"<span>{accuracy_words(bar)}</span>{mark}"


def mean_entry(result: Mapping[str, Any], answers: Answers, columns: tuple[str, ...]) -> dict[str, Any]:
    """Return the mean over the primitives, each with the same weight, in the form of one primitive's accuracies."""
    means = {
        column: answers.mean(column, "ordered") if column in MODELS else answers.mean("grpo", column)
        for column in columns
    }
    counted = [entry["unread"] for entry in result["accuracy"].values() if "unread" in entry]
    return {
        "n": means["grpo"].n,
        "chance": mean_chance(result),
        "intervals": {name: asdict(interval) for name, interval in means.items()},
        "unread": {column: fmean(shares[column] for shares in counted) for column in columns} if counted else {},
    }


def arms_chart(result: Mapping[str, Any]) -> str:
    """Compare the last model with frames in order, and with order, motion or video taken away."""
    groups = [
        (task, float(entry["chance"]), [bar_of(entry, arm) for arm in entry["arms"]])
        for task, entry in result["accuracy"].items()
    ]
    chart = bar_chart("Accuracy after GRPO by what the model is shown", groups, note="percent; dashed: chance")
    return chart + why(
        "Shuffled keeps the frames and takes their order; single frame repeats one of them; blind shows no video at "
        "all. Only what ordered has above these is reasoning about time. Gray figures are mostly guesses by rule, as "
        "in the table above."
    )
