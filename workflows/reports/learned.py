"""What a report begins with: what fine-tuning and reinforcement did, and one held-out sample in the models' own words.

RUN/sft and RUN/grpo metrics.jsonl, Answers -> two figures; held-out dataset, Answers -> one card
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from temporay.operators.dataset.reader import Dataset
from temporay.operators.pages.charts import (
    Band,
    Curve,
    Tone,
    figure,
    interval_mark,
    legend,
    percent,
    plot,
)
from temporay.operators.pages.page import escape, why
from temporay.operators.pages.sample_card import sample_card
from temporay.operators.reinforcement.reward_trend import WORDS
from temporay.operators.scoring.metrics import ConfidenceInterval
from temporay.workflows.grpo.log import reward_estimate
from temporay.workflows.reports.curves import VALIDATION, MetricRows, logged, series, smoothed, window_of
from temporay.workflows.reports.sample_cards import MODELS, TONES, Answers, words
from temporay.workflows.reports.sample_viewer import SampleViewer
from temporay.workflows.sft.settings import ANSWER_ONLY

TALL, MIDDLE, SMALL = 380, 200, 110  # heights of plots: the fewer a figure has, the taller they are
ARM_WORDS = {"ordered": "frames in order", "shuffled": "frames shuffled"}


def figures(run: Path, result: Mapping[str, Any], answers: Answers, chance: float) -> str:
    """Return what SFT did beside what GRPO did."""
    accuracies = {name: answers.mean(name, "ordered") for name in MODELS}
    sft_rows, grpo_rows = logged(run / "sft", "sft"), logged(run / "grpo", "grpo")
    sft = sft_plots(sft_rows, logged(run / "sft", VALIDATION["sft"]))
    grpo = grpo_plots(grpo_rows, logged(run / "grpo", VALIDATION["grpo"]))
    sft += measured({name: accuracies[name] for name in ("base", "sft")}, chance)
    grpo += measured({name: accuracies[name] for name in ("sft", "grpo")}, chance)
    trend = result["grpo"].get("reward_trend")
    grpo_note = f"{len(grpo_rows)} steps" + (f"; the reward {WORDS[trend['verdict']]}" if trend else "")
    return (
        f'<div class="leading">{figure("What fine-tuning did", f"{len(sft_rows)} steps", sft)}'
        f"{figure('What reinforcement did', grpo_note, grpo)}</div>"
    )


def measured(accuracies: Mapping[str, ConfidenceInterval], chance: float) -> str:
    """Return the mean accuracies on all held-out videos, by model."""
    lines = "".join(
        f'<tr><td>{MODELS[name]}</td><td class="number">{percent(interval)}</td>'
        f"<td>{interval_mark(interval, chance, TONES[name])}</td></tr>"
        for name, interval in accuracies.items()
    )
    n = next(iter(accuracies.values())).n
    title = f"Accuracy on all {n} held-out videos, %, mean over the primitives (dashed: chance)"
    return f'<div class="measured"><h4>{escape(title)}</h4><table><tbody>{lines}</tbody></table></div>'


def sft_plots(rows: MetricRows, validated: MetricRows) -> str:
    """Return the loss by step: of the training samples, and of held-out ones with frames in order and shuffled."""
    curves = list(smoothed(rows, "loss", "soft"))
    keys: list[tuple[str, Tone, str]] = [("training samples", "soft", "line")]
    for arm, name in ARM_WORDS.items():
        steps, values = series(validated, f"{arm}_loss")
        if values:
            is_control = arm != "ordered"
            curves.append(Curve(steps=steps, values=values, tone="sft", dashed=is_control, dots=True))
            keys.append((f"held-out samples, {name}", "sft", "dashed" if is_control else "line"))
    loss = plot("loss of SFT by step", curves, low=0.0, height=TALL)
    title = "Loss per token, in nats (0: every token is foreseen; 0.69: one in two)"
    return f"<h4>{title}</h4>{loss}{legend(keys)}{exact_plot(validated)}"


def exact_plot(validated: MetricRows) -> str:
    """Return the share of held-out targets that greedy writing would give to the last token; "" if it is not known."""
    curves: list[Curve] = []
    keys: list[tuple[str, Tone, str]] = []
    for name, is_bare in (("reasoning and answer", False), ("answer without reasoning", True)):
        means = [
            {"step": row["step"], "exact": fmean(shares)}
            for row in validated
            if (shares := [v for of, v in row.get("exact", {}).items() if of.startswith(ANSWER_ONLY) == is_bare])
        ]
        if means:
            steps, values = series(means, "exact")
            curves.append(Curve(steps=steps, values=values, tone="sft", dashed=is_bare, dots=True))
            keys.append((name, "sft", "dashed" if is_bare else "line"))
    if not curves:
        return ""
    drawn = plot("exact held-out targets by step", curves, low=0.0, high=1.0, height=MIDDLE)
    return f"<h4>Share of held-out texts that it would write to the last token</h4>{drawn}{legend(keys)}"


def grpo_plots(rows: MetricRows, validated: MetricRows) -> str:
    """Return reward with its noise, accuracy of validation where there is one, and useful groups, by step."""
    band = reward_band(rows)
    reward = plot("reward of GRPO by step", smoothed(rows, "reward", "grpo"), [band] if band.steps else [])
    keys: list[tuple[str, Tone, str]] = [("mean of neighboring steps", "grpo", "line")]
    if band.steps:
        keys.append(("its 95 % interval, by prompt groups", "grpo", "band"))
    parts = [f"<h4>Reward</h4>{reward}{legend(keys)}", accuracy_plot(validated), reasoned_plot(validated)]
    useful = plot(
        "useful groups of GRPO by step", smoothed(rows, "useful_groups", "grpo"), low=0.0, high=1.0, height=SMALL
    )
    parts.append(f"<h4>Share of useful groups, whose rewards differ</h4>{useful}")
    return "".join(parts)


def accuracy_plot(validated: MetricRows) -> str:
    """Return the accuracies of validation by step with the interval of the one in order; "" if there are none."""
    steps, ordered = series(validated, "ordered_accuracy")
    if not steps:
        return ""
    curves = [Curve(steps=steps, values=[100 * value for value in ordered], tone="grpo", dots=True)]
    keys: list[tuple[str, Tone, str]] = [(ARM_WORDS["ordered"], "grpo", "line")]
    shuffled_steps, shuffled = series(validated, "shuffled_accuracy")
    if shuffled:
        curves.append(
            Curve(steps=shuffled_steps, values=[100 * v for v in shuffled], tone="soft", dashed=True, dots=True)
        )
        keys.append((ARM_WORDS["shuffled"], "soft", "dashed"))
    known = [row for row in validated if "ordered_accuracy_interval" in row]
    low, high = ([100 * row["ordered_accuracy_interval"][end] for row in known] for end in (0, 1))
    band = Band(steps=[float(row["step"]) for row in known], low=low, high=high, tone="grpo")
    drawn = plot("accuracy of validation by step", curves, [band] if known else [], height=SMALL)
    return f"<h4>Accuracy on some held-out videos, %</h4>{drawn}{legend(keys)}"


def reasoned_plot(validated: MetricRows) -> str:
    """Return the share of answers to frames in order that came after a chain of thought; "" if it is not known."""
    steps, shares = series(validated, "ordered_reasoned")
    if not steps:
        return ""
    curve = Curve(steps=steps, values=shares, tone="grpo", dots=True)
    drawn = plot("share of reasoned answers by step", [curve], low=0.0, high=1.0, height=SMALL)
    return f"<h4>Share of these answers that came after a chain of thought</h4>{drawn}"


def reward_band(rows: MetricRows) -> Band:
    """Return the 95 % interval of the mean reward of neighboring steps; a group is one observation."""
    window = window_of(rows)
    before, after = (window - 1) // 2, window // 2
    found = []
    for i, row in enumerate(rows):
        near = [dict(other) for other in rows[max(0, i - before) : i + after + 1] if "group_rewards" in other]
        interval = reward_estimate(near)
        if math.isfinite(interval.low) and math.isfinite(interval.high):
            found.append((float(row["step"]), interval.low, interval.high))
    steps, low, high = ([point[n] for point in found] for n in range(3))
    return Band(steps=steps, low=low, high=high, tone="grpo")


def one_sample(test: Dataset, answers: Answers) -> str:
    """Return the card of one held-out sample with what every model wrote, and by which rule it was chosen."""
    key, rule = chosen(test.table["id"].to_pylist(), answers)
    shown = SampleViewer.open(test).shown(test.table["id"].to_pylist().index(key))
    return why(rule) + sample_card([shown], words=words(shown.sample, answers)).html


def chosen(keys: Sequence[str], answers: Answers) -> tuple[str, str]:
    """Return the first key that was answered wrong before and right after GRPO, or the first; and say which it is.

    Args:
        keys: of the held-out samples, in the order of the dataset.
    """
    improved = [key for key in keys if not answers.of("base", key).correct and answers.of("grpo", key).correct]
    case = "wrong before training and right after GRPO"
    if not improved:
        return keys[0], f"The first held-out sample. None of the {len(keys)} was answered {case}."
    return improved[0], (
        f"The first held-out sample that was answered {case}. That is so for {len(improved)} of {len(keys)}; answers "
        "of all kinds are below."
    )
