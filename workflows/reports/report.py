"""``temporay report``: one offline page of a run: what training did, one sample's words, and then everything else.

of temporay run:          summary.json, metrics.jsonl, evaluation/*.jsonl, data/, sft/, grpo/ -> RUN/report.html
of temporay sft and grpo: workflows.reports.stage_report                           -> RUN/report.html
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import tyro
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.shards import AUDIT_FILE
from temporay.operators.errors import UserError
from temporay.operators.files import read_json
from temporay.operators.pages.charts import Bar, bar_chart, interval_mark, percent
from temporay.operators.pages.page import escape, page, section, tiles, why, write_page
from temporay.operators.scoring.metrics import ConfidenceInterval
from temporay.operators.settings import Settings
from temporay.workflows.grpo.log import ends_words, trend_words
from temporay.workflows.reports import learned, stage_report
from temporay.workflows.reports.curves import GRPO_CURVES, curve, logged
from temporay.workflows.reports.rollout_cards import section_of
from temporay.workflows.reports.sample_cards import MODELS, TONES, Answers, samples
from temporay.workflows.runs.run_dir import BEGIN_AGAIN, RunDir

PAGE = "report.html"
DATA = "data"  # folder of a run
SPLITS = ("train", "rl", "test")


class ReportConfig(Settings):
    """Settings of ``temporay report``."""

    run: tyro.conf.Positional[Path]  # of ``temporay run``, finished; of ``temporay sft`` or ``grpo``, also meanwhile


def write(run: Path, result: Mapping[str, Any]) -> Path:
    """Write RUN/report.html.

    Args:
        result: content of summary.json.

    Raises:
        UserError: a part of the run is missing, or the page cannot be written.
    """
    answers = Answers.read(run)
    test = Dataset.open(run / DATA / "test")
    body = "\n".join(
        (
            section("What training did", learned.figures(run, result, answers, mean_chance(result))),
            section("One held-out sample, in the models' own words", learned.one_sample(test, answers)),
            section("Main figures", first_figures(result, answers)),
            section("Accuracy on held-out videos", headline(result, answers)),
            section("Does it look at time?", arms(result)),
            section("Other curves", learning_curves(run)),
            section("Samples, with the models' own words", samples(test, answers)),
            section("Rollouts of GRPO", section_of(run / "grpo")),
            section("Data", data(run)),
            section("Where the time goes", stage_report.time_shares(run)),
        )
    )
    return write_report(run, lead(run, result, answers), body)


def write_report(run: Path, lead: str, body: str) -> Path:
    """Write RUN/report.html from its parts and return its path."""
    path = run / PAGE
    write_page(path, page(f"Report of {run.absolute().name}", lead, body), "make the run's folder writable")
    return path


def lead(run: Path, result: Mapping[str, Any], answers: Answers) -> str:
    """Describe the run in one or two sentences."""
    (fine_tuned,) = result["sft"]["data"]
    num_train = min(fine_tuned["num_samples"], fine_tuned["drawn"])
    num_rl = min(len(Dataset.open(run / DATA / "rl")), sum(result["grpo"]["groups"].values()))
    num_test = sum(entry["n"] for entry in result["accuracy"].values())
    tasks = ", ".join(result["accuracy"])
    scores = ", ".join(f"{answers.mean(name, 'ordered').value:.1%} {words}" for name, words in MODELS.items())
    return (
        f"{tasks}: fine-tuned on {num_train:,} videos, improved on {num_rl:,} others, measured on {num_test:,} more. "
        f"Mean accuracy {scores}; chance is {mean_chance(result):.1%}.{lenient_words(result)}"
    )


def lenient_words(result: Mapping[str, Any]) -> str:
    """Say how much of the gain is the form of answers; "" where some are not read leniently."""
    known = [entry["lenient"] for entry in result["accuracy"].values()]
    if any(scores[name] is None for scores in known for name in ("sft", "grpo")):
        return ""
    sft, grpo = (f"{fmean(scores[name] for scores in known):.1%}" for name in ("sft", "grpo"))
    return f" Read leniently, thoughts inside the answer's tag let pass: {sft} after SFT, {grpo} after GRPO."


def mean_chance(result: Mapping[str, Any]) -> float:
    """Return the mean chance over tasks."""
    chances = [float(entry["chance"]) for entry in result["accuracy"].values()]
    return sum(chances) / len(chances)


def first_figures(result: Mapping[str, Any], answers: Answers) -> str:
    """Return the four main figures."""
    rl = result["grpo"]
    values = [f"{100 * answers.mean(name, 'ordered').value:.1f}" for name in MODELS]
    low, high = rl["reward_last_interval"]
    steps = f"{ends_words(rl['steps'])} (last: {low:.3f} to {high:.3f})"
    figures = [
        (" → ".join(values), f"mean accuracy in %: before, after SFT, after GRPO (chance {mean_chance(result):.1%})"),
        (
            f"{rl['reward_first']:.3f} → {rl['reward_last']:.3f}",
            f"GRPO reward, {steps}{trend_words(rl)}",
        ),
        (f"{rl['useful_groups']:.0%}", "of the groups had rewards that differ, and so something to learn from"),
        (
            f"{rl['parity_max_abs']:.1e}",
            f"nats at most between {result['engine']} and the trainer; {rl['decodes_per_prompt']:g} decodes per prompt",
        ),
    ]
    return tiles(figures)


def headline(result: Mapping[str, Any], answers: Answers) -> str:
    """Return the table of accuracies: per primitive chance, the three models, and the other arms."""
    accuracy = result["accuracy"]
    others = list(dict.fromkeys(arm for e in accuracy.values() for arm in e["arms"] if arm != "ordered"))
    rows = []
    for task, entry in accuracy.items():
        intervals = {name: ConfidenceInterval(**entry["intervals"][name]) for name in (*MODELS, *others)}
        rows.append(headline_row(task, entry["n"], entry["chance"], intervals))
    if len(accuracy) > 1:
        means = {name: answers.mean(name, "ordered") for name in MODELS}
        means |= {arm: answers.mean("grpo", arm) for arm in others}
        rows.append(headline_row("mean", means["grpo"].n, mean_chance(result), means, kind="mean"))
    names = [*MODELS.values(), *(arm.replace("_", " ") for arm in others)]
    header = "".join(f'<th class="number">{escape(name)}</th>' for name in ("n", "chance", *names))
    groups = f'<th class="group" colspan="3"></th><th class="group" colspan="{len(MODELS)}">frames in order</th>'
    if others:
        groups += f'<th class="group" colspan="{len(others)}">after GRPO, time taken away</th>'
    return (
        f'<div class="card wide"><table class="headline"><thead><tr>{groups}</tr><tr><th>primitive</th>{header}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
        + why(
            "In percent, with the half-width of the 95 % interval (Wilson; for the mean: stratified). The line in a "
            "bar is the interval, and the dashed tick is chance. An answer that names no option counts as wrong, "
            "and as a guess with the time taken away."
        )
    )


def headline_row(
    name: str, n: int, chance: float, intervals: Mapping[str, ConfidenceInterval], *, kind: str = ""
) -> str:
    """Return one row of the headline table: a model's accuracy with its interval, against chance."""
    cells = "".join(
        f'<td class="number">{percent(interval)}{interval_mark(interval, chance, TONES.get(of, "soft"))}</td>'
        for of, interval in intervals.items()
    )
    start = (
        f'<td>{escape(name)}</td><td class="number narrow">{n}</td><td class="number narrow">{100 * chance:.1f}</td>'
    )
    return f'<tr class="{kind}">{start}{cells}</tr>'


def arms(result: Mapping[str, Any]) -> str:
    """Compare the last model with frames in order, and with order, motion or video taken away."""
    groups = []
    for task, entry in result["accuracy"].items():
        bars = [
            Bar(
                name=arm.replace("_", " "),
                interval=ConfidenceInterval(**entry["intervals"][arm]),
                tone="grpo" if arm == "ordered" else "soft",
            )
            for arm in entry["arms"]
        ]
        groups.append((task, float(entry["chance"]), bars))
    chart = bar_chart("Accuracy after GRPO by what the model is shown", groups, note="percent; dashed: chance")
    return (
        f'{chart}<p class="note">Shuffled keeps the frames and takes their order; single frame repeats one of them; '
        "blind shows no video at all. Only what ordered has above these is reasoning about time.</p>"
    )


def learning_curves(run: Path) -> str:
    """Return charts of what stages logged beside what the page begins with."""
    base, grpo = logged(run, "base_model"), logged(run / "grpo", "grpo")
    noise = "".join(
        curve(f"GRPO: {title}", grpo, name, "grpo")
        for name, title in GRPO_CURVES.items()
        if name.startswith("noise_scale") and any(row.get(name) is not None for row in grpo)
    )
    return (
        f'<div class="charts">{curve("Base model: loss, reading text", base, "loss", "base")}'
        f"{noise}"
        f"{curve('GRPO: completion length, tokens', grpo, 'completion_tokens', 'grpo')}"
        f"{curve('GRPO: engine against trainer, nats', grpo, 'parity_max_abs', 'grpo')}</div>"
    )


def data(run: Path) -> str:
    """Return the three splits with their dataset cards and the result of the audit."""
    rows = []
    for split in SPLITS:
        dataset = Dataset.open(run / DATA / split)
        tasks = ", ".join(f"{task} {n:,}" for task, n in sorted(Counter(dataset.table["task"].to_pylist()).items()))
        path = dataset.path / AUDIT_FILE
        passed = read_json(path, "run `temporay audit` again")["passed"] if path.is_file() else None
        audit = {True: "passed", False: "FAILED", None: "not audited"}[passed]
        link = f'<a href="{DATA}/{split}/README.md">dataset card</a>'
        cells = (split, f"{len(dataset):,}", tasks, audit)
        rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}<td>{link}</td></tr>")
    header = "".join(f"<th>{name}</th>" for name in ("split", "samples", "primitives", "audit", ""))
    return (
        f'<div class="card"><table><thead><tr>{header}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        '<p class="note">The audit measures what can be guessed without watching: from the wording, the options, the '
        'length. All settings: <a href="config.json">config.json</a>.</p>'
    )


def run(config: ReportConfig) -> Path:
    """Write the page of a run: of ``temporay run`` once it is finished, of sft and grpo at any time.

    Raises:
        UserError: the folder is not such a run.
    """
    described = config.run / "config.json"
    settings = read_json(described, BEGIN_AGAIN) if described.is_file() else {}
    if settings.get("command") in ("sft", "grpo"):
        body = stage_report.grpo_body if settings["command"] == "grpo" else stage_report.sft_body
        path = write_report(config.run, stage_report.lead(config.run, settings), body(config.run))
    else:
        path = write(config.run, finished(config.run))
    print(f"report: {path}")
    return path


def finished(run: Path) -> dict[str, Any]:
    """Read the summary of a run of ``temporay run``.

    Raises:
        UserError: the folder is not one, or it is not finished.
    """
    summary = RunDir(path=run, resumed=True).summary()
    if summary is None:
        raise UserError(f"{run} is not a finished run (no summary.json); run it to its end first")
    if "grpo" not in summary or "accuracy" not in summary:
        raise UserError(
            f"{run} is not a run of `temporay run`, `temporay sft` or `temporay grpo`; give the --out of one"
        )
    return summary
