"""Charts of what stages logged: curves by step, seconds by stage, and a table of all other values.

RUN/metrics.jsonl -> rows of a stage -> figures
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from temporay.operators.pages.charts import Curve, Tone, line_chart, running_mean
from temporay.operators.pages.page import table
from temporay.operators.pages.stacked import stacked_chart
from temporay.workflows.runs.metrics_tail import row_numbers
from temporay.workflows.runs.run_dir import RunDir

SMOOTHING = 12  # a smoothed curve averages over one twelfth of its steps
MIN_POINTS = 8  # a curve of fewer, where most steps have no value, would look like more than it is
SECONDS = "seconds_"  # prefix of the time of one stage
PARITY_WORDS = (
    "largest difference between engine and trainer in the log-probability of a token, in nats (natural logarithm)"
)
NOISE_WORDS = (
    "The gradient noise scale (arXiv 1812.06162) is the number of useful groups at which noise and signal of an update "
    "are as large as each other: smaller batches are mostly noise."
)
MetricRows = Sequence[Mapping[str, Any]]

VALIDATION = {"sft": "sft_validation", "grpo": "grpo_validation"}  # stage of each command

SFT_CURVES = {
    "loss": "Loss",
    "lr": "Learning rate",
    "grad_norm": "Gradient norm",
    "tokens_per_s": "Tokens per second",
    "mfu": "Model FLOPs used (MFU)",
    "wait": "Share of the time waiting for data",
}
GRPO_CURVES = {
    "reward": "Reward",
    "useful_groups": "Share of useful groups",
    "noise_scale": "Gradient noise scale, useful groups",
    "noise_scale_low": "Gradient noise scale, lower bound, useful groups",
    "completion_tokens": "Completion length, tokens",
    "entropy": "Entropy, nats per token",
    "kl": "KL to the starting weights, nats per token",
    "engine_kl": "KL of engine and trainer, nats per token",
    "clip_fraction_low": "Share clipped below",
    "clip_fraction_high": "Share clipped above",
    "importance_clipped": "Share of tokens whose importance weight was cut or made 0",
    "importance_ess": "Effective share of the samples, by importance weights",
    "importance_p99": "Importance ratio, 99 % quantile",
    "ratio_p99": "Ratio to the weights before the batch, 99 % quantile",
    "parity_max_abs": "Engine against trainer, largest, nats",
    "staleness": "Staleness, updates",
    "tokens_per_s": "Tokens per second",
    "loss": "Loss",
    "grad_norm": "Gradient norm",
    "level": "Level of the prompts",
}


def logged(run: Path, stage: str) -> list[dict[str, Any]]:
    """Return the steps that a stage logged, without the lines that workers log when they start."""
    return [row for row in RunDir(path=run, resumed=True).rows(stage) if "pid" not in row]


def curve(title: str, rows: MetricRows, name: str, tone: Tone) -> str:
    """Return one value by step: faint as logged, and its running mean."""
    raw, smooth = smoothed(rows, name, tone)
    ends = [smooth.values[0], smooth.values[-1]] if smooth.values else []
    note = f"{ends[0]:.3g} → {ends[1]:.3g} in {len(rows)} steps" if ends else ""
    return line_chart(title, [raw, smooth], note=note, low=min(0.0, *raw.values) if ends else None)


def smoothed(rows: MetricRows, name: str, tone: Tone) -> tuple[Curve, Curve]:
    """Return one value by step, faint as logged, and its running mean."""
    steps, values = series(rows, name)
    smooth = running_mean(values, window_of(values))
    return Curve(steps=steps, values=values, tone=tone, faint=True), Curve(steps=steps, values=smooth, tone=tone)


def series(rows: MetricRows, name: str) -> tuple[list[float], list[float]]:
    """Return the steps that logged a value, and the values."""
    kept = [row for row in rows if row.get(name) is not None and math.isfinite(row[name])]
    return [float(row["step"]) for row in kept], [float(row[name]) for row in kept]


def window_of(steps: Sequence[Any]) -> int:
    """Return how many steps a smoothed curve averages over."""
    return max(1, len(steps) // SMOOTHING)


def curves_of(rows: MetricRows, names: Mapping[str, str], tone: Tone) -> str:
    """Return a chart of each named value that any step logged."""
    figures = [curve(title, rows, name, tone) for name, title in names.items() if is_curve(rows, name)]
    return f'<div class="charts">{"".join(figures)}</div>'


def is_curve(rows: MetricRows, name: str) -> bool:
    """Return whether a value was logged by so many steps, or by so large a share of them, that it makes a curve."""
    num_known = sum(row.get(name) is not None for row in rows)
    return num_known >= MIN_POINTS or 2 * num_known > len(rows)


def noise_words(rows: MetricRows, scale: float | None) -> str:
    """Say what the gradient noise scale is, and at how many steps it could be measured; "" if at none.

    Args:
        scale: over all steps, in groups; None where the gradient is hidden in its noise.
    """
    num_known = sum(row.get("noise_scale") is not None for row in rows)
    if not any(row.get("noise_scale_low") is not None for row in rows):
        return ""
    over_all = "it is hidden in its noise" if scale is None else f"it is {scale:.0f} over all of them"
    return (
        f"{NOISE_WORDS} It was measured at {num_known} of {len(rows)} steps, and {over_all}; the other steps give a "
        f"lower bound, or had too few useful groups. A curve has {MIN_POINTS} values or more."
    )


def validation_curves(rows: MetricRows) -> str:
    """Return a chart of every number that validation logged; "" if there is none."""
    flat = [{"step": row["step"], **dict(row_numbers(row))} for row in rows]
    names = dict.fromkeys(name for row in flat for name in row if name != "step")
    if not names:
        return ""
    return curves_of(flat, {name: f"Validation: {name.replace('_', ' ')}" for name in names}, "base")


def seconds_chart(rows: MetricRows) -> str:
    """Return the seconds of the steps by stage, or a note if no step logged them."""
    by_step = [
        {name.removeprefix(SECONDS): value for name, value in row.items() if name.startswith(SECONDS)} for row in rows
    ]
    if not any(by_step):
        return '<p class="note">The steps of this run logged no seconds by stage.</p>'
    return stacked_chart("Seconds by stage of a step", [row["step"] for row in rows], by_step)


def other_values(rows: MetricRows, shown: Iterable[str]) -> str:
    """Return first, last, lowest and highest of every number without a chart, folded."""
    left_out = {name for name in shown if is_curve(rows, name)}
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row_numbers(row):
            if name not in left_out and not name.startswith(SECONDS) and math.isfinite(value):
                found.setdefault(name, []).append(value)
    if not found:
        return ""
    lines = [
        (name, *(f"{value:.4g}" for value in (values[0], values[-1], min(values), max(values))))
        for name, values in sorted(found.items())
    ]
    inner = table(("value", "first", "last", "lowest", "highest"), lines)
    return f"<details><summary>Values without a chart: {len(found)}</summary>{inner}</details>"
