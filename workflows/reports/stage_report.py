"""The page of one stage alone: a run of ``temporay sft`` or ``temporay grpo``, finished or not.

RUN/config.json, metrics.jsonl, summary.json, rollouts/ -> title, lead, sections
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from temporay.operators.pages.page import section, table, tiles, why
from temporay.operators.pages.shares import shares_table
from temporay.workflows.grpo.log import ends_words, trend_words
from temporay.workflows.reports.curves import (
    GRPO_CURVES,
    PARITY_WORDS,
    SFT_CURVES,
    VALIDATION,
    MetricRows,
    curves_of,
    logged,
    noise_words,
    other_values,
    seconds_chart,
    validation_curves,
)
from temporay.workflows.reports.rollout_cards import section_of
from temporay.workflows.reports.time_profile import OVERLAP_WORDS, has_overlap, time_profile
from temporay.workflows.runs.run_dir import RunDir


def lead(run: Path, config: Mapping[str, Any]) -> str:
    """Describe the run in one sentence."""
    done, asked = len(logged(run, config["command"])), config["num_steps"]
    state = "finished" if RunDir(path=run, resumed=True).summary() is not None else "not finished"
    names = f"{Path(config['model']).name} on {Path(config['data']).name}"
    return f"temporay {config['command']}: {names}, {done:,} of {asked:,} steps, {state}."


def sft_body(run: Path) -> str:
    """Return loss, validation, speed, and how often every dataset was used."""
    rows = logged(run, "sft")
    parts = [
        tiles(sft_figures(rows)),
        section("Learning curves", curves_of(rows, SFT_CURVES, "sft") + other_values(rows, SFT_CURVES)),
        *validation_section(run, "sft"),
        section("Where the time goes", time_shares(run)),
    ]
    summary = RunDir(path=run, resumed=True).summary()
    if summary is not None and "data" in summary:
        parts.append(section("Data", data_table(summary["data"])))
    return "\n".join(parts)


def validation_section(run: Path, command: str) -> list[str]:
    """Return the curves of validation; none where the run did not validate."""
    checked = logged(run, VALIDATION[command])
    return [section("Validation", validation_curves(checked))] if checked else []


def sft_figures(rows: MetricRows) -> list[tuple[str, str]]:
    """Return the main figures of SFT."""
    first, last = quarters(rows)
    return [
        (f"{mean(first, 'loss'):.3f} → {mean(last, 'loss'):.3f}", f"loss, {ends_words(len(rows))}"),
        (f"{mean(rows, 'tokens_per_s'):,.0f}", "tokens per second"),
        (f"{mean(rows, 'wait'):.1%}", "of the time waiting for data"),
    ]


def data_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of how many samples every dataset gave."""
    lines = [
        (
            entry["path"],
            f"{entry['weight']:.3g}",
            f"{entry['num_samples']:,}",
            f"{entry['drawn']:,}",
            f"{entry['epochs']:.2f}",
            json.dumps(entry["dropped_lines"]) if entry["dropped_lines"] else "none",
        )
        for entry in entries
    ]
    header = ("dataset", "share", "samples", "drawn", "epochs", "lines left out")
    return f'<div class="card">{table(header, lines)}</div>'


def grpo_body(run: Path) -> str:
    """Return reward, signal, divergence, time, and the rollouts."""
    rows, summary = logged(run, "grpo"), RunDir(path=run, resumed=True).summary() or {}
    words = noise_words(rows, summary.get("noise_scale")) if summary else ""
    curves = curves_of(rows, GRPO_CURVES, "grpo") + (why(words) if words else "")
    curves += other_values(rows, (*GRPO_CURVES, "group_rewards"))
    return "\n".join(
        (
            tiles(grpo_figures(rows, summary)),
            section("Learning curves", curves),
            *validation_section(run, "grpo"),
            section("Where the time goes", time_shares(run) + seconds_chart(rows)),
            section("Rollouts", section_of(run)),
        )
    )


def time_shares(run: Path) -> str:
    """Return the seconds of every stage and its parts."""
    stages = time_profile(run)
    if not stages:
        return why("Known when a stage has ended: temporay report then shows it here.")
    shares = shares_table([(one.name, one.seconds, one.parts) for one in stages])
    return f'<div class="card">{shares}</div>' + (why(OVERLAP_WORDS) if has_overlap(stages) else "")


def grpo_figures(rows: MetricRows, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the main figures of GRPO; ``summary`` is empty while the run goes on."""
    first, last = quarters(rows)
    worst = max((row["parity_max_abs"] for row in rows if "parity_max_abs" in row), default=float("nan"))
    return [
        (
            f"{mean(first, 'reward'):.3f} → {mean(last, 'reward'):.3f}",
            f"reward, {ends_words(len(rows))}{trend_words(summary)}",
        ),
        (f"{mean(rows, 'useful_groups'):.0%}", "of the groups had rewards that differ, so something to learn from"),
        (f"{worst:.1e}", f"{PARITY_WORDS}; mean KL {mean(rows, 'engine_kl'):.1e}"),
        (f"{mean(rows, 'completion_tokens'):.0f}", "tokens in a completion, on average"),
    ]


def quarters(rows: MetricRows) -> tuple[MetricRows, MetricRows]:
    """Return the first and the last quarter of the steps."""
    size = max(1, len(rows) // 4)
    return rows[:size], rows[-size:]


def mean(rows: MetricRows, name: str) -> float:
    """Average over the steps that logged the value; NaN if none did."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return sum(values) / len(values) if values else float("nan")
